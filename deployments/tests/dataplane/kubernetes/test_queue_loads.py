"""Queue loads and heartbeats by SQL: what changed is told within a tick, what is quiet costs no connection."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError, Ref
from deployments.dataplane.kubernetes.watch import queue_loads
from deployments.dataplane.kubernetes.watch.queue_loads import LoadReader
from deployments.dataplane.postgres import airflow_metadata
from deployments.tests.dataplane.postgres.airflow_tables import owned_database

ADMIN = postgres.url(STATE, "postgres")
REF = Ref("d1", "loads-comet-0001")
TABLES = """
CREATE TABLE job (id serial PRIMARY KEY, job_type text, hostname text, state text,
  start_date timestamptz, latest_heartbeat timestamptz);
CREATE TABLE task_instance (id serial PRIMARY KEY, queue text, state text);
INSERT INTO job (job_type, hostname, state, start_date, latest_heartbeat)
  VALUES ('SchedulerJob', '10.0.0.1', 'running', now() - interval '1 hour', now());
"""


@pytest.fixture
def inside():
    """A connection into the metadata database of one Deployment."""
    with owned_database(ADMIN, REF.release_name) as connection:
        connection.execute(TABLES)
        yield connection


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as found:
        yield found


def flush(connection: psycopg.Connection) -> None:
    """A backend reports its counters once a second; here at once."""
    connection.execute("SELECT pg_stat_force_next_flush()")


def test_a_changed_load_is_told_and_a_quiet_database_is_left_alone(inside, pool):
    reported: list[str] = []
    reader = LoadReader(ADMIN, reported.append)
    reader.follow({"d1": REF})
    flush(inside)
    for at in (0.0, 10.0, 20.0):
        reader.tick(at, pool)
    assert (reported, reader.looks) == ([], 1)  # nothing was inserted, and nothing waits
    inside.execute("INSERT INTO task_instance (queue, state) VALUES ('default', 'queued')")
    flush(inside)
    reader.tick(30.0, pool)
    assert reported == ["d1"]
    inside.execute("UPDATE task_instance SET state = 'running'")
    reader.tick(40.0, pool)
    inside.execute("UPDATE task_instance SET state = 'up_for_retry'")
    reader.tick(50.0, pool)
    assert reported == ["d1"] * 3
    before = reader.looks
    reader.tick(60.0, pool)  # what waits may be queued without an insert: it is looked at
    assert (reported, reader.looks) == (["d1"] * 3, before + 1)
    inside.execute("UPDATE task_instance SET state = 'success'")
    for at in (70.0, 80.0, 90.0):
        reader.tick(at, pool)
    assert reader.looks == before + 2


def test_a_heartbeat_that_stops_is_noticed_within_five_minutes_though_nothing_is_inserted(inside, pool):
    reported: list[str] = []
    reader = LoadReader(ADMIN, reported.append)
    reader.follow({"d1": REF})
    flush(inside)
    reader.tick(0.0, pool)
    inside.execute("UPDATE job SET latest_heartbeat = now() - interval '31 seconds'")
    reader.tick(queue_loads.FULL_SECONDS + 1, pool)
    assert reported == ["d1"]


def test_a_database_that_does_not_answer_is_left_alone_for_a_while_and_told_once(inside, pool, monkeypatch):
    reported: list[str] = []
    reader = LoadReader(ADMIN, reported.append)
    reader.follow({"d1": REF})
    reader.tick(0.0, pool)

    def silent(*_: object) -> None:
        raise DataPlaneError("silent")

    monkeypatch.setattr(airflow_metadata, "vitals", silent)
    for at in (400.0, 410.0, 420.0):
        reader.tick(at, pool)
    assert (reported, reader.looks) == (["d1"], 2)
    monkeypatch.undo()
    reader.tick(440.0, pool)
    assert reported == ["d1", "d1"]


def test_what_has_no_database_yet_is_not_looked_for(pool):
    reader = LoadReader(ADMIN, print)
    reader.follow({"d9": Ref("d9", "not-made-0009")})
    reader.tick(0.0, pool)
    assert reader.looks == 0


def test_one_look_tells_heartbeats_loads_and_the_servers_clock(inside):
    inside.execute(
        "INSERT INTO task_instance (queue, state) VALUES ('default', 'queued'), ('big', 'running')"
    )
    seen = airflow_metadata.vitals(ADMIN, REF.release_name)
    assert seen.loads == {("default", "queued"): 1, ("big", "running"): 1}
    assert [(beat.job_type, beat.hostname) for beat in seen.heartbeats] == [("SchedulerJob", "10.0.0.1")]
    assert seen.now >= seen.heartbeats[0].latest
    assert not seen.waiting
