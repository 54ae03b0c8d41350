"""Log files of programs as one bounded stream of lines: cursors, rotation, several instances, hostile text."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.contract import LOG_BEGINNING
from deployments.dataplane.local import logs
from deployments.domain.log_lines import LONGEST_LINE, clean, split_time

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def line(number: int, text: str = "line") -> str:
    return f"{NOON + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ} [info     ] {text} {number}\n"


def write(folder, program: str, text: str) -> None:
    with (folder / f"{program}.log").open("a") as file:
        file.write(text)


def read(folder, component="scheduler", *, lines=200, after=""):
    return logs.read(folder, component, lines=lines, after=after)


def texts(tail) -> list[str]:
    return [each.text.rpartition("] ")[2] for each in tail.lines]


def rotate(folder, program: str) -> None:
    """As supervisord does."""
    for number in (2, 1):
        older = folder / f"{program}.log.{number}"
        if older.exists():
            older.rename(folder / f"{program}.log.{number + 1}")
    (folder / f"{program}.log").rename(folder / f"{program}.log.1")


def test_a_component_without_files_has_no_lines(tmp_path):
    write(tmp_path, "worker-default-01", line(1))
    assert read(tmp_path) == read(tmp_path / "nowhere") == read(tmp_path, "worker")
    assert read(tmp_path).lines == ()


def test_the_last_lines_come_oldest_first(tmp_path):
    write(tmp_path, "scheduler", "".join(line(n) for n in range(9000)))
    tail = read(tmp_path, lines=3)
    assert texts(tail) == ["line 8997", "line 8998", "line 8999"]
    assert tail.lines[0].at == NOON + timedelta(seconds=8997)
    assert tail.lines[0].source == "scheduler"
    assert len(read(tmp_path, lines=50_000).lines) == logs.MOST_LINES


def test_reading_on_neither_loses_nor_repeats_a_line(tmp_path):
    write(tmp_path, "scheduler", line(0))
    tail = read(tmp_path)
    seen = texts(tail)
    for number in range(1, 200):
        write(tmp_path, "scheduler", line(number))
        if number % 3 == 0:
            tail = read(tmp_path, after=tail.cursor)
            seen += texts(tail)
        if number in (50, 51, 120):
            rotate(tmp_path, "scheduler")
            write(tmp_path, "scheduler", "")
    seen += texts(read(tmp_path, after=tail.cursor))
    assert seen == [f"line {n}" for n in range(200)]


def test_a_burst_is_read_in_portions(tmp_path):
    write(tmp_path, "scheduler", line(0))
    cursor = read(tmp_path).cursor
    write(tmp_path, "scheduler", "".join(line(n) for n in range(1, 26)))
    seen = []
    for _ in range(3):
        tail = read(tmp_path, lines=10, after=cursor)
        assert len(tail.lines) <= 10
        seen, cursor = seen + texts(tail), tail.cursor
    assert seen == [f"line {n}" for n in range(1, 26)]
    assert read(tmp_path, lines=10, after=cursor).lines == ()


def test_from_the_beginning_everything_that_is_kept_is_read(tmp_path):
    for part in range(4):
        write(tmp_path, "scheduler", "".join(line(n) for n in range(part * 100, part * 100 + 100)))
        if part < 3:
            rotate(tmp_path, "scheduler")
    seen, cursor = [], LOG_BEGINNING
    while tail := read(tmp_path, lines=70, after=cursor):
        if not tail.lines:
            break
        seen, cursor = seen + texts(tail), tail.cursor
    assert seen == [f"line {n}" for n in range(400)]


def test_a_line_cut_in_two_by_a_rotation_is_whole_again(tmp_path):
    whole = line(1)
    write(tmp_path, "scheduler", line(0) + whole[:30])
    rotate(tmp_path, "scheduler")
    write(tmp_path, "scheduler", whole[30:] + line(2))
    assert texts(read(tmp_path)) == ["line 0", "line 1", "line 2"]


def test_an_unfinished_line_is_waited_for_and_shown_when_nothing_follows(tmp_path):
    write(tmp_path, "scheduler", line(0) + "2026-11-21T12:00:01Z [info     ] half")
    tail = read(tmp_path)
    assert texts(tail) == ["line 0"]
    write(tmp_path, "scheduler", " a line\nKilled")
    tail = read(tmp_path, after=tail.cursor)
    assert texts(tail) == ["half a line"]
    os.utime(tmp_path / "scheduler.log", (0, 0))
    tail = read(tmp_path, after=tail.cursor)
    assert texts(tail) == ["Killed"]
    assert read(tmp_path, after=tail.cursor).lines == ()


@pytest.mark.parametrize("grown", [False, True])
def test_a_log_that_was_cut_starts_anew(tmp_path, grown):
    write(tmp_path, "scheduler", "".join(line(n) for n in range(10)))
    cursor = read(tmp_path).cursor
    os.truncate(tmp_path / "scheduler.log", 0)
    again = [100 + n for n in range(30 if grown else 1)]
    write(tmp_path, "scheduler", "".join(line(n) for n in again))
    assert texts(read(tmp_path, after=cursor)) == [f"line {n}" for n in again]


def test_instances_are_merged_by_time_and_blocks_stay_together(tmp_path):
    write(tmp_path, "scheduler", line(0, "a") + "  Traceback of a\n  more of a\n" + line(4, "a"))
    write(tmp_path, "scheduler-2", line(1, "b") + "  Traceback of b\n" + line(2, "b"))
    tail = read(tmp_path)
    assert texts(tail) == ["a 0", "  Traceback of a", "  more of a", "b 1", "  Traceback of b", "b 2", "a 4"]
    assert [each.source[-2:] for each in tail.lines] == ["er", "er", "er", "-2", "-2", "-2", "er"]
    write(tmp_path, "scheduler-2", line(5, "b"))
    write(tmp_path, "scheduler-3", line(6, "c"))  # an instance that is new
    assert texts(read(tmp_path, after=tail.cursor)) == ["b 5", "c 6"]


FORGED = [
    "nonsense",
    "é",
    "a" * 10_000,
    base64.urlsafe_b64encode(b"[[").decode(),
    *(
        base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
        for document in (
            {},
            [],
            [1],
            "scheduler",
            [["scheduler"]],
            [["scheduler", "1", 2, 3]],
            [["scheduler", -1, -2, -3]],
            [["scheduler", 1, 10**30, 3]],
            [["../../../etc/passwd", 1, 0, 0]],
            [[["scheduler"], 1, 0, 0]],
            [["scheduler", 1, 0, 0, 0]],
        )
    ),
    base64.urlsafe_b64encode(b"[" * 3000).decode(),
]


@pytest.mark.parametrize("cursor", FORGED)
def test_a_forged_cursor_reads_nothing_but_the_log(tmp_path, cursor):
    write(tmp_path, "scheduler", line(1))
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "scheduler-2.log").symlink_to(tmp_path / "secret")
    assert texts(read(tmp_path, after=cursor)) == ["line 1"]


def test_what_could_deceive_a_reader_is_stripped_and_long_lines_are_cut():
    hostile = "\x1b[31mred\x1b[0m \x1b]0;title\x07a\x00b\x08\x9b2J \u202eevil \u2066x\u2028y\ud800\tz\r\n"
    assert clean(hostile) == "red ab2J evil xy\tz"
    assert clean("x" * 1_000_000) == "x" * LONGEST_LINE + " … (cut)"


@pytest.mark.parametrize(
    ("text", "seconds", "rest"),
    [
        ("2026-11-21T12:00:01.500000Z [info     ] Up", 1.5, "[info     ] Up"),
        ("[2026-11-21T12:00:01.500+0000] {a.py:1} INFO - Up", 1.5, "{a.py:1} INFO - Up"),
        ("[2026-11-21T14:00:01+02:00] {a.py:1} INFO - Up", 1, "{a.py:1} INFO - Up"),
        ("[2026-11-21 12:00:01 +0000] [7] [INFO] Up", 1, "[7] [INFO] Up"),
        ("[2026-11-21 12:00:01,500: INFO/MainProcess] Up", 1.5, "INFO/MainProcess] Up"),
        ("2026-11-21 12:00:01,500 WARN exited: x", 1.5, "WARN exited: x"),
        ("7:M 21 Nov 2026 12:00:01.500 * Ready", 1.5, "* Ready"),
        ("2026-11-21T12:00:01Z", 1, ""),
    ],
)
def test_the_time_of_a_line_is_read_in_every_format(text, seconds, rest):
    assert split_time(text) == (NOON + timedelta(seconds=seconds), rest)


@pytest.mark.parametrize(
    "text", ["Traceback", "", "2026-99-99T00:00:00Z x", "20 files", "7:M 21 Foo 2026 12:00:01.500 * x"]
)
def test_a_line_without_a_time_is_left_whole(text):
    assert split_time(text) == (None, text)


def test_no_call_reads_more_than_its_budget(tmp_path, monkeypatch):
    write(tmp_path, "scheduler", "".join(line(n) for n in range(20_000)))
    total = 0
    real = os.pread

    def counted(file, length, offset):
        nonlocal total
        found = real(file, length, offset)
        total += len(found)
        return found

    monkeypatch.setattr(os, "pread", counted)
    monkeypatch.setattr(logs, "MOST_BYTES", 256 * 1024)
    tail = read(tmp_path, lines=5000)
    assert tail.lines[-1].text.endswith("19999")
    assert total < 3 * 256 * 1024
    (tmp_path / "scheduler.log").write_bytes(b"x" * 2_000_000)  # one endless line
    os.utime(tmp_path / "scheduler.log", (0, 0))
    cursor, lengths = LOG_BEGINNING, 0
    for _ in range(9):
        tail = read(tmp_path, after=cursor)
        cursor, lengths = tail.cursor, lengths + len(tail.lines)
    assert lengths == 8
