"""A task's log as lines with a cursor, from any place that hands out its parts.

A cursor is the place in the file where the next line of it begins, and how many of the lines that this one is shown as
were handed out. It may come from a stranger: it only chooses where in the log to begin.
"""

import re
from collections.abc import Callable

from deployments.dataplane.contract import LOG_BEGINNING, LogLine, LogTail, TaskLogGone
from deployments.dataplane.task_log_files import Part
from deployments.domain.task_log_text import texts

MOST_LINES = 5000
PART_BYTES, FIRST_BYTES, LINE_BYTES = 1024 * 1024, 64 * 1024, 400
CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,6})")
SOURCE = "task"

type PartOf = Callable[
    [int | None, int], Part | None
]  # from where (None: the end), and how many bytes at most


def read(part_of: PartOf, *, lines: int, after: str) -> LogTail:
    """See `Driver.task_log`. `part_of` asks for a part, or for nothing when the log is gone."""
    lines = max(1, min(lines, MOST_LINES))
    if after == LOG_BEGINNING:
        return _onwards(part_of, 0, 0, lines)
    if found := CURSOR.fullmatch(after):
        return _onwards(part_of, int(found[1]), int(found[2]), lines)
    return _newest(part_of, lines)


def _newest(part_of: PartOf, lines: int) -> LogTail:
    found: list[str] = []
    for most in sorted({min(PART_BYTES, max(FIRST_BYTES, lines * LINE_BYTES)), PART_BYTES}):
        part = _there(part_of(None, most))
        found = [text for raw in part.data.splitlines() for text in _texts(raw)]
        if part.start == 0 or len(found) >= lines:
            break
    return _tail(found[-lines:], part.end, 0)


def _onwards(part_of: PartOf, start: int, skip: int, lines: int) -> LogTail:
    """The lines from a place on. What is shown as nothing is passed, so that a reader goes on."""
    found: list[str] = []
    while not found:
        part = _there(part_of(start, PART_BYTES))
        if part.start != start:
            skip = 0  # the log is shorter than it was: that cursor means nothing any more
        if not part.data:
            return _tail([], part.start, skip)
        start = part.start
        for raw in part.data.splitlines(keepends=True):
            shown = _texts(raw)
            room = lines - len(found)
            if len(shown) - skip > room:
                return _tail([*found, *shown[skip : skip + room]], start, skip + room)
            found += shown[skip:]
            start, skip = start + len(raw), 0
    return _tail(found, start, skip)


def _texts(raw: bytes) -> list[str]:
    return texts(raw.decode(errors="replace"))


def _tail(found: list[str], start: int, skip: int) -> LogTail:
    return LogTail(tuple(LogLine(text, None, SOURCE) for text in found), f"{start}.{skip}")


def _there(part: Part | None) -> Part:
    if part is None:
        raise TaskLogGone
    return part
