"""What tasks write, as people read it; and what the path of a log says."""

import json

import pytest

from deployments.dataplane.contract import LogLine
from deployments.domain.task_log_text import TaskPath, task_path, texts
from deployments.queries.log_levels import read


def line(**document: object) -> str:
    return json.dumps({"timestamp": "2026-11-28T10:00:00Z", "level": "info", "event": "x", **document})


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({}, "x"),
        (
            {"event": "DAG bundles loaded", "logger": "airflow.bundles"},
            "DAG bundles loaded [airflow.bundles]",
        ),
        ({"event": "hello", "logger": "task.stdout"}, "hello"),
        (
            {"event": "hello", "logger": "task", "ti_id": "7", "n": 3, "m": {"a": 1}},
            'hello n=3 m={"a": 1}',
        ),
        (
            {
                "event": "hello",
                "dag_id": "a",
                "run_id": "r",
                "map_index": -1,
                "try_number": 1,
                "chan": "stdout",
            },
            "hello",
        ),
        ({"event": "::group::Pre Execute"}, "Pre Execute"),
        ({"event": "x", "filename": "a.py", "lineno": 3}, "x"),
        ({"event": None}, "None"),
        ({"event": {"a": 1}}, "{'a': 1}"),
        ({"event": "\x1b[31mred\x1b[0m \u202eevil"}, "red evil"),
        ({"level": None}, "x"),
    ],
)
def test_an_event_is_one_line_with_its_time_and_level(document, shown) -> None:
    (text,) = texts(line(**document))
    (found,), _ = read([LogLine(text)])
    assert found.text == shown
    assert found.level == "info"
    assert found.at is not None


def test_levels_of_airflow_are_levels_of_the_page() -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        (found,), _ = read([LogLine(text) for text in texts(line(level=level))])
        assert found.level == level


def test_a_chain_of_exceptions_is_printed_as_python_prints_it() -> None:
    frame = {"filename": "a.py", "lineno": 3, "name": "run"}
    last = {"exc_type": "RuntimeError", "exc_value": "no load", "frames": [frame]}
    first = {"exc_type": "KeyError", "exc_value": "'x'", "frames": [frame]}
    assert texts(line(level="error", event="Task failed", error_detail=[last, first]))[1:] == [
        "Traceback (most recent call last):",
        '  File "a.py", line 3, in run',
        "KeyError: 'x'",
        "  … during which, or because of which:",
        "Traceback (most recent call last):",
        '  File "a.py", line 3, in run',
        "RuntimeError: no load",
    ]


@pytest.mark.parametrize(
    "detail",
    [None, 3, "x", [], [3], [{}], [{"frames": 3}], [{"frames": [3]}], [{"frames": [{}] * 5000}] * 500],
)
def test_what_is_no_traceback_breaks_nothing_and_is_bounded(detail) -> None:
    assert len(texts(line(error_detail=detail))) < 700


@pytest.mark.parametrize("raw", ["plain text", "{", '{"no": "event"}', "[1]", "{" * 5000, "  indented"])
def test_what_is_no_event_is_shown_as_it_is(raw) -> None:
    assert texts(raw) == [raw if len(raw) < 4000 else raw[:4000] + " … (cut)"]


def test_empty_lines_are_none() -> None:
    assert texts(line(event="::endgroup::")) == []
    assert texts("") == texts("\n") == texts("  \n") == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("dag_id=a/run_id=r/task_id=t/attempt=1.log", TaskPath("a", "r", "t", "", "1")),
        ("dag_id=a/run_id=r/task_id=g.t/map_index=3/attempt=12.log", TaskPath("a", "r", "g.t", "3", "12")),
        ("dag_id=a/run_id=r/task_id=t/attempt=1.log.trigger.7.log", TaskPath("a", "r", "t", "", "1", "7")),
        ("theirs/attempt=x.log", TaskPath()),
        ("", TaskPath()),
    ],
)
def test_a_path_says_which_task(path, said) -> None:
    assert task_path(path) == said


def test_a_task_in_words() -> None:
    assert task_path("dag_id=a/run_id=r/task_id=t/map_index=0/attempt=2.log").words == "t [0] of a, attempt 2"
    deferred = task_path("dag_id=a/run_id=r/task_id=t/attempt=1.log.trigger.7.log")
    assert deferred.words == "t of a, attempt 1, while it was deferred"
    assert task_path("theirs.log").words == ""
