"""Task logs as files below one folder: which there are, the newest first, and parts of one in whole lines.

On this machine the driver reads them by this file, on Kubernetes the code server, to which it is copied as it stands:
only the standard library. What tasks write is not trusted, so no link is followed: each folder on the way to a log is
opened by its name inside of the one before.
"""

import heapq
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

MOST = 1000  # in one list
LOOK_SECONDS = 1.5  # of one list; what was not looked at by then is left out
QUIET_SECONDS = 1.0  # a last line without its end is waited for; after this it is all there is
LONGEST_PATH, LONGEST_NAME = 1024, 255  # bytes


class BadPath(Exception):
    """No path of a log."""


class Entry(NamedTuple):
    """One log: when it was last written to (seconds since 1970), its size in bytes, and its path below the folder."""

    changed: float
    size: int
    path: str


class Part(NamedTuple):
    """Whole lines of one log: where they begin and end, how long the log is, and the lines. In bytes."""

    start: int
    end: int
    size: int
    data: bytes


def parts_of(path: str) -> list[str]:
    """The folders and the name of a log. Raises BadPath for what leads elsewhere, or is no name of a file."""
    parts = path.split("/")
    if len(path.encode(errors="replace")) > LONGEST_PATH or not all(_is_name(part) for part in parts):
        raise BadPath
    return parts


def _is_name(part: str) -> bool:
    named = part not in {"", ".", ".."} and part.isprintable()
    return named and len(part.encode(errors="replace")) <= LONGEST_NAME


def listed(
    folder: Path, text: str, most: int, seconds: float = LOOK_SECONDS, others: "Iterable[Entry | None]" = ()
) -> tuple[tuple[Entry, ...], bool]:
    """The newest logs whose path has every word of `text` in it, whatever the case, at most `most` of them and
    never more than MOST; and whether these are all that match. `others` are logs that are kept elsewhere, with a
    None after each of their folders."""
    words, most = text.casefold().split(), min(most, MOST)
    newest: list[Entry] = []
    matching = 0
    until, in_time = time.monotonic() + seconds, True
    for found in chain(
        _entries(folder, words), (each for each in others if each is None or _has(each.path, words))
    ):
        if found is None:  # a folder is done
            in_time = time.monotonic() <= until
            if not in_time:
                break
            continue
        matching += 1
        heapq.heappush(newest, found)
        if len(newest) > most:
            heapq.heappop(newest)
    return tuple(sorted(newest, reverse=True)), in_time and matching <= most


def _entries(folder: Path, words: list[str]) -> "Iterator[Entry | None]":
    """Every log that is asked for, and None after each folder."""
    for base, _, names, opened in _walk(folder):
        inside = os.path.relpath(base, folder)
        for name in names:
            path = name if inside == "." else f"{inside}/{name}"
            if _has(path, words) and (found := _entry(opened, name, path)) is not None:
                yield found
        yield None


def _has(path: str, words: list[str]) -> bool:
    folded = path.casefold()
    return all(word in folded for word in words)


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str], int]]:
    """As os.fwalk, also of a folder that is not there or goes in the meantime."""
    with suppress(FileNotFoundError):
        yield from os.fwalk(folder)


def _entry(folder: int, name: str, path: str) -> "Entry | None":
    """The log of that name in an opened folder, when it is one."""
    with suppress(OSError, BadPath):
        parts_of(path)
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return Entry(status.st_mtime, status.st_size, path)
    return None


def part(folder: Path, path: str, start: "int | None", most: int) -> "Part | None":
    """At most `most` bytes of a log from `start` on; None asks for its end, and so does a `start` behind it. A line
    that is still being written is left for the next call. None when there is no such log. Raises BadPath."""
    file = _opened(folder, parts_of(path))
    if file is None:
        return None
    with file:
        status = os.fstat(file.fileno())
        size = status.st_size
        origin = max(0, size - most) if start is None or start > size else start
        data = os.pread(file.fileno(), min(most, size - origin), origin)
        begin = origin
        if origin and origin != start:
            cut = data.find(b"\n") + 1  # what is left of a line whose beginning was not read
            begin, data = origin + cut, data[cut:]
        whole = data.rfind(b"\n") + 1
        at_end = begin + len(data) == size
        if whole < len(data):
            complete = time.time() - status.st_mtime > QUIET_SECONDS if at_end else whole == 0
            data = data if complete else data[:whole]
        return Part(begin, begin + len(data), size, data)


def _opened(folder: Path, parts: list[str]) -> "BinaryIO | None":
    """The file, when it is one that no link leads to."""
    opened = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for name in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(os.open(name, flags, dir_fd=opened[-1]))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe keeps no one waiting
        file = os.open(parts[-1], flags, dir_fd=opened[-1])
        if stat.S_ISREG(os.fstat(file).st_mode):
            return os.fdopen(file, "rb")
        os.close(file)
    except OSError:
        return None
    finally:
        for each in opened:
            os.close(each)
    return None
