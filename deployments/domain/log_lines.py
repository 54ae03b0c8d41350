"""Lines of logs as text: what is stripped from them, and the time at their start. Pure: no I/O, no clock."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

LONGEST_LINE = 4000  # characters; the rest of a longer line is cut off, and marked so
LAST_LINES = 60  # among so many `why_ended` looks

# Colours and other terminal sequences; control characters, the C1 ones included; marks that turn the direction of
# text, with which one line could pass for another; lone surrogates and separators that break lines in a browser.
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# "2026-11-21T10:00:00.123456Z" (structlog), "[2026-11-21T10:00:00.123+0000]" and "[2026-11-21 10:00:00 +0000]" (older
# Airflow, gunicorn), "[2026-11-21 10:00:00,123: INFO/MainProcess]" (Celery).
ISO = re.compile(
    r"\[?(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?"
    r" ?(?P<zone>Z|[+-]\d\d:?\d\d)?(?P<end>\]|(?=:? |\t)|$) ?"
)
# "4242:M 21 Nov 2026 10:00:00.123 * Ready to accept connections" (Redis)
REDIS = re.compile(
    r"(?P<who>\d+:[A-Z]) (?P<day>\d\d [A-Z][a-z]{2} \d{4}) (?P<time>\d\d:\d\d:\d\d)\.(?P<part>\d{3}) "
)
# "E1121 10:00:03.000000       1 main.go:42] x" (programs of Kubernetes). It names no year.
KLOG = re.compile(
    r"(?P<level>[IWEF])(?P<month>\d\d)(?P<day>\d\d) (?P<time>\d\d:\d\d:\d\d)\.(?P<part>\d{6})(?=\s+\d+ \S+:\d+\] )"
)
# 'time="2026-11-21T10:00:02Z" level=error msg="x"' (logfmt)
LOGFMT = re.compile(r"(?:time|ts)=\"?(?P<at>[0-9T:.Z+-]{19,40})\"?(?= |$)")
JSON_TIMES = ("timestamp", "time", "ts", "@timestamp", "asctime")
SOUNDS_LIKE_ERROR = re.compile(
    r"error|exception|critical|fatal|denied|refused|no such|cannot|failed", re.IGNORECASE
)
NO_ERROR = re.compile(
    r"\b(?:0|no|without|zero) (?:\w+ )?(?:errors?|exceptions?|failures?|failed)\b", re.IGNORECASE
)
# The last line of a traceback ("ModuleNotFoundError: …", "psycopg2.errors.UndefinedTable: …"), or a level.
IS_ERROR = re.compile(
    r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)(?::|$)|^(?:[a-z_]\w*\.)+[A-Z]\w*(?::|$)"
    r"|\b(?:ERROR|CRITICAL|FATAL)\b|\[(?:error|critical|exception) *\]|^(?:error|fatal)\b.*:",
    re.MULTILINE,
)
# What a web server notes down of each request, whatever is in its path: Airflow's own (3.1 on) and uvicorn's.
REQUEST = re.compile(r"\[http\.access\]|\"[A-Z]+ /\S* HTTP/[0-9.]+\" [0-9]{3}")
# What our launcher on a machine says before the program runs: how it was started, which is no reason to end.
LAUNCHER = re.compile(r"^launch\.py: ")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def clean(text: str) -> str:
    """One line without colours, control characters and what else could deceive a reader; tabs stay. At most
    LONGEST_LINE characters."""
    plain = UNPRINTABLE.sub("", text).rstrip()
    return plain if len(plain) <= LONGEST_LINE else f"{plain[:LONGEST_LINE]} … (cut)"


def why_ended(lines: Sequence[str]) -> str:
    """Of a program's last lines the one that most likely says why it ended: the last that is an error by its form, else
    the last that sounds like one, else the last; a request that it answered only when there is nothing else. "" of
    none. At most 1000 characters."""
    lines = [line for line in lines if not LAUNCHER.match(line)]
    message = [line for line in lines if not REQUEST.search(line)] or lines
    sounding = [line for line in message if SOUNDS_LIKE_ERROR.search(NO_ERROR.sub("", line))]
    formal = [line for line in message if IS_ERROR.search(line)]
    return (formal or sounding or message or [""])[-1][:1000]


def split_time(
    text: str, *, zone: tzinfo | None = UTC, near: datetime | None = None
) -> tuple[datetime | None, str]:
    """The moment at the start of a line, aware and in UTC, and the rest of the line; None and the whole line without.

    A time that names no zone is one of `zone`; None means the zone of the machine that reads. One that names no year is
    of the year in which it comes closest to `near`, and no time without. A document (JSON, logfmt) stays whole.
    """
    if (document := document_of(text)) is not None:
        return _moment_in(document, zone), text
    if found := LOGFMT.match(text):
        return _moment_of(found["at"], zone), text
    if found := KLOG.match(text):
        rest = f"{found['level']}{text[found.end() :]}"
        return (_closest(found, near), rest) if near else (None, text)
    if found := ISO.match(text):
        rest = text[found.end() :] if found["end"] else text[found.end() :].lstrip(": \t")
        day = found["day"]
    elif found := REDIS.match(text):
        number, month, year = found["day"].split()
        if month not in MONTHS:
            return None, text
        day = f"{year}-{MONTHS.index(month) + 1:02}-{number}"
        rest = text[found.end() :]
    else:
        return None, text
    part = (found["part"] or "0")[:6].ljust(6, "0")
    named = found.groupdict().get("zone") or ""
    moment = _moment_of(f"{day}T{found['time']}.{part}{named}", zone)
    return (moment, rest) if moment else (None, text)


def document_of(text: str) -> dict[str, Any] | None:
    """The line as a JSON object; None for any other."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _moment_in(document: dict[str, Any], zone: tzinfo | None) -> datetime | None:
    value = next((document[key] for key in JSON_TIMES if key in document), None)
    if isinstance(value, str):
        return _moment_of(value, zone)
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value > 1e11 else value  # milliseconds
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _moment_of(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone) if zone else moment.astimezone()
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _closest(found: re.Match[str], near: datetime) -> datetime | None:
    clock = f"{found['month']}-{found['day']}T{found['time']}.{found['part']}+00:00"
    years = (_moment_of(f"{near.year + shift:04}-{clock}", UTC) for shift in (-1, 0, 1))
    moments = [moment for moment in years if moment is not None]
    return min(moments, key=lambda moment: abs(moment - near), default=None)
