"""Levels of lines in every format that the components write, and the filters of the log page."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.contract import LogLine
from deployments.queries.log_levels import Filters, Level, pack, read, relevant, unpack

AT = "2026-11-21T12:00:00.123456Z"
NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def shown(*texts: str, source: str = "scheduler"):
    return read([LogLine(text, None, source) for text in texts])[0]


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        (
            f"{AT} [error    ] Job failed [airflow.jobs] loc=x.py:1",
            "error",
            "Job failed [airflow.jobs] loc=x.py:1",
        ),
        (f"{AT} [info     ] Up", "info", "Up"),
        (f"{AT} [warning  ] Slow", "warning", "Slow"),
        (f"{AT} [exception] Boom", "error", "Boom"),
        ("[2026-11-21T12:00:00.123+0000] {x.py:1} ERROR - Boom", "error", "{x.py:1} Boom"),
        (
            "[2026-11-21T12:00:00.123+0000] [SOURCE:DAG_PROCESSOR] {x.py:1} WARNING - Slow",
            "warning",
            "[SOURCE:DAG_PROCESSOR] {x.py:1} Slow",
        ),
        ("[2026-11-21 12:00:00 +0000] [42] [CRITICAL] Worker lost", "critical", "[42] Worker lost"),
        ("[2026-11-21 12:00:00,123: ERROR/ForkPoolWorker-1] Task failed", "error", "Task failed"),
        ("2026-11-21 12:00:00,123 - WARNING - Slow", "warning", "Slow"),
        ("2026-11-21 12:00:00,123 WARN exited: x", "warning", "exited: x"),
        ("42:M 21 Nov 2026 12:00:00.123 # Out of memory", "warning", "Out of memory"),
        ("42:M 21 Nov 2026 12:00:00.123 * Ready", "info", "Ready"),
        (
            'INFO:     127.0.0.1:4242 - "GET / HTTP/1.1" 200 OK',
            "info",
            '127.0.0.1:4242 - "GET / HTTP/1.1" 200 OK',
        ),
        ("ERROR:    Application startup failed. Exiting.", "error", "Application startup failed. Exiting."),
        ("/x/y.py:12: DeprecationWarning: old", "warning", "/x/y.py:12: DeprecationWarning: old"),
        ("Traceback (most recent call last):", "error", "Traceback (most recent call last):"),
        ("Error in words only", "info", "Error in words only"),
        ("[errors were made]", "info", "[errors were made]"),
        (f"{AT} errors: 0", "info", "errors: 0"),
    ],
)
def test_the_level_is_read_in_every_format(line, level, text):
    [one] = shown(line)
    assert (one.level, one.text, one.whole) == (level, text, line)


def test_a_traceback_belongs_to_the_line_before():
    lines = shown(
        f"{AT} [error    ] Job failed",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "ValueError: no such file",
        f"{AT} [info     ] Going on",
    )
    assert [line.level for line in lines] == [Level.ERROR] * 4 + [Level.INFO]
    assert [line.head for line in lines] == [True, False, False, False, True]
    assert {line.at for line in lines} == {NOON}


def test_a_traceback_that_no_logger_wrote_is_an_error():
    lines = shown(f"{AT} [info     ] Starting", "Traceback (most recent call last):", "KeyError: 'x'")
    assert [line.level for line in lines] == [Level.INFO, Level.ERROR, Level.ERROR]


def test_instances_do_not_lend_each_other_their_levels_and_the_next_lines_go_on():
    a, b = LogLine(f"{AT} [error    ] A", None, "a"), LogLine(f"{AT} [info     ] B", None, "b")
    _, carry = read([a, b])
    assert unpack(pack(carry)) == carry == {"a": Level.ERROR, "b": Level.INFO}
    lines, _ = read([LogLine("  more of A", None, "a"), LogLine("  more of B", None, "b")], carry)
    assert [(line.source, line.level) for line in lines] == [("a", Level.ERROR), ("b", Level.INFO)]


@pytest.mark.parametrize("text", ["", "a", ":error", "a:loud", "a:error" * 1000, ",,,:", "a\r\nX:error"])
def test_levels_from_a_stranger_are_left_out(text):
    assert unpack(text) == {}


def test_filters_leave_what_was_asked_for():
    lines = shown(
        f"{AT} [debug    ] Quiet",
        f"{AT} [info     ] Hello World",
        f"{AT} [error    ] Boom",
        "  trace of Boom",
        "2026-11-21T12:05:00Z [warning  ] Late",
    )

    def left(**asked):
        return [line.text.strip() for line in lines if Filters(**asked).match(line)]

    assert len(left()) == 5
    assert left(level=Level.WARNING) == ["Boom", "trace of Boom", "Late"]
    assert left(since=NOON + timedelta(minutes=1)) == ["Late"]
    assert left(text="hello w") == ["Hello World"]
    assert left(text="[ERROR") == ["Boom"]
    assert left(level=Level.ERROR, text="late") == []


def test_the_lines_that_tell_are_the_last_errors_from_their_head_on():
    ordinary = [f"{AT} [info     ] {n}" for n in range(20)]
    assert [line.text for line in relevant(shown(*ordinary), 3)] == ["17", "18", "19"]
    lines = shown(
        f"{AT} [error    ] Old",
        *ordinary,
        f"{AT} [error    ] New",
        "Traceback (most recent call last):",
        "  x",
        *ordinary,
    )
    assert [line.text for line in relevant(lines, 8)] == [
        "Old",
        "New",
        "Traceback (most recent call last):",
        "  x",
    ]
    assert [line.text for line in relevant(lines, 3)] == ["New", "Traceback (most recent call last):", "  x"]
    assert len(relevant(lines, 2)) == 2
