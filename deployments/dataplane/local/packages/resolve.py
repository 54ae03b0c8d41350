"""The job that resolves a requirements.txt. Run as: python -m … ROOT KEY

uv resolves the lines with the runtime's lock as constraints, from wheels alone. The result appears at once, by rename:
`found.txt` with the packages beyond those of the runtime, or `refused.txt` with the sentence that says why not. What
may be otherwise next time (the network, a full disk) is a failed job, which is tried again.
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from uv import find_uv_bin

from console.kit.files import write_private
from deployments.dataplane.local.packages.uv_run import uv_cache
from deployments.dataplane.local.runtimes import lock_files, runtimes
from deployments.dataplane.local.runtimes.jobs import Job, begin
from deployments.dataplane.local.state_dir import StateDir
from deployments.domain import uv_words

SECONDS = 90.0
ATTEMPTS = 2  # that take so long: then it is refused
FOUND, REFUSED, ASKED = "found.txt", "refused.txt", "asked.json"
BLOCK = re.compile(r"^[A-Za-z0-9][^\n]*(?:\n[ \t]+[^\n]*)*", re.MULTILINE)
SLOW = (
    f"Resolving requirements.txt took longer than {SECONDS:.0f} s. Pin more versions in it, or check "
    "the package index of this machine."
)


def folder_of(paths: StateDir, key: str) -> Path:
    """Where a resolution's files are."""
    return paths.runtimes / "resolved" / key


def job_of(paths: StateDir, key: str) -> Job:
    """The job of a resolution."""
    return Job(f"resolve-{key}", folder_of(paths, key))


def main(root: str, key: str) -> int:
    """Resolve unless another process does. Returns the exit code."""
    paths = StateDir(Path(root))
    job = job_of(paths, key)
    with job.lock() as ours:
        if not ours or (job.folder / FOUND).exists() or (job.folder / REFUSED).exists():
            return 0
        asked = json.loads((job.folder / ASKED).read_text())
        status = begin(job, "Resolving the packages.")
        try:
            done = _uv(paths, job.folder, asked["runtime"], asked["lines"])
        except subprocess.TimeoutExpired:
            if status.attempts >= ATTEMPTS:
                write_private(job.folder / REFUSED, SLOW)
            job.say(replace(status, sentence=SLOW, failed=True, at=time.time()))
            return 1
        if done.returncode == 0:
            write_private(job.folder / FOUND, beyond(done.stdout, lock_files.pins(asked["runtime"])))
            return 0
        print(done.stderr[-4000:], file=sys.stderr)
        pins = lock_files.pins(asked["runtime"])
        sentence = uv_words.explain(done.stderr, asked["runtime"], pins, _python(paths, asked["runtime"]))
        if uv_words.is_final(done.stderr):
            write_private(job.folder / REFUSED, sentence)
        job.say(replace(status, sentence=sentence, failed=True, at=time.time()))
    return 1


def _uv(paths: StateDir, folder: Path, runtime: str, lines: list[str]) -> subprocess.CompletedProcess[str]:
    requirements = folder / "requirements.in"
    write_private(requirements, "".join(f"{line}\n" for line in lines))
    command = [find_uv_bin(), "pip", "compile", "--only-binary", ":all:", "--generate-hashes", "--no-header"]
    command += ["--no-annotate", "--no-sources", "--no-python-downloads", "--color", "never", "--quiet"]
    command += ["--python", str(runtimes.python(paths, runtime)), "--cache-dir", str(uv_cache(paths))]
    command += ["--constraints", str(lock_files.lock_file(runtime)), str(requirements)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
    )


def _python(paths: StateDir, runtime: str) -> str:
    """The Python of the runtime, "3.13"; "" when its environment does not say."""
    try:
        text = (runtimes.current(paths, runtime) / "pyvenv.cfg").read_text()
    except OSError:
        return ""
    found = re.search(r"^version(?:_info)? = (\d+\.\d+)", text, re.MULTILINE)
    return found[1] if found else ""


def beyond(resolved: str, own: dict[str, str]) -> str:
    """Of what was resolved, with hashes, the packages that the runtime does not have."""
    blocks = [block for block in BLOCK.findall(resolved) if lock_files.name_of(block) not in own]
    return "".join(f"{block}\n" for block in blocks)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(*sys.argv[1:]))
