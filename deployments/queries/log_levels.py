"""Lines of logs as a page shows them: time, level and text apart, and which of them a person asked for. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from deployments.dataplane.contract import LogLine
from deployments.domain.log_lines import LOGFMT, REQUEST, document_of, split_time
from deployments.domain.log_lines import REDIS as REDIS_LINE

LONGEST_CARRY = 2000  # characters
SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")  # a program's or a pod's name


class Level(StrEnum):
    """How serious a line is, least first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def label(self) -> str:
        """The word in the line."""
        return self.value.upper()

    def at_least(self, other: "Level") -> bool:
        """Whether this is as serious as `other`, or more."""
        order = list(Level)
        return order.index(self) >= order.index(other)


WORDS = {level.value: level for level in Level} | {
    "warn": Level.WARNING,
    "exception": Level.ERROR,
    "fatal": Level.CRITICAL,
    "trace": Level.DEBUG,
    "notice": Level.INFO,
}
_WORD = rf"(?P<word>{'|'.join(sorted(WORDS, key=len, reverse=True))})"


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


# What follows the time of a line, and what is left of it once the level is shown apart.
FORMATS = _compiled(
    rf"\[{_WORD} *\] +",  # structlog: "[error    ] Job failed [airflow.jobs] loc=x.py:12"
    rf"(?P<keep>\[\d+\] )\[{_WORD}\] ",  # gunicorn: "[4242] [INFO] Booting"
    rf"(?P<keep>(?:\[SOURCE:\w+\] )?\{{[^}}]*\}} ){_WORD} - ",  # Airflow: "{scheduler.py:12} ERROR - Job failed"
    rf"{_WORD}/[\w-]+\] ",  # Celery: "ERROR/MainProcess] Task failed", its bracket opened before the time
    r"(?-i:(?P<word>DEBUG|INFO|WARNING|ERROR|CRITICAL)):(?P<keep>[\w.]+:)",  # Python's default: "ERROR:etl:refused"
    rf"(?:- )?{_WORD}: +",  # uvicorn: "INFO:     x"
)
# Without a time before them these are ordinary words.
TIMED_FORMATS = _compiled(
    rf"(?:- )?(?P<keep>(?:[\w.$/:()-]+ - ){{1,3}}){_WORD} - ",  # Python with a name: "etl.load - ERROR - refused"
    rf"\| +{_WORD} +\| ",  # loguru: "| ERROR    | etl.load:run:12 - refused"
    rf"(?:- )?{_WORD}(?: - | +\[|\t+| +(?=\S))",  # Python: "ERROR - x", "WARN exited"
)
KLOG_LEVELS = {"I": Level.INFO, "W": Level.WARNING, "E": Level.ERROR, "F": Level.CRITICAL}
KLOG_LINE = re.compile(
    r"([IWEF])\s+(?=\d+ \S+:\d+\] )"
)  # programs of Kubernetes, without the time: "E  1 main.go:42] x"
JSON_LEVELS = ("level", "levelname", "severity", "log.level", "lvl")
JSON_NUMBERS = {20: Level.DEBUG, 30: Level.INFO, 40: Level.WARNING, 50: Level.ERROR, 60: Level.CRITICAL}
LOGFMT_LEVEL = re.compile(r"\b(?:level|lvl)=\"?(\w+)")
REDIS = {".": Level.DEBUG, "-": Level.DEBUG, "*": Level.INFO, "#": Level.WARNING}
PYTHON_WARNING = re.compile(r"\S+:\d+: (?:\w+\.)*\w*Warning: ")
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|[│╭]─* Traceback")


@dataclass(frozen=True)
class Shown:
    """One line. `head` is False for a line that belongs to the one before (a traceback): it has its level and time.
    `text` is the line without its time and level, `whole` all of it."""

    text: str
    whole: str
    source: str
    level: Level
    at: datetime | None
    head: bool


@dataclass(frozen=True)
class LogFilters:
    """What a person asked for; empty is everything. `since` is a moment."""

    level: Level | None = None
    since: datetime | None = None
    text: str = ""

    def match(self, line: Shown) -> bool:
        """Whether the line is asked for. One without any time counts as recent."""
        if self.level and not line.level.at_least(self.level):
            return False
        if self.since and line.at and line.at < self.since:
            return False
        return self.text.casefold() in line.whole.casefold()


