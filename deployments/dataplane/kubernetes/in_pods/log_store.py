"""Where a code server keeps the logs of tasks: files under one folder, by the paths that Airflow gives them.

Logs go after so many days, and the oldest go first when all of them together outgrow their room. It is copied into the
cluster beside `code_server.py` as it stands, with `task_log_files.py`: only the standard library.
"""

import errno
import os
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

task_log_files: Any = import_module("task_log_files")  # beside this file, where it is copied to
BadPath: Any = task_log_files.BadPath

PART_BYTES = 8 * 1024 * 1024  # of one request
MOST_BYTES = 256 * 1024 * 1024  # of one log; what is more stays with its pod
LOOK_SECONDS = 600
CHUNK = 256 * 1024


class Gap(Exception):
    """What was sent does not continue what is here. The size of that."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class TooLarge(Exception):
    """The log is as long as one may be."""


class Away(Exception):
    """The bucket that has the log does not hand it out."""


class LogStore:
    """`days` and `room` (bytes) bound what is kept; `mirror` keeps it in a bucket too (`log_bucket`)."""

    def __init__(self, folder: Path, days: int, room: int) -> None:
        self.folder, self._days, self._room = folder, days, room
        self.mirror: Any = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def _place(self, path: str) -> Path:
        """Where a log is. Raises BadPath for what leads elsewhere, or is no name of a file."""
        return self.folder.joinpath(*task_log_files.parts_of(path))

    def write(self, path: str, offset: int, stream: BinaryIO, length: int) -> int:
        """Write at an offset, which is at most the size of what is here; the size afterwards. Sent twice is once.
        Raises BadPath, Gap, TooLarge, Away and OSError."""
        place = self._place(path)
        if offset + length > MOST_BYTES:
            raise TooLarge
        try:
            self.bring(path)
        except OSError as error:
            raise Away from error
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("r+b" if place.exists() else "w+b") as file:
            size = file.seek(0, os.SEEK_END)
            if offset > size:
                raise Gap(size)
            file.seek(offset)
            while length > 0:
                chunk = stream.read(min(length, CHUNK))
                if not chunk:
                    raise ConnectionError
                self._put(file, chunk)
                length -= len(chunk)
            size = max(size, file.seek(0, os.SEEK_CUR))
        if self.mirror is not None:
            self.mirror.written(path)
        return size

    def bring(self, path: str) -> None:
        """Have in the folder what is in the bucket alone. Raises OSError."""
        if self.mirror is not None:
            self.mirror.bring(path)

    def _put(self, file: BinaryIO, chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self.tidy(self._room * 9 // 10)
            file.write(chunk)
            file.flush()

    def found(self, path: str) -> list[Path]:
        """The log of that path, and those of the same attempt that were written elsewhere (`attempt=1.log.trigger…`),
        by name. Raises BadPath."""
        place = self._place(path)
        with suppress(OSError):
            self.bring(path)
        with suppress(OSError):
            names = sorted(name for name in os.listdir(place.parent) if name.startswith(place.name))
            return [place.parent / name for name in names if (place.parent / name).is_file()]
        return []

    def tidy(self, room: int | None = None) -> None:
        """Drop what is too old, and the oldest while there is more than the room."""
        with self._lock:
            files = []
            for base, _, names in os.walk(self.folder):
                for name in names:
                    with suppress(OSError):
                        status = os.stat(os.path.join(base, name))
                        files.append((status.st_mtime, status.st_size, Path(base, name)))
            files.sort(reverse=True)
            total, oldest = 0, time.time() - self._days * 86_400
            for changed, size, file in files:
                total += size
                if changed < oldest or total > (self._room if room is None else room):
                    with suppress(OSError):
                        file.unlink()
                        self._forget_folders(file.parent)

    def _forget_folders(self, folder: Path) -> None:
        """Remove what is empty, up to the folder of all logs."""
        with suppress(OSError):
            while folder != self.folder:
                folder.rmdir()
                folder = folder.parent

    def tidy_for_ever(self) -> None:
        """In a thread of its own."""
        while True:
            self.tidy()
            time.sleep(LOOK_SECONDS)
