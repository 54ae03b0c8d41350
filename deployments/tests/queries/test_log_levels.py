"""Levels of lines in every format that the components write, and the filters of the log page."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.contract import LogLine
from deployments.domain.log_lines import split_time
from deployments.queries.log_levels import Level, LogFilters, pack, read, relevant, unpack

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
        ("2026-11-21 12:00:00,123 - etl.load - ERROR - refused", "error", "etl.load - refused"),
        ("2026-11-21 12:00:00,123 - etl.load - worker-1 - INFO - up", "info", "etl.load - worker-1 - up"),
        ("2026-11-21 12:00:00,123 - counted 5 rows", "info", "- counted 5 rows"),
        ("2026-11-21 12:00:00,123 * a point of a list", "info", "* a point of a list"),
        (
            "2026-11-21 12:00:00.123 | ERROR    | etl.load:run:12 - refused",
            "error",
            "etl.load:run:12 - refused",
        ),
        ("2026-11-21T12:00:00.123Z\tERROR\tmain.go:1\trefused", "error", "main.go:1\trefused"),
        ("ERROR:etl.load:refused", "error", "etl.load:refused"),
        ("error:etl.load:refused", "info", "error:etl.load:refused"),
        ("etl - error - of measurement", "info", "etl - error - of measurement"),
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


@pytest.mark.parametrize(
    ("line", "level", "at"),
    [
        ('{"timestamp":"2026-11-21T10:00:02Z","level":"error","event":"x"}', "error", "10:00:02"),
        (
            '{"time": "2026-11-21 10:00:02,5", "levelname": "WARNING", "message": "x"}',
            "warning",
            "10:00:02.5",
        ),
        ('{"ts":1795255202.25,"severity":"INFO","msg":"x"}', "info", "10:00:02.25"),
        ('{"time":1795255202250,"level":50,"msg":"x"}', "error", "10:00:02.25"),
        ('{"level":"info","msg":"\\"level\\":\\"error\\""}', "info", None),
        ('{"level":["error"],"time":{}}', "info", None),
        ('{"broken', "info", None),
        ('time="2026-11-21T10:00:02Z" level=error msg="x"', "error", "10:00:02"),
        ("ts=2026-11-21T10:00:02.000Z caller=x.go:1 level=warn msg=x", "warning", "10:00:02"),
        ("level=error said somebody", "info", None),
    ],
)
def test_documents_are_read_and_shown_whole(line, level, at):
    [one] = shown(line)
    moment = datetime.fromisoformat(f"2026-11-21T{at}+00:00") if at else None
    assert (one.level, one.at, one.text, one.whole) == (level, moment, line, line)


@pytest.mark.parametrize(
    ("line", "near", "year", "level"),
    [
        ("E1121 10:00:03.000000 1 main.go:42] x", "2026-11-20", 2026, "error"),
        ("W1231 23:59:59.000000       1 a-b.go:42] x", "2027-01-01", 2026, "warning"),
        ("I0101 00:00:01.000000       1 a-b.go:42] x", "2026-12-31", 2027, "info"),
        ("F0229 00:00:01.000000       1 a-b.go:42] x", "2028-03-01", 2028, "critical"),
    ],
)
def test_a_time_without_a_year_is_of_the_year_that_is_nearest(line, near, year, level):
    [one], _ = read([LogLine(line, datetime.fromisoformat(f"{near}T00:00:00+00:00"), "pod")])
    moment, _ = split_time(line, near=datetime.fromisoformat(f"{near}T00:00:00+00:00"))
    assert (moment.year, one.level, one.text) == (
        year,
        level,
        f"1 {'main' if year == 2026 and level == 'error' else 'a-b'}.go:42] x",
    )
    assert split_time(line) == (None, line)
    assert split_time("E1341 10:00:03.000000 1 main.go:42] x", near=moment)[0] is None


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
        return [line.text.strip() for line in lines if LogFilters(**asked).match(line)]

    assert len(left()) == 5
    assert left(level=Level.WARNING) == ["Boom", "trace of Boom", "Late"]
    assert left(since=NOON + timedelta(minutes=1)) == ["Late"]
    assert left(text="hello w") == ["Hello World"]
    assert left(text="[ERROR") == ["Boom"]
    assert left(level=Level.ERROR, text="late") == []


def test_a_request_for_what_is_not_there_is_no_error_of_the_component():
    lines = shown(
        f"{AT} [error    ] Boom",
        f"{AT} [error    ] request finished [http.access] method=GET path=/favicon.ico status_code=404",
        'ERROR:    10.0.0.7:4711 - "GET /errors HTTP/1.1" 404 Not Found',
        'ERROR:    10.0.0.7:4711 - "GET /errors HTTP/1.1" 500 Internal Server Error',
    )
    assert [line.text[:4] for line in relevant(lines, 8)] == ["Boom", "10.0"]
    assert relevant(lines, 8)[1].whole.endswith("500 Internal Server Error")


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
