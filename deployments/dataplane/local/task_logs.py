"""Airflow's own logs of tasks and of parsing on this machine, which nobody else rotates: dropped by age, and from the
oldest on when they are more than they may be. Those of components are rotated by supervisord."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("tasks", "dags")
EVERY_SECONDS = 3600.0
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
        """As the cluster's settings say."""
        return cls(int(settings.get("task_log_days", cls.days)), int(settings.get("task_log_mib", cls.mib)))

    @property
    def sentence(self) -> str:
        """For people."""
        return f"Kept for {self.days} days, {self.mib:,} MiB at most; the oldest go first"


def keep(logs: Path, keeping: Keeping, now: float | None = None) -> int:
    """Drop what is too old or too much, once an hour; how many files that were. Never raises for a file that is gone or
    a disk that is full: the next call goes on."""
    moment = time.time() if now is None else now
    done = logs / ".kept"
    with suppress(FileNotFoundError):
        if moment - done.stat().st_mtime < EVERY_SECONDS:
            return 0
    deadline = time.monotonic() + BUDGET_SECONDS
    dropped, total = 0, 0
    left: list[tuple[float, int, Path]] = []
    for file, status in _files(logs):
        if moment - status.st_mtime > keeping.days * DAY:
            dropped += _drop(file)
        else:
            total += status.st_size
            left.append((status.st_mtime, status.st_size, file))
        if time.monotonic() > deadline:
            return dropped
    for modified, size, file in sorted(left):
        if total <= keeping.mib * MIB or moment - modified < YOUNG_SECONDS or time.monotonic() > deadline:
            break
        total -= size
        dropped += _drop(file)
    if time.monotonic() <= deadline:
        _drop_empty(logs, moment)
        with suppress(OSError):
            done.touch(mode=0o600)
            os.utime(done, (moment, moment))
    return dropped


def _files(logs: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for name in FOLDERS:
        for base, _, files in os.walk(logs / name):
            for each in files:
                with suppress(OSError):
                    yield Path(base, each), os.lstat(os.path.join(base, each))


def _drop(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True


def _drop_empty(logs: Path, moment: float) -> None:
    """Folders in which nothing is left; a young one may be about to be written into."""
    for name in FOLDERS:
        for base, _, _ in os.walk(logs / name, topdown=False):
            with suppress(OSError):
                if base != str(logs / name) and moment - os.stat(base).st_mtime > YOUNG_SECONDS:
                    os.rmdir(base)
