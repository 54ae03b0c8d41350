"""A machine whose clock was ahead and is set back: what was written down then lies in the future, and holds up
nothing."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.dataplane.local.runtimes.jobs import JobStatus
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.programs import restart_silent
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.local.supervisor.processes import CRASH_LOOP_PAUSE, Processes, may_start
from deployments.dataplane.local.task_logs import DAY, Keeping, keep
from deployments.tests.dataplane.local.test_parts import paths  # noqa: F401 - fixtures
from deployments.tests.dataplane.local.test_silent_programs import StoppedPrograms

YEAR = 365 * DAY


def test_a_job_that_failed_in_the_future_is_tried_again() -> None:
    now = time.time()
    assert JobStatus("No network.", 3, now + YEAR, failed=True).wait(now) == 0
    assert JobStatus("No network.", 3, now, failed=True).wait(now) == 20


@pytest.mark.parametrize(
    ("ago", "expected"), [(CRASH_LOOP_PAUSE - 1, False), (CRASH_LOOP_PAUSE, True), (-3600, True)]
)
def test_a_program_that_crashed_in_the_future_is_started_again(ago: int, expected: bool) -> None:
    now = 1_800_000_000
    info = ProcessInfo("g", "p", "FATAL", 0, now - ago - 20, now - ago, now, 1, "", "")
    assert may_start(info, changed=False) is expected


def test_silence_that_was_first_found_in_the_future_counts_from_now(paths: StateDir, time_machine) -> None:  # noqa: F811
    supervisor = StoppedPrograms()
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    time_machine.move_to(start + timedelta(days=365), tick=False)
    restart_silent(processes, {"scheduler-1": 60.0})
    for second in range(0, 71, 10):
        time_machine.move_to(start + timedelta(seconds=second), tick=False)
        restart_silent(processes, {"scheduler-1": 60.0})
    assert len(supervisor.stopped) == 1


def test_task_logs_are_looked_at_though_the_last_time_was_in_the_future(tmp_path: Path) -> None:
    old = tmp_path / "tasks" / "old.log"
    old.parent.mkdir()
    assert keep(tmp_path, Keeping(), now=time.time() + YEAR) == 0
    old.touch()
    os.utime(old, (time.time() - 40 * DAY,) * 2)
    assert keep(tmp_path, Keeping()) == 1
