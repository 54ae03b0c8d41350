"""The install job of one runtime. Run as: python -m … ROOT VERSION AIRFLOW_VERSION

1. A fresh folder and an empty environment in it. 2. The lock file's packages, hashes checked, compiled.
3. Proof that this Airflow starts. 4. The symlink `current` moves. Killed before 4, nothing has happened.
"""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from uv import find_uv_bin

from deployments.dataplane.local.runtimes import lock_files, runtimes
from deployments.dataplane.local.runtimes.environments import publish, remove_unfinished
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus, begin, disk_free_mib
from deployments.dataplane.local.state_dir import StateDir

PROGRESS_SECONDS = 0.5


class InstallFailed(Exception):
    """Why, in one sentence for people."""


def main(root: str, version: str, airflow_version: str) -> int:
    """Install the runtime unless another process does. Returns the exit code."""
    paths = StateDir(Path(root))
    job = runtimes.install_job(paths, version)
    with job.lock() as ours:
        if not ours or runtimes.installed(paths, version):
            return 0
        status = begin(job, f"Installing Airflow {airflow_version}.")
        try:
            _install(paths, version, airflow_version, job, status)
        except InstallFailed as error:
            job.say(replace(status, sentence=str(error), failed=True, at=time.time()))
            print(error, file=sys.stderr)
            return 1
        job.say(JobStatus())
    return 0


def _install(paths: StateDir, version: str, airflow_version: str, job: Job, status: JobStatus) -> None:
    folder = paths.runtime(version)
    remove_unfinished(folder)
    free = disk_free_mib(folder)
    if free < runtimes.MIB_NEEDED:
        raise InstallFailed(
            f"Installing Airflow {airflow_version} needs {runtimes.MIB_NEEDED} MiB of disk, {free} MiB are "
            f"free. Free some space."
        )
    attempt = folder / f"env-{secrets.token_hex(4)}"
    _make_environment(attempt, runtimes.pythons(version), airflow_version)
    _sync(paths, version, airflow_version, attempt=attempt, job=job, status=status)
    job.say(replace(status, sentence=f"Checking Airflow {airflow_version}."))
    answer = _run([str(attempt / "bin" / "python"), "-m", "airflow", "version"], home=attempt / "check")
    if answer.split()[-1:] != [airflow_version]:
        raise InstallFailed(
            f"The environment answers {answer.strip()[-100:]!r} in place of {airflow_version}."
        )
    shutil.rmtree(attempt / "check", ignore_errors=True)
    publish(folder, attempt)


def _make_environment(attempt: Path, pythons: tuple[str, ...], airflow_version: str) -> None:
    """An empty environment on a Python that this Airflow supports: the console's own, else another on PATH, else uv's
    own, which is downloaded."""
    command = [find_uv_bin(), "venv", "--quiet", "--no-project", "--python"]
    if f"{sys.version_info[0]}.{sys.version_info[1]}" in pythons:
        _run([*command, sys.executable, "--no-python-downloads", str(attempt)])
        return
    for desired in (*reversed(pythons), ""):
        try:
            _run(
                [
                    *command,
                    desired or pythons[-1],
                    *(["--no-python-downloads"] if desired else []),
                    str(attempt),
                ]
            )
        except InstallFailed:
            continue
        return
    raise InstallFailed(
        f"Airflow {airflow_version} needs Python {' or '.join(pythons)}, this machine has none, and uv could not fetch "
        f"one of its own. Install Python {pythons[-1]}."
    )


def _sync(
    paths: StateDir, version: str, airflow_version: str, *, attempt: Path, job: Job, status: JobStatus
) -> None:
    """uv installs; we count. It says how many packages it lacks and unpacks each into a folder of its
    cache."""
    cache = Path(os.environ.get("UV_CACHE_DIR") or paths.runtimes / "cache")
    command = [find_uv_bin(), "pip", "sync", "--verbose", "--require-hashes", "--compile-bytecode"]
    command += ["--cache-dir", str(cache), "--python", str(attempt / "bin" / "python")]
    command += [str(lock_files.lock_file(version))]
    total = lock_files.package_count(version)
    before = _unpacked(cache)
    output: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        stream = process.stderr
        assert stream is not None  # noqa: S101 - asked for with PIPE
        reader = threading.Thread(target=output.extend, args=(stream,), daemon=True)
        reader.start()
        while process.poll() is None:
            message = _progress(list(output), total, _unpacked(cache) - before)
            if message:
                job.say(replace(status, sentence=f"Installing Airflow {airflow_version}: {message}."))
            time.sleep(PROGRESS_SECONDS)
        reader.join(timeout=5)
    if process.returncode != 0:
        text = "".join(line for line in output if not line.startswith("DEBUG"))
        print(text[-4000:], file=sys.stderr)
        raise InstallFailed(runtimes.explain(text, airflow_version))


def _progress(output: list[str], total: int, unpacked: int) -> str:
    """What uv has done so far, in words; "" while it only plans."""
    if any(line.startswith("Installed ") for line in output):
        return f"compiling {total} packages"
    missing = sum("Identified uncached distribution" in line for line in output)
    return f"{min(total, total - missing + max(0, unpacked))} of {total} packages" if missing else ""


def _unpacked(cache: Path) -> int:
    try:
        return len(os.listdir(cache / "archive-v0"))
    except FileNotFoundError:
        return 0


def _run(command: list[str], home: Path | None = None) -> str:
    """The output of a command; InstallFailed with its last error line when it fails."""
    env = {**os.environ, **({"AIRFLOW_HOME": str(home)} if home else {})}
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise InstallFailed(f"{Path(command[0]).name} failed: {(lines or ['it printed nothing'])[-1][:300]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
