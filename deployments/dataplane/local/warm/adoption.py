"""supervisord's side: it takes a process that it did not start itself for the one of a program.

A component that starts warm is forked from the warm parent. supervisord becomes the reaper of its orphaned descendants
(PR_SET_CHILD_SUBREAPER), so such a process is its child once the process in between has ended; `adopt` makes it the
program's. From then on everything is as if supervisord had started it: its pid, exit status, signals and process group.

This is an RPC extension (`[rpcinterface:airdeck]`): it runs inside supervisord, so it imports nothing heavy and never
waits.
"""

import ctypes
import os
import sys
from typing import Any

from supervisor.states import ProcessStates
from supervisor.supervisord import Supervisor as Daemon
from supervisor.xmlrpc import Faults, RPCError

PR_SET_CHILD_SUBREAPER = 36


class _Predecessor:
    """Stands for the launcher, whose end is no news once it has been replaced."""

    def finish(self, pid: int, status: int) -> None:
        """Called when it has been reaped."""


class Adoption:
    """The methods that supervisord answers as `airdeck.…`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def adopt(self, name: str, launcher: int, successor: int) -> bool:
        """Make `successor` the process of the program "<group>:<program>", in place of its process `launcher`.

        A fault says that it is not: the program is unknown or stopping, runs another process, or `successor` is no
        child of this supervisord that leads a process group of its own.
        """
        group, _, program = name.partition(":")
        found = self._daemon.process_groups.get(group)
        process = found.processes.get(program) if found else None
        if process is None:
            raise RPCError(Faults.BAD_NAME, name)
        running = process.state in (ProcessStates.STARTING, ProcessStates.RUNNING) and not process.killing
        if not running or process.pid != launcher or not _ours(successor, os.getpid()):
            raise RPCError(Faults.FAILED, f"{name} cannot go on as process {successor}")
        history: dict[int, Any] = self._daemon.options.pidhistory
        if successor in history:
            raise RPCError(Faults.FAILED, f"process {successor} is another program's")
        history[launcher] = _Predecessor()
        history[successor] = process
        process.pid = successor
        self._daemon.options.logger.info(f"adopted: '{program}' with pid {successor}, started warm")
        return True


def _ours(pid: int, daemon: int) -> bool:
    """Whether the process is a child of `daemon` and leads its process group."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return False
    parent, group = int(fields[1]), int(fields[2])
    return parent == daemon and group == pid


def make(daemon: Daemon, **_config: str) -> Adoption:
    """What supervisord calls once, when it starts: `supervisor.rpcinterface_factory`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return Adoption(daemon)
