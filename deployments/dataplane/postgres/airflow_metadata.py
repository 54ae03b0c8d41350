"""Questions to a Deployment's metadata database, for every driver. Each is one connection, and bounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from deployments.dataplane.code import BUNDLE, ERRORS_REPORTED, CodeReport, ImportProblem
from deployments.dataplane.contract import TaskCount
from deployments.dataplane.postgres import visits

STATEMENT_SECONDS = 1.5  # a person waits for the answer

# What a task instance may be in before it is queued. While there is none, and nothing is inserted, no task can come.
UNFINISHED = "('scheduled', 'deferred', 'up_for_retry', 'up_for_reschedule', 'restarting')"


@dataclass(frozen=True)
class Heartbeat:
    """One row of Airflow's `job` table: which kind of job, where it runs (the pod's IP or name; "" where no one asks),
    when it began and when its last heartbeat. Aware, in UTC."""

    job_type: str
    hostname: str
    began: datetime
    latest: datetime


@dataclass(frozen=True)
class Vitals:
    """One look at an Airflow's own word: jobs with a heartbeat in the last minutes, task instances by (queue,
    "queued" or "running"), and whether others wait to be queued. `now` is the database's clock, by which heartbeats are
    compared."""

    now: datetime
    heartbeats: tuple[Heartbeat, ...]
    loads: Mapping[tuple[str, str], int]
    waiting: bool


_visit = partial(visits.visit, statement_seconds=STATEMENT_SECONDS)


def vitals(admin_url: str, release_name: str) -> Vitals:
    """Look once. Raises DataPlaneError, also for a database that holds no Airflow yet."""
    with _visit(admin_url, release_name) as connection:
        rows = connection.execute(
            "SELECT job_type, hostname, start_date, latest_heartbeat, now() FROM job "
            "WHERE state = 'running' AND latest_heartbeat > now() - interval '10 minutes' "
            "UNION ALL SELECT '', '', now(), now(), now()"  # the clock, also when no job runs
        ).fetchall()
        tasks = connection.execute(
            f"SELECT queue, CASE WHEN state IN {UNFINISHED} THEN '' ELSE state END, count(*) FROM task_instance "  # noqa: S608 - a constant
            f"WHERE state IN ('queued', 'running') OR state IN {UNFINISHED} GROUP BY 1, 2"
        ).fetchall()
        counts = {(str(queue), str(state)): int(count) for queue, state, count in tasks}
        return Vitals(
            now=rows[-1][4].astimezone(UTC),
            heartbeats=tuple(
                Heartbeat(kind, host or "", began.astimezone(UTC), latest.astimezone(UTC))
                for kind, host, began, latest, _ in rows
                if kind
            ),
            loads={key: count for key, count in counts.items() if key[1]},
            waiting=any(not state for _, state in counts),
        )


def tasks(admin_url: str, release_name: str) -> TaskCount:
    """Task instances of the whole Deployment that run, and that are queued. Raises DataPlaneError."""
    with _visit(admin_url, release_name) as connection:
        rows = connection.execute(
            "SELECT state, count(*) FROM task_instance WHERE state IN ('queued', 'running') GROUP BY 1"
        ).fetchall()
        counts = {str(state): int(count) for state, count in rows}
        return TaskCount(running=counts.get("running", 0), queued=counts.get("queued", 0))


def code_report(admin_url: str, release_name: str) -> CodeReport:
    """What Airflow has read of the code, what it could not import, and which versions unfinished runs belong to.
    Raises DataPlaneError, also for a database that holds no Airflow yet."""
    with _visit(admin_url, release_name) as connection:
        head = connection.execute(
            "SELECT (SELECT version FROM dag_bundle WHERE name = %(bundle)s), "
            "(SELECT count(*) FROM dag WHERE bundle_name = %(bundle)s AND NOT is_stale), "
            "(SELECT count(*) FROM import_error WHERE bundle_name = %(bundle)s)",
            {"bundle": BUNDLE},
        ).fetchone()
        errors = connection.execute(
            "SELECT filename, right(stacktrace, 4000) FROM import_error WHERE bundle_name = %s "
            "ORDER BY filename LIMIT %s",
            (BUNDLE, ERRORS_REPORTED),
        ).fetchall()
        pinned = connection.execute(
            "SELECT DISTINCT bundle_version FROM dag_run "
            "WHERE state IN ('queued', 'running') AND bundle_version IS NOT NULL"
        ).fetchall()
        version, dags, count = head or (None, 0, 0)
        return CodeReport(
            version=version or "",
            dags=int(dags),
            problem_count=int(count),
            problems=tuple(ImportProblem(str(path), last_line(trace or "")) for path, trace in errors),
            pinned=frozenset(str(row[0]) for row in pinned),
        )


def revision(admin_url: str, release_name: str) -> str:
    """The migration that its tables are at; "" when it does not say. Raises DataPlaneError."""
    with _visit(admin_url, release_name) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version LIMIT 1").fetchone()
        return str(row[0]) if row else ""


def last_line(trace: str) -> str:
    """The line of a stack trace that says what went wrong: its last, without control characters, cut to 300."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return "".join(c for c in lines[-1] if c.isprintable())[:300] if lines else ""