ANSWERED = re.compile(r"status_code=[1-4]\d\d\b|\" [1-4]\d\d\b")  # with a status below 500

SINCE = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
}


def read(
    lines: Iterable[LogLine], carry: Mapping[str, Level] | None = None
) -> tuple[list[Shown], dict[str, Level]]:
    """The lines with their levels, and the last level of each source, for the lines that come next."""
    levels = dict(carry or {})
    times: dict[str, datetime] = {}
    found = []
    for line in lines:
        moment, rest = split_time(line.text, near=line.at or times.get(line.source))
        level, text = _level_in_document(line.text), rest
        if level is None:
            level, text = level_of(
                rest, timed=moment is not None, redis=REDIS_LINE.match(line.text) is not None
            )
        head = level is not None or moment is not None
        if level is None:
            level = Level.INFO if head else levels.get(line.source, Level.INFO)
            if TRACEBACK.search(rest) and not level.at_least(Level.ERROR):
                level, head = Level.ERROR, True  # printed by no logger
        if at := line.at or moment:
            times[line.source] = at
        levels[line.source] = level
        found.append(
            Shown(text, line.text, line.source, level, line.at or moment or times.get(line.source), head)
        )
    return found, levels


def _level_in_document(line: str) -> Level | None:
    """The level that a JSON object or logfmt names. Such lines are shown whole."""
    if (document := document_of(line)) is not None:
        value = next((document[key] for key in JSON_LEVELS if key in document), None)
        return WORDS.get(value.lower()) if isinstance(value, str) else _numbered(value)
    if LOGFMT.match(line) and (found := LOGFMT_LEVEL.search(line)):
        return WORDS.get(found[1].lower())
    return None


def _numbered(value: object) -> Level | None:
    return JSON_NUMBERS.get(value) if isinstance(value, int) else None


def level_of(rest: str, *, timed: bool, redis: bool = False) -> tuple[Level | None, str]:
    """The level that a line names after its time, and the text without it; None and the whole text when it names none.
    A line without a time (`timed`) is believed only when it looks like uvicorn's or a warning of Python's; single marks
    are levels in lines of Redis alone (`redis`)."""
    if timed and (found := KLOG_LINE.match(rest)):
        return KLOG_LEVELS[found[1]], rest[found.end() :]
    for pattern in (*FORMATS, *(TIMED_FORMATS if timed else ())):
        if found := pattern.match(rest):
            kept = found.groupdict().get("keep") or ""
            return WORDS[found["word"].lower()], kept + rest[found.end() :]
    if redis and rest[:1] in REDIS and rest[1:2] == " ":
        return REDIS[rest[0]], rest[2:]
    if not rest.startswith((" ", "\t")) and PYTHON_WARNING.match(rest):
        return Level.WARNING, rest
    return None, rest


def relevant(lines: list[Shown], most: int) -> list[Shown]:
    """The lines that most likely say what is wrong: the last block of errors, else the last lines. A request for what
    is not there, or by who may not, is answered as it should be: no error, at whatever level it is noted down."""
    wrong = [
        number
        for number, line in enumerate(lines)
        if line.level.at_least(Level.ERROR)
        and not (REQUEST.search(line.whole) and ANSWERED.search(line.whole))
    ]
    if not wrong:
        return lines[-most:]
    chosen = wrong[-most:]
    # A block counts from its head on: who was called comes before what went wrong.
    heads = [number for number in chosen if lines[number].head]
    if heads and len(chosen) == most:
        chosen = [number for number in chosen if number >= heads[0]]
    return [lines[number] for number in chosen]


def pack(carry: Mapping[str, Level]) -> str:
    """The levels as text for a URL."""
    return ",".join(f"{source}:{level}" for source, level in sorted(carry.items()))


def unpack(text: str) -> dict[str, Level]:
    """The levels from a URL; what is not one of ours is left out."""
    if len(text) > LONGEST_CARRY:
        return {}
    pairs = (part.rpartition(":") for part in text.split(","))
    return {name: Level(word) for name, _, word in pairs if SOURCE.fullmatch(name) and word in set(Level)}
