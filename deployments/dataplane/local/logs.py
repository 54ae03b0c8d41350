"""Logs of one Deployment's programs, from the files that supervisord writes and rotates.

A program's files, the rotated ones first, are read as one stream of bytes, so that a line cut in two by a rotation is
whole again. A cursor says for each program how far it was read: the file's inode, an offset, and a checksum of the
bytes before it, which reveals a log that was cut and grew again. It comes back from a browser: the files are always
those of the folder, and a cursor only chooses where in them to begin.
"""

import base64
import binascii
import heapq
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployments.dataplane.contract import LOG_BEGINNING, LogLine, LogTail
from deployments.dataplane.local.health.components import component_of
from deployments.domain.log_lines import clean, split_time

MOST_LINES = 5000
MOST_BYTES = 4 * 1024 * 1024  # read in one call, over all programs
FIRST_BLOCK = 128 * 1024
OLDER_FILES = 3  # as `supervisor.Program` rotates
LONGEST_CURSOR = 8192
CHECKED_BYTES = 64
UNFINISHED_SECONDS = 1.0  # a last line without its end is waited for; after this it is all there is
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Position:
    """How far one program was read."""

    inode: int
    offset: int
    checksum: int


@dataclass(frozen=True)
class _Line:
    """One line, and the place in its stream where the next one begins. `key` orders lines of several programs: the
    time of the line, or of the one before when it has none."""

    key: datetime
    line: LogLine
    end: int


class LogStream:
    """The files of one program as one stream of bytes, oldest first, as long as they were when they were opened."""

    def __init__(self, files: list[int]) -> None:
        stats = [os.fstat(file) for file in files]
        self._parts = [(f, stat.st_ino, stat.st_size) for f, stat in zip(files, stats, strict=True)]
        self.size = sum(size for _, _, size in self._parts)
        self.quiet_for = time.time() - stats[-1].st_mtime if stats else 0.0

    def read(self, start: int, length: int) -> bytes:
        """Bytes from `start`, at most `length` of them."""
        found, before = [], 0
        for file, _, size in self._parts:
            first, last = max(start - before, 0), min(start + length - before, size)
            if first < last:
                found.append(os.pread(file, last - first, first))
            before += size
        return b"".join(found)

    def position(self, offset: int) -> Position:
        """The mark of a place in the stream."""
        before = 0
        for number, (_, inode, size) in enumerate(self._parts):
            if offset <= before + size or number == len(self._parts) - 1:
                return Position(inode, offset - before, self._checksum(offset))
            before += size
        return Position(0, 0, 0)

    def offset(self, position: Position) -> int | None:
        """Where a mark is; None when its file is gone or holds something else by now."""
        before = 0
        for _, inode, size in self._parts:
            if inode == position.inode and 0 <= position.offset <= size:
                found = before + position.offset
                return found if self._checksum(found, at_most=position.offset) == position.checksum else None
            before += size
        return None

    def _checksum(self, offset: int, *, at_most: int | None = None) -> int:
        """Of the bytes before a place, within its own file: the older files may be gone by the next call."""
        before = 0
        for _, _, size in self._parts:
            if offset <= before + size:
                break
            before += size
        start = max(before, offset - CHECKED_BYTES)
        return zlib.crc32(self.read(start, offset - start))


def read(folder: Path, component: str, *, lines: int, after: str) -> LogTail:
    """See `Driver.logs`. `folder` holds "<program>.log" and its rotated ones."""
    lines = max(0, min(lines, MOST_LINES))
    positions = _decode(after)
    going_on = bool(positions) or after == LOG_BEGINNING
    with _streams(folder, component) as streams:
        if not streams:
            return LogTail()
        budget = MOST_BYTES // len(streams)
        starts: dict[str, int] = {}
        ends: dict[str, int] = {}
        found: list[list[_Line]] = []
        for program, stream in streams.items():
            # A program without a mark is new to a reader who goes on, and a mark that means nothing reads as none.
            start = stream.offset(positions[program]) if program in positions else 0 if going_on else None
            starts[program] = _recent(stream, lines, budget) if start is None else start
            part, ends[program] = _forward(
                program, stream, starts[program], budget, lines if going_on else None
            )
            found.append(part)
        merged = list(heapq.merge(*found, key=lambda each: each.key))
        shown = merged[:lines] if going_on else merged[max(0, len(merged) - lines) :]
        if going_on and len(shown) < len(merged):  # the others are for the next call
            ends = starts | {each.line.source: each.end for each in shown}
        cursor = _encode({program: stream.position(ends[program]) for program, stream in streams.items()})
    return LogTail(tuple(each.line for each in shown), cursor)


