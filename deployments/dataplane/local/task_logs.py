"""Airflow's own logs of tasks and of parsing on this machine, which nothing else rotates: dropped by age, and from the
oldest on when they are more than they may be; and those of tasks as pages read them. Those of components are rotated by
supervisord."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployments.dataplane import task_log_files, task_log_lines
from deployments.dataplane.contract import LogTail, TaskLog, TaskLogGone, TaskLogs
from deployments.dataplane.local import hourly

TASKS = "tasks"
FOLDERS = (TASKS, "dags")
BUDGET_SECONDS = 2.0  # of one call; the next goes on
YOUNG_SECONDS = 3600.0  # what was written to within this time may be a running task's
DAY = 86_400.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Keeping:
    """For how many days task logs are kept, and how many MiB of one Deployment at most."""

    days: int = 30
    mib: int = 2048

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Keeping":
        """What the settings of the cluster say."""
        return cls(int(settings.get("task_log_days", cls.days)), int(settings.get("task_log_mib", cls.mib)))

    @property
    def sentence(self) -> str:
        """What the page says about how long logs are kept."""
        return f"Kept for {self.days} days, {self.mib:,} MiB at most; the oldest go first"


def listed(logs: Path, text: str, most: int) -> TaskLogs:
    """See `Driver.task_logs`. `logs` is the folder of all logs of a Deployment."""
    found, whole = task_log_files.listed(logs / TASKS, text, most)
    return TaskLogs(
        tuple(TaskLog(e.path, e.size, datetime.fromtimestamp(e.changed, UTC)) for e in found), whole
    )


def read(logs: Path, path: str, *, lines: int, after: str) -> LogTail:
    """See `Driver.task_log`."""
    try:
        return task_log_lines.read(
            lambda start, most: task_log_files.part(logs / TASKS, path, start, most), lines=lines, after=after
        )
    except task_log_files.BadPath:
        raise TaskLogGone from None


def keep(logs: Path, keeping: Keeping, now: float | None = None) -> int:
    """Drop what is too old or too much, once an hour. Returns how many files that were. Never raises for a file that is
    gone or a disk that is full: the next call goes on.

    Tasks write into these folders, so nothing is reached by its path: a folder that becomes a link at the wrong moment
    would lead to files of others. Each folder is opened without following links, and its entries are dropped in it.
    """
    moment = time.time() if now is None else now
    done = logs / ".kept"
    if hourly.is_done(done, moment):
        return 0
    deadline = time.monotonic() + BUDGET_SECONDS
    dropped = 0
    left: list[tuple[float, int]] = []  # when it was written to, and its size
    for folder, name, status in _files(logs):
        if moment - status.st_mtime > keeping.days * DAY:
            dropped += _drop(folder, name)
        else:
            left.append((status.st_mtime, status.st_size))
        if time.monotonic() > deadline:
            return dropped
    newest_to_go = min(_newest_to_go(left, keeping.mib * MIB), moment - YOUNG_SECONDS)
    for folder, name, status in _files(logs) if newest_to_go >= min(left, default=(math.inf,))[0] else ():
        if status.st_mtime <= newest_to_go:
            dropped += _drop(folder, name)
        if time.monotonic() > deadline:
            return dropped
    _drop_empty(logs, moment)
    hourly.note(done, moment)
    return dropped


def _newest_to_go(left: list[tuple[float, int]], limit: int) -> float:
    """Up to which time files have to go so that the others have at most `limit` bytes; -inf when none has to."""
    total = sum(size for _, size in left)
    newest = -math.inf
    for modified, size in sorted(left):
        if total <= limit:
            break
        total -= size
        newest = modified
    return newest


def _files(logs: Path) -> Iterator[tuple[int, str, os.stat_result]]:
    """Each file: its folder, opened; its name; and what it is."""
    for top in _folders(logs):
        for _, _, names, folder in os.fwalk(top):
            for name in names:
                with suppress(OSError):
                    yield folder, name, os.stat(name, dir_fd=folder, follow_symlinks=False)


def _folders(logs: Path) -> list[Path]:
    return [logs / name for name in FOLDERS if (logs / name).is_dir()]


def _drop(folder: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _drop_empty(logs: Path, moment: float) -> None:
    """Folders in which nothing is left; a young one may be about to be written into."""
    for top in _folders(logs):
        for _, names, _, folder in os.fwalk(top, topdown=False):
            for name in names:
                with suppress(OSError):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if moment - status.st_mtime > YOUNG_SECONDS:
                        os.rmdir(name, dir_fd=folder)
