"""What an Airflow does, from its metadata database: read-only, and bounded by READING_SECONDS in all.

Neither a run nor a task instance has an index on when it began or ended. What ended lately is found among the newest
runs by their number, the runs that are queued or running (a partial index each), and the runs of tasks with a heartbeat
of the last hours (an index on that, in every minor version). Task instances are found through those runs.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg

from deployments.dataplane import reading
from deployments.dataplane.postgres import databases, visits
from deployments.dataplane.postgres.airflow_metadata import last_line
from deployments.dataplane.reading import (
    FailedRunReading,
    HourCount,
    ImportErrorReading,
    QueueReading,
    Reading,
    Since,
)

NEWEST_RUNS = 5000  # looked at by number. An Airflow with fewer is read whole
DAGS = 5000
MOST_BYTES = 32 * 2**20  # about three times what so many DAGs come to, with all their runs
EARLIER_MS = 100  # by how much the limit of a question may be too late
LEAST_MS = 50  # with less time left a further question is not asked

JOBS = {job_type: component for component, job_type in reading.JOB_TYPES.items()}

# The beginning of the hour before, in UTC whatever the time zone of the session. Written out where it is needed: what
# comes from another table the planner cannot judge by the index.
EDGE = "(date_trunc('hour', now(), 'UTC') - interval '1 hour')"
# No table is read whole as long as there is an index, whatever the planner thinks of the moment.
SETTINGS = "-c default_transaction_read_only=on -c lock_timeout=300 -c jit=off -c enable_seqscan=off"
# libpq waits for two seconds at least. A network that swallows packets is given up after as many as six: the thread is
# needed for other readings.
QUICK = {
    "connect_timeout": 2,
    "keepalives_idle": 2,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
}

# Runs that may have changed since then.
LATELY = f"""
WITH newest AS MATERIALIZED (
  SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run ORDER BY id DESC LIMIT %(newest)s
), lately AS MATERIALIZED (
  SELECT * FROM newest
  UNION SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run WHERE state = 'running'
  UNION SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run WHERE state = 'queued'
  UNION SELECT r.id, r.dag_id, r.run_id, r.state, r.run_after, r.start_date, r.end_date
    FROM (SELECT DISTINCT dag_id, run_id FROM task_instance WHERE last_heartbeat_at >= {EDGE}
      AND (SELECT count(*) FROM newest) >= %(newest)s) busy
    JOIN dag_run r USING (dag_id, run_id)
)
"""  # noqa: S608 - constants

NOW = """
SELECT now(),
  (SELECT json_object_agg(kind, extract(epoch FROM now() - beat))
   FROM unnest(%(jobs)s::text[]) kind, LATERAL (
     SELECT latest_heartbeat AS beat FROM job WHERE job_type = kind AND latest_heartbeat IS NOT NULL
     ORDER BY latest_heartbeat DESC LIMIT 1) newest),
  (SELECT json_agg(json_build_array(queue, state, n, waits)) FROM (
     SELECT queue, state, count(*) AS n,
       extract(epoch FROM now() - min(queued_dttm) FILTER (WHERE state = 'queued')) AS waits
     FROM task_instance WHERE state IN ('queued', 'running', 'scheduled') GROUP BY 1, 2) loads),
  (SELECT count(*) FROM import_error),
  (SELECT json_agg(json_build_array(filename, trace)) FROM (
     SELECT filename, right(stacktrace, 4000) AS trace FROM import_error ORDER BY filename, id
     LIMIT %(errors)s) broken)
