"""What a metadata database says of DAGs, runs, tasks and queues, in one reading."""

import re
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.postgres import airflow_reading, databases
from deployments.dataplane.reading import READING_SECONDS, Reading, Since, dag_of
from deployments.tests.dataplane.postgres.airflow_tables import metadata_database

ADMIN = postgres.url(STATE, "postgres")
RELEASE = "reading-comet-0001"


@pytest.fixture
def inside():
    """A connection into the metadata database, which is empty."""
    with metadata_database(ADMIN, RELEASE) as connection:
        yield connection


def read(since: Since | None = None) -> Reading:
    return airflow_reading.read(ADMIN, RELEASE, since)


def add_dag(inside, dag_id: str = "nightly", **values) -> None:
    columns = {
        "dag_id": dag_id,
        "timetable_summary": "0 4 * * *",
        "timetable_description": "At 04:00 AM",
        "is_paused": False,
        "is_stale": False,
        "relative_fileloc": f"{dag_id}.py",
        **values,
    }
    names = ", ".join(columns)
    inside.execute(
        f"INSERT INTO dag ({names}) VALUES ({', '.join(['%s'] * len(columns))})", [*columns.values()]
    )


def add_run(
    inside, state: str, *, dag_id: str = "nightly", ago: float = 60, took: float = 30, run_id: str = ""
) -> str:
    """A run that may run since `ago` + `took` seconds ago, and ended `ago` seconds ago when its state says so."""
    run_id = run_id or f"run-{time.monotonic_ns()}"
    ended = f"now() - interval '{ago} s'" if state in ("success", "failed") else "NULL"
    inside.execute(
        f"INSERT INTO dag_run (dag_id, run_id, state, run_after, logical_date, start_date, end_date) VALUES "
        f"(%s, %s, %s, now() - interval '{ago + took} s', now() - interval '{ago + took} s', "
        f"now() - interval '{ago + took} s', {ended})",
        (dag_id, run_id, state),
    )
    return run_id


def add_task(
    inside, run_id: str, state: str, *, dag_id: str = "nightly", task="extract", queue="default", ago=20
):
    ended = f"now() - interval '{ago} s'" if state in ("success", "failed") else "NULL"
    inside.execute(
        f"INSERT INTO task_instance (task_id, dag_id, run_id, state, queue, queued_dttm, end_date, last_heartbeat_at) "
        f"VALUES (%s, %s, %s, %s, %s, now() - interval '{ago} s', {ended}, {ended})",
        (task, dag_id, run_id, state, queue),
    )


