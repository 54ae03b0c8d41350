"""`dataplane/airflow_component.py`: when the Celery scheduler obeys SIGTERM, by rounds of a scheduler like Airflow's,
and when a heartbeat is written, by a job like Airflow's. `local/test_airflow.py` tries the real ones."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.dataplane.airflow_component import finishing, prompt

TERM = (15, None)


class Runner:
    """The steps of a round as Airflow 3.2 and 3.3 have them, with a place in each where a signal may come."""

    def __init__(self, signal_in: str = "") -> None:
        self.executors = [SimpleNamespace(queued_tasks={}, event_buffer={})]
        self.job = SimpleNamespace()
        self.signal_in, self.did = signal_in, [""]

    def round(self) -> None:
        self._do_scheduling(session=None)
        self.step("between")
        executor = self.executors[0]
        executor.queued_tasks.clear()
        executor.event_buffer["task"] = "sent"
        self.step("sent")
        self._process_executor_events(executor=executor, session=None)
        self.step("idle")

    def step(self, name: str) -> None:
        self.did.append(name)
        if name == self.signal_in:
            self.signal_in = ""
            self._exit_gracefully(*TERM)

    def _do_scheduling(self, session: Any) -> int:
        self.step("scheduling")
        self.executors[0].queued_tasks["task"] = "marked as queued"
        return 1

    def _process_executor_events(self, executor: Any, session: Any) -> int:
        executor.event_buffer.clear()
        self.step("noting")
        return 1

    def _exit_gracefully(self, signum: int, frame: object) -> None:
        raise SystemExit(0)


class Older(Runner):
    """Airflow 3.1: the job has the executors."""

    def __init__(self, signal_in: str = "") -> None:
        super().__init__(signal_in)
        self.job.executors = self.__dict__.pop("executors")

    def round(self) -> None:
        executor = self.job.executors[0]
        executor.queued_tasks["task"] = "marked as queued"
        self.step("between")
        executor.queued_tasks.clear()
        self.step("idle")
        self._do_scheduling(session=None)

    def _do_scheduling(self, session: Any) -> int:
        return 0


@pytest.mark.parametrize("at", ["scheduling", "between", "sent", "noting"])
def test_what_was_begun_is_finished_first(at: str) -> None:
    runner = finishing(Runner)(at)
    runner.round()
    assert runner.did[-1] == "idle"
    with pytest.raises(SystemExit):
        runner.round()
    assert runner.did[-1] == "idle"  # nothing of another round was begun


def test_one_that_owes_nothing_ends_at_once() -> None:
    runner = finishing(Runner)("idle")
    with pytest.raises(SystemExit):
        runner.round()


def test_a_second_signal_is_obeyed_at_once() -> None:
    runner = finishing(Runner)("scheduling")
    runner._do_scheduling(session=None)
    with pytest.raises(SystemExit):
        runner._exit_gracefully(*TERM)


def test_a_step_that_fails_leaves_it_able_to_end() -> None:
    class Failing(Runner):
        def _do_scheduling(self, session: Any) -> int:
            raise LookupError("no database")

    runner = finishing(Failing)()
    with pytest.raises(LookupError, match="no database"):
        runner._do_scheduling(session=None)
    with pytest.raises(SystemExit):
        runner._exit_gracefully(*TERM)


def test_it_knows_where_airflow_3_1_has_its_executors() -> None:
    runner = finishing(Older)("between")
    with pytest.raises(SystemExit):
        runner.round()
    assert runner.did[-1] == "idle"


def test_it_logs_under_the_name_of_airflows_own() -> None:
    made = finishing(Runner)
    assert (made.__name__, made.__module__) == (Runner.__name__, Runner.__module__)


class Away(Exception):
    """The database is."""


class Row:
    """A database with one job; `away` makes what is written next fail."""

    def __init__(self) -> None:
        self.heartbeat: datetime | None = None
        self.away = False

    @contextmanager
    def session(self):
        if self.away:
            raise Away
        yield SimpleNamespace(merge=self.write)

    def write(self, job: Any) -> None:
        self.heartbeat = job.latest_heartbeat


def job_of(row: Row) -> Any:
    """A job as Airflow 3.1 to 3.3 has it: what a heartbeat finds is written, and then its time is set."""

    class Job:
        heartrate, heartbeat_failed = 2.0, False
        latest_heartbeat = datetime(2026, 11, 28, tzinfo=UTC)

        def prepare_for_execution(self) -> None:
            row.heartbeat = self.latest_heartbeat

        def heartbeat(self, heartbeat_callback: Any, *, session: Any = None) -> None:
            self.heartbeat_failed = row.away
            if not row.away:
                row.heartbeat = self.latest_heartbeat
                self.latest_heartbeat += timedelta(seconds=self.heartrate)

    return prompt(Job, row.session, Away)()


def test_a_heartbeat_is_in_the_database_once_it_is_made():
    row = Row()
    job = job_of(row)
    job.prepare_for_execution()
    started = row.heartbeat
    assert started - job.latest_heartbeat == timedelta(
        seconds=2
    )  # so the first one is due, and the row as Airflow's
    job.heartbeat(heartbeat_callback=None)
    job.heartbeat(heartbeat_callback=None, session=None)
    assert row.heartbeat == job.latest_heartbeat == started + timedelta(seconds=2)


def test_a_database_that_is_away_costs_a_heartbeat_and_no_more():
    row = Row()
    job = job_of(row)
    job.prepare_for_execution()
    before = row.heartbeat
    row.away = True
    job.heartbeat(heartbeat_callback=None)
    assert row.heartbeat == before
    row.away = False
    job.heartbeat(heartbeat_callback=None)
    assert row.heartbeat == job.latest_heartbeat
