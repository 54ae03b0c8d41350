"""The tables of Airflow's metadata database that a reading asks, with the columns and indexes that it relies on. These
are the same in Airflow 3.1, 3.2 and 3.3; `assert_same` holds a real database to them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from deployments.dataplane.postgres import databases

TABLES = """
CREATE TABLE IF NOT EXISTS dag (dag_id varchar(250) PRIMARY KEY, dag_display_name varchar(2000), timetable_summary text,
  timetable_description varchar(1000), is_paused boolean, is_stale boolean, has_import_errors boolean DEFAULT false,
  relative_fileloc varchar(2000), next_dagrun_create_after timestamptz);
CREATE TABLE IF NOT EXISTS dag_run (id serial PRIMARY KEY, dag_id varchar(250), run_id varchar(250),
  state varchar(50), logical_date timestamptz, run_after timestamptz, start_date timestamptz,
  end_date timestamptz, UNIQUE (dag_id, run_id), UNIQUE (dag_id, logical_date));
CREATE INDEX IF NOT EXISTS dag_id_state ON dag_run (dag_id, state);
CREATE INDEX IF NOT EXISTS idx_dag_run_dag_id ON dag_run (dag_id);
CREATE INDEX IF NOT EXISTS idx_dag_run_run_after ON dag_run (run_after);
CREATE INDEX IF NOT EXISTS idx_dag_run_running_dags ON dag_run (state, dag_id) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS idx_dag_run_queued_dags ON dag_run (state, dag_id) WHERE state = 'queued';
CREATE TABLE IF NOT EXISTS task_instance (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), task_id varchar(250),
  dag_id varchar(250), run_id varchar(250), state varchar(20), queue varchar(256), hostname varchar(1000),
  queued_dttm timestamptz, start_date timestamptz, end_date timestamptz, last_heartbeat_at timestamptz);
CREATE INDEX IF NOT EXISTS ti_dag_run ON task_instance (dag_id, run_id);
CREATE INDEX IF NOT EXISTS ti_state ON task_instance (state);
CREATE INDEX IF NOT EXISTS ti_heartbeat ON task_instance (last_heartbeat_at);
CREATE TABLE IF NOT EXISTS import_error (id serial PRIMARY KEY, filename varchar(1024), stacktrace text);
CREATE TABLE IF NOT EXISTS job (id serial PRIMARY KEY, job_type varchar(30), state varchar(20), hostname varchar(500),
  start_date timestamptz, latest_heartbeat timestamptz);
CREATE INDEX IF NOT EXISTS job_type_heart ON job (job_type, latest_heartbeat);
"""
COLUMNS = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
    "AND table_name = ANY(%s)"
)
INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
NAMES = ["dag", "dag_run", "task_instance", "import_error", "job"]


@contextmanager
def metadata_database(admin_url: str, release_name: str) -> Iterator[psycopg.Connection]:
    """A connection into a metadata database with these tables, which is gone afterwards."""
    with owned_database(admin_url, release_name) as inside:
        inside.execute(TABLES)
        yield inside


@contextmanager
def owned_database(admin_url: str, release_name: str) -> Iterator[psycopg.Connection]:
    """A connection, as its owner, into an empty database of a Deployment, which is gone afterwards."""
    name = databases.database_name(release_name)
    databases.drop_database(admin_url, release_name, release_name)
    databases.ensure_database(
        admin_url, release_name, release_name, password="own", template="", connection_limit=20
    )
    try:
        url = databases.url(admin_url, database=name, user=name, password="own")
        with databases.connect(url) as inside:
            yield inside
    finally:
        databases.drop_database(admin_url, release_name, release_name)
        databases.drop_role(admin_url, release_name, release_name)


def assert_same(real: psycopg.Connection, ours: psycopg.Connection) -> None:
    """Whether a real Airflow's database has all that `TABLES` has."""
    for question in (COLUMNS, INDEXES):
        wanted = set(ours.execute(question, (NAMES,)).fetchall())
        made_by_us = {row for row in wanted if str(row[0]).endswith(("_pkey", "_key"))}
        assert wanted - made_by_us <= set(real.execute(question, (NAMES,)).fetchall())
