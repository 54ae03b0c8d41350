"""Which Deployment needs which packages, so that an environment is shared by all and goes with the last of them.

Each Deployment's folder holds `packages.json`, the short digests that it needs. Claiming and sweeping hold one lock, so
that nothing is swept that is just being claimed.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.packages import names, resolve
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor
from deployments.dataplane.local.supervisor.processes import tagged

FILE = "packages.json"
ANSWER_SECONDS = 86_400  # how long a resolution is there for another Deployment that asks the same


@contextmanager
def _lock(paths: StateDir) -> Iterator[None]:
    with (paths.runtimes / "claims.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claimed(folder: Path) -> frozenset[str]:
    """The short digests that the Deployment of this folder needs."""
    try:
        return frozenset(str(each) for each in json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return frozenset()


def claim(paths: StateDir, release_name: str, digest: str) -> None:
    """The Deployment needs these packages from now on. Raises DataPlaneError when it is gone."""
    folder, short = paths.deployment(release_name), digest[: names.SHORT]
    if not folder.is_dir():
        raise DataPlaneError(
            "This Deployment has no folder on this machine any more. Nothing can be installed for it."
        )
    if short in claimed(folder):
        return
    with _lock(paths):
        write_private(folder / FILE, json.dumps(sorted({*claimed(folder), short})))


def keep(paths: StateDir, release_name: str, digests: frozenset[str]) -> None:
    """Write down that this Deployment needs these environments alone."""
    folder = paths.deployment(release_name)
    if folder.is_dir():
        with _lock(paths):
            write_private(folder / FILE, json.dumps(sorted(digest[: names.SHORT] for digest in digests)))


def sweep(paths: StateDir, supervisor: Supervisor) -> None:
    """Remove every environment that no Deployment needs and nothing runs in, and answers that are old."""
    found = names.of_packages(paths)
    if found:
        running = [_arguments(process) for process in tagged(paths.root)]
        with _lock(paths):
            needed = frozenset[str]().union(*(claimed(folder) for folder in paths.deployments.iterdir()))
            for folder in found:
                used = any(names.is_used_by(argv, folder) for argv in running)
                if folder.name.rpartition("-")[2] not in needed and not used:
                    folder.rename(
                        paths.runtimes / f".gone-{uuid4().hex}"
                    )  # a later request makes another one
    _forget_groups(paths, supervisor)
    for folder in paths.runtimes.glob(".gone-*"):  # also what a killed process left here
        shutil.rmtree(folder, ignore_errors=True)
    old = time.time() - ANSWER_SECONDS
    for folder in (paths.runtimes / "resolved").glob("*"):
        if folder.stat().st_mtime < old:
            _forget(paths, supervisor, resolve.job_of(paths, folder.name).name)
            shutil.rmtree(folder, ignore_errors=True)


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def _forget_groups(paths: StateDir, supervisor: Supervisor) -> None:
    """The jobs and warm parents of environments and answers that are gone, with their logs, which outlive the
    supervisord that ran them; what still ends is left to the next sweep."""
    logs = {log.name.partition(".log")[0] for log in paths.logs.glob("*.log*")}
    for group in {process.group for process in supervisor.processes()} | logs:
        if _is_over(paths, group):
            _forget(paths, supervisor, group)


def _is_over(paths: StateDir, group: str) -> bool:
    prefix, _, name = group.partition("-")
    if prefix == "resolve":
        return not resolve.folder_of(paths, name).exists()
    return prefix in ("packages", "warm") and names.is_of_packages(name) and not paths.runtime(name).exists()


def _forget(paths: StateDir, supervisor: Supervisor, *groups: str) -> None:
    for group in groups:
        if supervisor.remove(group):
            paths.group_file(group).unlink(missing_ok=True)
            for log in paths.logs.glob(f"{group}.log*"):
                log.unlink(missing_ok=True)
