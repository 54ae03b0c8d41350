"""The job that makes an environment with further packages. Run as: python -m … ROOT NAME

1. A copy of the runtime's environment, of hard links. 2. The packages of `lock.txt`, hashes checked, wheels alone, with
what another environment has compiled of them. 3. Proof that Airflow can be imported. 4. The symlink `current` moves.
Killed before 4, nothing has happened. 5. The rest is compiled, while Airflow runs: all modules of pandas and the like
are a minute of CPU, and a Deployment behind its fence could not keep what it compiles.
"""

import errno
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from uv import find_uv_bin

from console.kit.wording import counted
from deployments.dataplane.local.packages.clone import clone, share_compiled
from deployments.dataplane.local.packages.names import LOCK, of_packages
from deployments.dataplane.local.packages.uv_run import trim_cache, uv_cache
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.runtimes.environments import publish, remove_unfinished
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus, begin
from deployments.dataplane.local.state_dir import StateDir
from deployments.domain import uv_words
from deployments.domain.code_packages import pinned

SECONDS = 600.0  # downloads included
PROOF_SECONDS = 60.0
AT_START = ("sitecustomize.py", "usercustomize.py")


class InstallFailed(Exception):
    """Why, in one sentence for people."""


def job_of(paths: StateDir, name: str) -> Job:
    """The job that makes the environment of this name."""
    return Job(f"packages-{name}", paths.runtime(name))


def main(root: str, name: str) -> int:
    """Make the environment unless another process does. Returns the exit code."""
    paths = StateDir(Path(root))
    job = job_of(paths, name)
    with job.lock() as ours:
        if not ours or runtimes.installed(paths, name):
            return 0
        count = len(pinned((job.folder / LOCK).read_text()))
        status = begin(job, f"Installing {counted(count, 'package')}.")
        try:
            _install(paths, name, job.folder)
        except (InstallFailed, OSError) as error:
            sentence = _full(error) or str(error)
            job.say(replace(status, sentence=sentence, failed=True, at=time.time()))
            print(sentence, file=sys.stderr)
            return 1
        job.say(JobStatus())
    return 0


def _full(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return uv_words.DISK if full else ""


def _install(paths: StateDir, name: str, folder: Path) -> None:
    remove_unfinished(folder)
    attempt = folder / f"env-{secrets.token_hex(4)}"
    clone(runtimes.current(paths, name.rpartition("-")[0]), attempt)
    python = attempt / "bin" / "python"
    site = _site_packages(attempt)
    before = set(os.listdir(site))
    command = [find_uv_bin(), "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += [
        "--link-mode",
        "hardlink",
        "--no-sources",
        "--no-python-downloads",
        "--color",
        "never",
        "--quiet",
    ]
    command += ["--cache-dir", str(uv_cache(paths)), "--python", str(python), "-r", str(folder / LOCK)]
    _run(command, folder, SECONDS, "Installing the packages")
    new = sorted(set(os.listdir(site)) - before)
    if any(each.endswith(".pth") or each in AT_START for each in new):
        (folder / runtimes.COLD).touch()
    for other in of_packages(paths):
        compiled_site = _site_of(other / "current")
        if other != folder and compiled_site is not None:
            share_compiled(compiled_site, site, new)
    _prove(python, attempt / "check", folder)
    publish(folder, attempt)
    compiled = [str(site / each) for each in new if not each.endswith((".dist-info", ".pth"))]
    if compiled:  # a file that does not compile is the package's own affair
        command = ["nice", "-n", "15", str(python), "-m", "compileall", "-q", *compiled]
        # All who pass the folders above may read it: an account of a Deployment would else compile it at every
        # start of a program, and could not keep that.
        subprocess.run(command, cwd=folder, capture_output=True, check=False, umask=0o022)
    trim_cache(paths)


def _site_of(environment: Path) -> Path | None:
    return next(iter((environment / "lib").glob("python*/site-packages")), None)


def _site_packages(attempt: Path) -> Path:
    found = _site_of(attempt)
    if found is None:
        raise InstallFailed(
            "The runtime's environment has no site-packages. Have an operator install it again."
        )
    return found


def _prove(python: Path, home: Path, folder: Path) -> None:
    """Airflow can be imported beside the new packages."""
    _run([str(python), "-c", "import airflow"], folder, PROOF_SECONDS, "Importing Airflow beside them", home)
    shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str], cwd: Path, seconds: float, what: str, home: Path | None = None) -> None:
    env = {**os.environ, **({"AIRFLOW_HOME": str(home)} if home else {})}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"{what} took longer than {seconds:.0f} s. Check the package index.") from None
    if done.returncode == 0:
        return
    text = done.stderr or done.stdout
    print(text[-4000:], file=sys.stderr)
    if home is not None:
        last = (text.strip().splitlines() or ["it printed nothing"])[-1]
        raise InstallFailed(
            f"Airflow cannot be imported beside these packages ({last[:200]}). Change requirements.txt."
        )
    raise InstallFailed(uv_words.explain(text, "", {}).replace("be resolved", "be installed"))


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(*sys.argv[1:]))
