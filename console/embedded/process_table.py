"""Which processes belong to one state folder, and how to end them. Never a stranger's.

Every process that `up` starts, directly or not, carries `AIRDECK_STATE=<root>` in its environment. No pid is
ever stored: processes are found again by that tag, and psutil compares start times before it signals, so that
a reused pid is never hit.
"""

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from deployments.dataplane.local.state_dir import StateDir

TAG = "AIRDECK_STATE"
GRACE_SECONDS = 6.0
# These overwrite their environment with a process title, so their working folder shows whose they are.
SERVERS = frozenset({"postgres", "redis-server", "valkey-server"})


def processes(root: Path) -> list[psutil.Process]:
    """The running processes of the state folder `root` and their descendants, without this process."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in own and _belongs(process, root):
            found[process.pid] = process
            found |= {child.pid: child for child in _children(process)}
    return [process for process in found.values() if _alive(process)]


def end(root: Path, *, grace: float = GRACE_SECONDS, hurry: Callable[[], bool] = lambda: False) -> int:
    """End every process of `root` and return how many there were.

    First supervisord, at once, since it would restart the others; then the others politely, and after `grace`
    seconds, or when `hurry()` says so, by KILL.
    """
    ended = 0
    for _ in range(3):  # a process may be forking while we look
        found = processes(root)
        if not found:
            break
        ended = max(ended, len(found))
        for daemon in filter(is_supervisord, found):
            _signal(daemon, signal.SIGKILL)
        for process in found:
            # INT is Postgres's fast shutdown; TERM would wait for its clients.
            _signal(process, signal.SIGINT if _name(process) == "postgres" else signal.SIGTERM)
        left, waited = found, 0.0
        while left and waited < grace and not hurry():
            _, left = psutil.wait_procs(left, timeout=0.2)
            waited += 0.2
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=3)
    return ended


def _belongs(process: psutil.Process, root: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if process.environ().get(TAG) == str(root):
            return True
    with contextlib.suppress(psutil.Error, OSError):
        return process.name() in SERVERS and any(
            place.is_relative_to(folder)
            for place in _places(process)
            for folder in (root, StateDir(root).postgres_home)
        )
    return False  # gone, or another user's


def _places(process: psutil.Process) -> list[Path]:
    """Where a server works; or the paths among its words, where that may not be asked: in a container root lacks
    CAP_SYS_PTRACE, and Postgres has another user."""
    try:
        return [Path(process.cwd())]
    except psutil.AccessDenied:
        return [Path(word) for word in process.cmdline()[1:]]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_supervisord(process: psutil.Process) -> bool:
    """Whether this is the daemon itself."""
    try:
        return any("supervisord" in word for word in process.cmdline()[:4])
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