"""

# Runs by their number in place of their moment: Airflow numbers them as it makes them. What is missing there of a DAG
# that seldom runs is found by its logical date; runs without one are few for such a DAG.
DAG_DOCUMENTS = """
WITH newest AS MATERIALIZED (
  SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run ORDER BY id DESC LIMIT %(newest)s
), counted AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY dag_id ORDER BY run_after DESC, id DESC) AS place FROM newest
), known AS (
  SELECT dag_id, count(*) AS n FROM newest GROUP BY 1
), found AS (
  SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM counted WHERE place <= %(runs)s
  UNION SELECT older.* FROM dag d LEFT JOIN known ON known.dag_id = d.dag_id, LATERAL (
    (SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run r
     WHERE r.dag_id = d.dag_id AND logical_date IS NOT NULL ORDER BY logical_date DESC LIMIT %(runs)s)
    UNION (SELECT id, dag_id, run_id, state, run_after, start_date, end_date FROM dag_run r
     WHERE r.dag_id = d.dag_id AND logical_date IS NULL ORDER BY id DESC LIMIT %(runs)s)) older
  WHERE NOT d.is_stale AND coalesce(known.n, 0) < %(runs)s AND (SELECT count(*) FROM newest) >= %(newest)s
), last AS (
  SELECT dag_id, json_agg(json_build_array(run_id, state, extract(epoch FROM run_after),
    extract(epoch FROM start_date), extract(epoch FROM end_date)) ORDER BY run_after DESC, id DESC) AS runs
  FROM (SELECT *, row_number() OVER (PARTITION BY dag_id ORDER BY run_after DESC, id DESC) AS place FROM found) f
  WHERE place <= %(runs)s GROUP BY 1
)
SELECT d.dag_id, json_build_object('name', d.dag_display_name, 'schedule', d.timetable_summary,
  'words', d.timetable_description, 'paused', d.is_paused, 'error', d.has_import_errors,
  'file', d.relative_fileloc, 'next', extract(epoch FROM d.next_dagrun_create_after),
  'runs', coalesce(last.runs, '[]'))::text
FROM dag d LEFT JOIN last ON last.dag_id = d.dag_id WHERE NOT d.is_stale ORDER BY d.dag_id LIMIT %(dags)s
"""

RUNS = f"""{LATELY}
SELECT
  (SELECT count(*) FROM lately WHERE state = 'running'),
  (SELECT count(*) FROM lately WHERE state = 'queued'),
  (SELECT json_agg(json_build_array(hour, ok, bad)) FROM (
     SELECT extract(epoch FROM date_trunc('hour', end_date, 'UTC')) AS hour,
       count(*) FILTER (WHERE state = 'success') AS ok, count(*) FILTER (WHERE state = 'failed') AS bad
     FROM lately WHERE end_date >= {EDGE} AND state IN ('success', 'failed') GROUP BY 1) hours),
  (SELECT json_build_array(count(*) FILTER (WHERE state = 'success'), count(*) FILTER (WHERE state = 'failed'))
     FROM lately WHERE end_date > greatest(%(since)s, now() - %(first_look)s) AND state IN ('success', 'failed')),
  (SELECT json_agg(json_build_array(dag_id, run_id, extract(epoch FROM run_after), extract(epoch FROM start_date),
       extract(epoch FROM end_date), (SELECT json_agg(task_id) FROM (
         SELECT t.task_id FROM task_instance t WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id
           AND t.state = 'failed' ORDER BY t.end_date, t.task_id LIMIT 3) tasks)))
     FROM (SELECT * FROM lately WHERE state = 'failed' AND end_date > greatest(%(failed_since)s, now() - %(gap)s)
           ORDER BY end_date DESC LIMIT %(failed)s) r)
"""  # noqa: S608 - constants

TASKS = f"""{LATELY}
SELECT extract(epoch FROM date_trunc('hour', t.end_date, 'UTC')),
  count(*) FILTER (WHERE t.state = 'success'), count(*) FILTER (WHERE t.state = 'failed')
FROM lately r JOIN task_instance t ON t.dag_id = r.dag_id AND t.run_id = r.run_id
WHERE (r.end_date IS NULL OR r.end_date >= {EDGE})
  AND t.end_date >= {EDGE} AND t.state IN ('success', 'failed') GROUP BY 1