def _recent(stream: LogStream, lines: int, budget: int) -> int:
    """Where the last `lines` lines begin, looking back over at most `budget` bytes."""
    block = FIRST_BLOCK
    while True:
        start = max(0, stream.size - min(block, budget))
        data = stream.read(start, stream.size - start)
        breaks = data.count(b"\n")
        if start == 0 or breaks > lines or block >= budget:
            break
        block *= 4
    surplus = breaks - lines - (0 if data.endswith(b"\n") else -1)
    if start > 0:
        surplus = max(surplus, 1)  # what is left of a line whose beginning was not read
    at = 0
    for _ in range(min(surplus, breaks)):
        at = data.index(b"\n", at) + 1
    return start + at


def _forward(
    program: str, stream: LogStream, start: int, budget: int, lines: int | None
) -> tuple[list[_Line], int]:
    """The whole lines from `start`, at most `budget` bytes and `lines` of them (None: all), and
    where they end. A reader who is far behind comes again and again: what is not for this answer is not read."""
    block = budget if lines is None else min(budget, FIRST_BLOCK)
    data = stream.read(start, block)
    while len(data) == block < budget and data.count(b"\n") < (lines or 0):
        block = min(budget, 4 * block)
        data = stream.read(start, block)
    at_end = start + len(data) == stream.size
    whole = data.rfind(b"\n") + 1
    if whole < len(data) and (stream.quiet_for > UNFINISHED_SECONDS if at_end else whole == 0):
        whole = len(data)
    found: list[_Line] = []
    key, end, now = LONG_AGO, start, datetime.now(UTC)
    for raw in data[:whole].splitlines(keepends=True):
        if len(found) == lines:
            return found, end
        end += len(raw)
        if text := clean(raw.decode(errors="replace")):
            at, _ = split_time(text, zone=None, near=now)
            key = max(key, at) if at else key
            found.append(_Line(key, LogLine(text, at, program), end))
    return found, start + whole


@contextmanager
def _streams(folder: Path, component: str) -> Iterator[dict[str, LogStream]]:
    """The streams of a component's programs, open while the context lasts."""
    with ExitStack() as stack:
        streams = {}
        for file in sorted(folder.glob("*.log")):
            if component_of(file.stem) == component:
                files = _open(file)
                for each in files:
                    stack.callback(os.close, each)
                if files:
                    streams[file.stem] = LogStream(files)
        yield streams


def _open(file: Path) -> list[int]:
    """A program's files, oldest first. Opened the newest first: a rotation in the meantime then shows one file twice,
    which is recognized by its inode, and hides none."""
    found: dict[int, int] = {}
    for name in (file, *(Path(f"{file}.{number}") for number in range(1, OLDER_FILES + 1))):
        try:
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        inode = os.fstat(opened).st_ino
        if inode in found:
            os.close(opened)
        else:
            found[inode] = opened
    return list(found.values())[::-1]


def _encode(positions: dict[str, Position]) -> str:
    """The cursor: these marks, safe to stand in a URL."""
    document = [
        [name, position.inode, position.offset, position.checksum] for name, position in positions.items()
    ]
    return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def _decode(cursor: str) -> dict[str, Position]:
    """The marks of a cursor, by program; none when it is not one of ours."""
    if not cursor or len(cursor) > LONGEST_CURSOR:
        return {}
    try:
        document = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
        return {str(name): Position(*(_number(each) for each in numbers)) for name, *numbers in document}
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return {}


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(value)
    return value