def test_an_airflow_without_a_dag_reads_as_nothing(inside):
    found = read()
    assert (found.dags, found.queues, found.failed_runs, found.heartbeats) == ({}, (), (), {})
    assert [hour.runs_failed for hour in found.hours] == [0, 0]
    assert abs(found.at - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_dag_is_read_with_its_last_fourteen_runs_newest_first(inside):
    add_dag(
        inside,
        dag_display_name="The nightly one",
        next_dagrun_create_after=datetime(2026, 12, 1, 4, tzinfo=UTC),
    )
    for number in range(20):
        add_run(inside, "failed" if number == 3 else "success", ago=86_400 * number + 90, run_id=f"r{number}")
    add_run(inside, "running", ago=0, run_id="now")
    found = read()
    dag = dag_of("nightly", found.dags["nightly"])
    assert (dag.name, dag.schedule, dag.schedule_words, dag.paused) == (
        "The nightly one",
        "0 4 * * *",
        "At 04:00 AM",
        False,
    )
    assert dag.next_run_at == datetime(2026, 12, 1, 4, tzinfo=UTC)
    assert [run.run_id for run in dag.runs] == ["now", *(f"r{number}" for number in range(13))]
    assert [run.state for run in dag.runs[:5]] == ["running", "success", "success", "success", "failed"]
    assert [run.seconds for run in dag.runs[:2]] == [None, pytest.approx(30, abs=0.1)]


def test_a_dag_that_is_no_longer_in_the_code_is_not_read(inside):
    add_dag(inside, "gone", is_stale=True)
    add_dag(inside, "paused", is_paused=True)
    found = read()
    assert list(found.dags) == ["paused"]
    assert dag_of("paused", found.dags["paused"]).paused


def test_files_that_do_not_import_are_read_with_the_line_that_says_why(inside):
    add_dag(inside, "broken", has_import_errors=True)
    trace = "Traceback (most recent call last):\n  File ...\nModuleNotFoundError: No module named 'pandsa'\n"
    inside.execute("INSERT INTO import_error (filename, stacktrace) VALUES ('broken.py', %s)", (trace,))
    found = read()
    assert found.import_error_count == 1
    assert (found.import_errors[0].file, found.import_errors[0].line) == (
        "broken.py",
        "ModuleNotFoundError: No module named 'pandsa'",
    )
    assert dag_of("broken", found.dags["broken"]).import_error


def test_what_ended_is_counted_in_the_hour_in_which_it_ended(inside):
    add_dag(inside)
    for state, ago in (("success", 5), ("success", 6), ("failed", 7), ("success", 4 * 3600)):
        run = add_run(inside, state, ago=ago)
        add_task(inside, run, state, ago=ago)
    running = add_run(inside, "running")
    add_task(inside, running, "success", task="early", ago=3)
    found = read()
    assert sum(hour.runs_succeeded for hour in found.hours) == 2
    assert sum(hour.runs_failed for hour in found.hours) == 1
    assert sum(hour.tasks_succeeded or 0 for hour in found.hours) == 3
    assert sum(hour.tasks_failed or 0 for hour in found.hours) == 1
    assert [hour.hour.minute for hour in found.hours] == [0, 0]
    assert found.hours[1].hour - found.hours[0].hour == timedelta(hours=1)
    assert (found.runs_succeeded, found.runs_failed, found.runs_running) == (2, 1, 1)


def test_tasks_are_read_by_queue_with_how_long_the_oldest_waits(inside):
    run = add_run(inside, "running")
    add_task(inside, run, "queued", task="a", queue="big", ago=90)
    add_task(inside, run, "queued", task="b", queue="big", ago=30)
    add_task(inside, run, "running", task="c")
    add_task(inside, run, "scheduled", task="d")
    found = read()
    assert [(q.name, q.queued, q.running) for q in found.queues] == [("big", 2, 0), ("default", 0, 1)]
    assert found.queues[0].oldest_seconds == pytest.approx(90, abs=2)
    assert (found.queues[1].oldest_seconds, found.scheduled) == (None, 1)


def test_a_run_that_failed_since_the_reading_before_comes_with_its_tasks(inside):
    add_dag(inside)
    old = add_run(inside, "failed", ago=400)
    run = add_run(inside, "failed", ago=10)
    add_task(inside, run, "failed", task="load", ago=11)
    add_task(inside, run, "failed", task="extract", ago=12)
    add_task(inside, run, "success", task="fine", ago=13)
    [failed] = read().failed_runs  # without a reading before, those of two minutes
    assert (failed.dag_id, failed.run_id, failed.tasks) == ("nightly", run, ("extract", "load"))
    late = Since(datetime.now(UTC))  # its commit came after the reading before
    assert [each.run_id for each in read(late).failed_runs] == [run]
    earlier = Since(datetime.now(UTC) - timedelta(seconds=500))
    assert {each.run_id for each in read(earlier).failed_runs} == {run, old}


def test_heartbeats_are_ages_of_the_newest_also_of_what_has_ended(inside):
    inside.execute(
        "INSERT INTO job (job_type, state, latest_heartbeat) VALUES "
        "('SchedulerJob', 'running', now() - interval '900 s'), ('SchedulerJob', 'success', now() - interval '700 s'), "
        "('TriggererJob', 'running', now() - interval '4 s')"
    )
    beats = read().heartbeats
    assert beats == {"scheduler": pytest.approx(700, abs=2), "triggerer": pytest.approx(4, abs=2)}


def test_a_busy_airflow_is_read_in_time_and_by_indexes(inside, monkeypatch):
    """A DAG that seldom runs keeps its runs, a run of long ago that was cleared counts when it ends."""
    monkeypatch.setattr(airflow_reading, "NEWEST_RUNS", 500)
    add_dag(inside, "monthly")
    add_dag(inside, "busy")
    for number in range(14):
        add_run(inside, "success", dag_id="monthly", ago=30 * 86_400 * (number + 1), run_id=f"m{number}")
    add_run(inside, "success", dag_id="busy", ago=50_000, run_id="cleared")
    inside.execute(
        "INSERT INTO dag_run (dag_id, run_id, state, run_after, logical_date, start_date, end_date) "
        "SELECT 'busy', 'b' || n, 'success', t, t, t, t + interval '1 s' "
        "FROM (SELECT n, now() - n * interval '4 s' - interval '3 hours' AS t FROM generate_series(20000, 1, -1) n) s"
    )
    inside.execute(
        "INSERT INTO task_instance (task_id, dag_id, run_id, state, queue, end_date, last_heartbeat_at) "
        "SELECT 't', dag_id, run_id, 'success', 'default', end_date, end_date FROM dag_run WHERE dag_id = 'busy'"
    )
    inside.execute("UPDATE dag_run SET state = 'failed', end_date = now() WHERE run_id = 'cleared'")
    inside.execute("UPDATE task_instance SET last_heartbeat_at = now() WHERE run_id = 'cleared'")
    inside.execute("ANALYZE")
    began = time.monotonic()
    found = read()
    assert time.monotonic() - began < READING_SECONDS
    assert [run.run_id for run in dag_of("monthly", found.dags["monthly"]).runs] == [
        f"m{n}" for n in range(14)
    ]
    assert len(dag_of("busy", found.dags["busy"]).runs) == 14
    assert [run.run_id for run in found.failed_runs] == ["cleared"]
    inside.execute("SET enable_seqscan = off")
    for statement in (airflow_reading.RUNS, airflow_reading.DAG_DOCUMENTS, airflow_reading.TASKS):
        limits = airflow_reading._limits(found.at, None)
        plan = "\n".join(row[0] for row in inside.execute(f"EXPLAIN {statement}", limits).fetchall())
        assert not re.search("Seq Scan on (dag_run|task_instance)", plan), plan


def test_a_database_that_is_locked_is_left_within_two_seconds(inside):
    with psycopg.connect(postgres.url(STATE, databases.database_name(RELEASE))) as other:
        other.execute("LOCK TABLE dag_run IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(DataPlaneError):
            read()
        assert time.monotonic() - began < READING_SECONDS + 3  # else for as long as it is locked


def test_counts_of_tasks_are_left_out_when_there_is_no_time_for_them(inside, monkeypatch):
    monkeypatch.setattr(airflow_reading, "TASKS", "SELECT pg_sleep(20), 1, 1")
    found = read()
    assert [hour.tasks_failed for hour in found.hours] == [None, None]


def test_a_reading_writes_nothing(inside, monkeypatch):
    monkeypatch.setattr(airflow_reading, "TASKS", "INSERT INTO job (job_type) VALUES ('x') RETURNING 1, 2, 3")
    with pytest.raises(DataPlaneError, match="read-only"):
        read()


def test_a_database_without_an_airflow_is_said_to_have_none(inside):
    inside.execute("DROP TABLE dag_run")
    with pytest.raises(DataPlaneError, match="does not exist"):
        read()
