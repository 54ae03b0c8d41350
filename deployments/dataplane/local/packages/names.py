"""Where environments with further packages are. Each is a folder beside the runtimes', with the same layout, so that
whatever starts programs in a runtime starts them in one of these."""

from pathlib import Path

import psutil

from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import RUNTIME_VERSION, StateDir
from deployments.dataplane.local.supervisor.processes import Processes

SHORT = runtimes.SHORT
LOCK = "lock.txt"


def is_of_packages(name: str) -> bool:
    """Whether this is the name of an environment with further packages."""
    return bool(RUNTIME_VERSION.fullmatch(name)) and name.count("-") == 2


def of_packages(paths: StateDir) -> list[Path]:
    """The folders of all environments with further packages."""
    if not paths.runtimes.is_dir():
        return []
    return [each for each in paths.runtimes.iterdir() if each.is_dir() and is_of_packages(each.name)]


def is_used_by(argv: list[str], folder: Path) -> bool:
    """Whether a process of these arguments runs in the environment of that folder, its warm parent aside."""
    parent = len(argv) > 1 and argv[1].endswith("/warm/parent.py")
    return bool(argv) and argv[0].startswith(f"{folder}/") and not parent


def runs_elsewhere(paths: StateDir, processes: Processes, python: Path) -> bool:
    """Whether a program of the Deployment that was not asked to end has another environment than that of `python`."""
    for program, info in processes.known().items():
        if info.state not in ("STARTING", "RUNNING") or processes.draining_since(program) is not None:
            continue
        try:
            first = psutil.Process(info.pid).cmdline()[0]
        except (psutil.Error, OSError, IndexError):
            continue
        if first.startswith(f"{paths.runtimes}/") and first != str(python):
            return True
    return False