"""  # noqa: S608 - constants


def read(admin_url: str, release_name: str, since: Since | None) -> Reading:
    """Look once. Raises DataPlaneError, also for a database that holds no Airflow yet. Counts of tasks are None when
    there was no time left for them."""
    until = time.monotonic() + reading.READING_SECONDS
    with visits.visit(
        admin_url,
        release_name,
        statement_seconds=reading.READING_SECONDS,
        most_bytes=MOST_BYTES,
        options=SETTINGS,
        **QUICK,
    ) as connection:
        asked = _Asked(connection, until)
        at, heartbeats, loads, error_count, errors = asked.row(
            NOW, {"jobs": list(JOBS), "errors": reading.ERRORS_REPORTED}
        )
        ask = _limits(at, since)
        running, queued, hours, ended, failed = asked.row(RUNS, ask)
        dags = asked.rows(DAG_DOCUMENTS, ask)
        tasks = asked.rows_if_in_time(TASKS, ask)
        succeeded, failures = ended
        at = at.astimezone(UTC)
        return Reading(
            at=at,
            heartbeats={JOBS[kind]: float(age) for kind, age in (heartbeats or {}).items()},
            queues=_queues(loads or []),
            scheduled=sum(n for _, state, n, _ in loads or [] if state == "scheduled"),
            dags=dict(cast("list[tuple[str, str]]", dags)),
            import_error_count=error_count,
            import_errors=tuple(
                ImportErrorReading(str(f or ""), last_line(t or "")) for f, t in errors or []
            ),
            runs_running=running,
            runs_queued=queued,
            runs_succeeded=succeeded,
            runs_failed=failures,
            hours=_hours(at, hours or [], tasks),
            failed_runs=tuple(_failed(*row) for row in failed or []),
        )


def _limits(at: datetime, since: Since | None) -> dict[str, Any]:
    return {
        "newest": NEWEST_RUNS,
        "runs": reading.RUNS_PER_DAG,
        "dags": DAGS,
        "since": since.at if since else at - reading.FIRST_LOOK,
        "failed_since": since.at - reading.LATE if since else at - reading.FIRST_LOOK,
        "first_look": reading.FIRST_LOOK,
        "gap": reading.LONGEST_GAP,
        "failed": reading.FAILED_REPORTED,
    }


class _Asked:
    """Questions on one connection that share what time there is."""

    def __init__(self, connection: databases.Connection, until: float) -> None:
        self._connection, self._until = connection, until
        self._limit = int(reading.READING_SECONDS * 1000)  # as the session was opened with

    def rows(self, statement: Any, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        left = max(LEAST_MS, int((self._until - time.monotonic()) * 1000))
        if self._limit - left > EARLIER_MS:  # else what is left is as good as all of it
            self._connection.execute(f"SET statement_timeout = {left}")
            self._limit = left
        return self._connection.execute(statement, parameters).fetchall()

    def row(self, statement: Any, parameters: dict[str, Any]) -> tuple[Any, ...]:
        return self.rows(statement, parameters)[0]

    def rows_if_in_time(self, statement: Any, parameters: dict[str, Any]) -> list[tuple[Any, ...]] | None:
        """None when the time ran out."""
        if self._until - time.monotonic() < LEAST_MS / 1000:
            return None
        try:
            return self.rows(statement, parameters)
        except psycopg.errors.QueryCanceled:
            return None


def _queues(loads: list[Any]) -> tuple[QueueReading, ...]:
    """By name, from rows of (queue, state, number, how long the oldest waits)."""
    names = sorted({queue or reading.UNKNOWN_QUEUE for queue, state, _, _ in loads if state != "scheduled"})
    counts = {(queue or "", state): (int(n), waits) for queue, state, n, waits in loads}
    nothing: tuple[int, float | None] = (0, None)
    return tuple(
        QueueReading(
            name,
            counts.get((name, "queued"), nothing)[0],
            counts.get((name, "running"), nothing)[0],
            counts.get((name, "queued"), nothing)[1],
        )
        for name in names
    )


def _hours(at: datetime, runs: list[Any], tasks: list[tuple[Any, ...]] | None) -> tuple[HourCount, ...]:
    """The present hour and the one before, also where nothing ended."""
    present = at.replace(minute=0, second=0, microsecond=0)
    ended = {reading.moment(hour): (ok, bad) for hour, ok, bad in runs}
    done = None if tasks is None else {reading.moment(hour): (ok, bad) for hour, ok, bad in tasks}
    return tuple(
        HourCount(
            hour,
            *ended.get(hour, (0, 0)),
            *((None, None) if done is None else done.get(hour, (0, 0))),
        )
        for hour in (present - timedelta(hours=1), present)
    )


def _failed(
    dag_id: str, run_id: str, at: float, began: float | None, ended: float, tasks: list[str] | None
) -> FailedRunReading:
    run_at, ended_at = reading.moment(at), reading.moment(ended)
    if run_at is None or ended_at is None:
        raise ValueError("A run that failed has no end.")  # neither column is null there
    return FailedRunReading(dag_id, run_id, run_at, reading.moment(began), ended_at, tuple(tasks or ()))
