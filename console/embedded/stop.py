"""The ordered stop, within 20 seconds in total."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

from console.embedded import process_table
from console.embedded.signals import Signals
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import ProcessInfo, Supervisor

# What steers goes first, or the reconciler would start again what we stop. Then every Airflow process at
# once, with the pages; then what all of them need. Seconds, after which a process group is killed.
STEERING = ("worker", "beat", "observer")
SERVERS = ("postgres", "redis")
STEERING_SECONDS = 3.0
AIRFLOW_SECONDS = 6.0
SERVER_SECONDS = 4.0
DAEMON_SECONDS = 2.0


def everything(state: StateDir, supervisor: Supervisor, signals: Signals) -> None:
    """Stop what supervisord runs, in order, and then supervisord. A further Ctrl-C makes it faster.

    Whatever is left afterwards, the caller ends by the process table.
    """
    asked = signals.stops
    stages: tuple[tuple[Callable[[ProcessInfo], bool], float], ...] = (
        (lambda process: process.group in STEERING, STEERING_SECONDS),
        (lambda process: process.group not in SERVERS, AIRFLOW_SECONDS),
        (lambda process: True, SERVER_SECONDS),
    )
    try:
        for chosen, seconds in stages:
            _stage(supervisor, signals, chosen, time.monotonic() + seconds, asked)
        supervisor.shutdown()
    except DataPlaneError:
        return  # supervisord is gone or stuck: the process table ends everything
    until = time.monotonic() + DAEMON_SECONDS
    while time.monotonic() < until and any(
        map(process_table.is_supervisord, process_table.processes(state.root))
    ):
        signals.wait(0.1)


def _stage(
    supervisor: Supervisor,
    signals: Signals,
    chosen: Callable[[ProcessInfo], bool],
    until: float,
    asked: int,
) -> None:
    reported: set[tuple[str, int]] = set()
    while alive := [process for process in supervisor.processes() if chosen(process) and _lives(process)]:
        if time.monotonic() > until or signals.stops > asked:
            _kill(alive)
        for process in alive:
            if (process.full_name, process.pid) not in reported:  # also one that was started in the meantime
                reported.add((process.full_name, process.pid))
                supervisor.stop(process.full_name)
        if time.monotonic() > until + 2:
            return
        signals.wait(0.1)


def _lives(process: ProcessInfo) -> bool:
    return process.alive or process.state == "BACKOFF"  # supervisord would start this one again


def _kill(processes: Iterable[ProcessInfo]) -> None:
    """KILL whole process groups: supervisord makes each program the leader of one."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process.pid and os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
