"""What the driver contract says of the logs of tasks, as tests; a part of `contract.DriverContract`."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deployments.dataplane.contract import LOG_BEGINNING, TaskLogGone, TaskLogs

if TYPE_CHECKING:
    from deployments.tests.dataplane.contract import Harness

WRITTEN_SECONDS = 5.0
# As Airflow writes it: an object a line, a traceback in one of them, a print of two lines; and a line of another kind.
TASK_LOG = """\
{"timestamp":"2026-11-28T10:00:00.000001Z","level":"info","event":"Task starts ü","logger":"task","try":1}
{"timestamp":"2026-11-28T10:00:01.000001Z","level":"info","event":"one\\ntwo","logger":"task.stdout"}

plain text
{"timestamp":"2026-11-28T10:00:02.000001Z","level":"error","event":"Task failed","logger":"task",\
"error_detail":[{"exc_type":"ValueError","exc_value":"no","frames":[{"filename":"a.py","lineno":3,"name":"run"}]}]}
"""
TASK_LOG_SHOWN = [
    "2026-11-28T10:00:00.000001Z [info     ] Task starts ü try=1",
    "2026-11-28T10:00:01.000001Z [info     ] one",
    "two",
    "plain text",
    "2026-11-28T10:00:02.000001Z [error    ] Task failed",
    "Traceback (most recent call last):",
    '  File "a.py", line 3, in run',
    "ValueError: no",
]


class TaskLogContract:
    """See `DriverContract`."""

    def test_logs_of_tasks_are_listed_the_newest_first_and_read_whole_in_portions(
        self, harness: "Harness"
    ) -> None:
        case, run = harness.running(), f"run_id=manual__{time.time_ns()}"
        first, second = (f"dag_id=a ü/{run}/task_id=t/attempt={n}.log" for n in (1, 2))
        for path in (first, second):
            harness.write_task_log(case, path, TASK_LOG)
        driver = harness.new_driver()
        found = driver.task_logs(case.ref, text=f"A {run.upper()}")
        assert [each.path for each in found.logs] == [second, first]
        assert found.whole
        assert {each.size for each in found.logs} == {len(TASK_LOG.encode())}
        assert all(
            abs((datetime.now(UTC) - each.at).total_seconds()) < WRITTEN_SECONDS for each in found.logs
        )
        newest = driver.task_logs(case.ref, text=run, most=1)
        assert ([each.path for each in newest.logs], newest.whole) == ([second], False)
        assert driver.task_logs(case.ref, text=f"{run} nothing like it") == TaskLogs()

        whole = [line.text for line in driver.task_log(case.ref, first, lines=5000).lines]
        assert whole == TASK_LOG_SHOWN
        tail = driver.task_log(case.ref, first, lines=2)
        assert [line.text for line in tail.lines] == TASK_LOG_SHOWN[-2:]
        assert driver.task_log(case.ref, first, after=tail.cursor).lines == ()
        for portion in (1, 2, 3, 5000):
            seen, cursor = [], LOG_BEGINNING
            while (part := driver.task_log(case.ref, first, lines=portion, after=cursor)).lines:
                assert len(part.lines) <= portion
                seen, cursor = seen + [line.text for line in part.lines], part.cursor
            assert seen == TASK_LOG_SHOWN

    def test_a_log_of_a_task_that_is_not_there_and_what_leads_elsewhere_is_a_sentence(
        self, harness: "Harness"
    ) -> None:
        case, driver = harness.running(), harness.new_driver()
        for path in (
            "dag_id=none/attempt=1.log",
            "",
            "/etc/passwd",
            "../../../etc/passwd",
            "a/../../b",
            "a//b",
            ".",
            "dag_id=a ü",
            "a\x00b",
            "x" * 2000,
            "\ud800",
        ):
            with pytest.raises(TaskLogGone) as gone:
                driver.task_log(case.ref, path)
            assert str(gone.value).endswith(".")
        path = f"dag_id=cursors/attempt={time.time_ns()}.log"
        harness.write_task_log(case, path, TASK_LOG)
        for cursor in ("nonsense", "../../etc/passwd", "é" * 9000, "99999999.3", "1.2.3"):
            assert driver.task_log(case.ref, path, lines=1, after=cursor).lines
