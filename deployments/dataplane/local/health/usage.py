"""CPU and memory of a Deployment's programs and of all that they started, from the machine's process table."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deployments.dataplane.local.supervisor.specs import running_pid
from deployments.dataplane.reading import Since, Usage

FRESH_SECONDS = 10.0  # one walk through the table serves all Deployments that are read in this time
NOTED = "noted"  # in a sample, when the table was read that it is of
NOTHING_RUNS = "No process of it runs on this machine."


@dataclass(frozen=True)
class _Process:
    """One line of the table. `cpu` counts the process and those of its children that have ended."""

    parent: int
    began: float
    cpu: float


@dataclass
class _Table:
    """The process table as last seen. It is kept because to read it takes a tenth of a second, and for nothing else."""

    at: float = float("-inf")  # by the monotonic clock
    noted: float = 0.0  # the same by the clock of the day, which outlives this process
    processes: Mapping[int, _Process] = field(default_factory=dict)
    children: Mapping[int, list[int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fresh(self) -> "_Table":
        """Itself, read again when it is old."""
        with self.lock:
            if time.monotonic() - self.at > FRESH_SECONDS:
                self.processes, self.noted = _seen(), time.time()
                self.children = {}
                for pid, process in self.processes.items():
                    self.children.setdefault(process.parent, []).append(pid)
                self.at = time.monotonic()
        return self


_table = _Table()


def usage(folder: Path, since: Since | None) -> Usage:
    """What the programs with a spec in this Deployment's folder use. CPU is what was used since the reading before: of
    a program that has started in the meantime, since its start."""
    table = _table.fresh()
    cpu: dict[str, float] = {}
    memory = 0
    for spec in folder.glob("specs/*.started"):
        pid = running_pid(spec)
        root = table.processes.get(pid)
        if root is None or root.began > _written(spec) + 1.0:  # the number is a stranger's by now
            continue
        family = _family(table.children, pid)
        cpu[f"{pid} {root.began:.0f}"] = sum(table.processes[each].cpu for each in family)
        memory += sum(map(_memory, family))
    if not cpu:
        return Usage(absent=NOTHING_RUNS)
    return Usage(cores=_cores(cpu, since, table.noted), memory_bytes=memory, cpu=cpu | {NOTED: table.noted})


def _cores(cpu: Mapping[str, float], since: Since | None, noted: float) -> float | None:
    """Cores in use on average from the table of the reading before to this one; None without one, or where both
    readings saw the same."""
    before = since.cpu.get(NOTED, 0.0) if since is not None else 0.0
    if since is None or not before or noted - before < 1.0:
        return None
    used = sum(max(0.0, seconds - since.cpu.get(key, 0.0)) for key, seconds in cpu.items())
    return used / (noted - before)


def _seen() -> Mapping[int, _Process]:
    found = {}
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                spent = times.user + times.system + times.children_user + times.children_system
                found[process.pid] = _Process(process.ppid(), process.create_time(), spent)
        except psutil.Error:  # it ended while it was looked at
            continue
    return found


def _family(children: Mapping[int, list[int]], root: int) -> list[int]:
    """The process and all that descend from it."""
    found = [root]
    for pid in found:  # it grows
        found += children.get(pid, ())
    return found


def _memory(pid: int) -> int:
    """The process's share of memory: what it shares with others counts in parts, so that sums are true."""
    try:
        process = psutil.Process(pid)
        try:
            info = process.memory_full_info()
        except psutil.AccessDenied:  # what it shares may only be read by its own user
            return int(process.memory_info().rss)
    except (psutil.Error, OSError):
        return 0
    return int(getattr(info, "pss", info.rss))


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
