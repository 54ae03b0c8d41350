"""Readings for tests: what an Airflow could have said, and keeping it as the reader does."""

from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.dataplane.fake import ScriptedDriver
from deployments.dataplane.reading import (
    DagReading,
    FailedRunReading,
    HourCount,
    ImportErrorReading,
    Reading,
    RunReading,
    Usage,
    document_of,
)
from deployments.models import Deployment, LatestReading
from deployments.reconciler import reading_records, readings


def a_run(
    state: str = "success", *, ago: timedelta = timedelta(hours=1), seconds: float = 90.0, **more: Any
) -> RunReading:
    """A run that began `ago`, and ended after `seconds` when its state says so."""
    began = datetime.now(UTC) - ago
    ended = began + timedelta(seconds=seconds) if state in {"success", "failed"} else None
    started = began if state != "queued" else None
    values = {
        "run_id": f"scheduled__{began.isoformat()}",
        "run_at": began,
        "started_at": started,
        "ended_at": ended,
    }
    return RunReading(state=state, **(values | more))


def a_dag(dag_id: str = "nightly", *runs: RunReading, **more: Any) -> DagReading:
    """A DAG with these runs, newest first."""
    values: dict[str, Any] = {
        "name": dag_id,
        "schedule": "0 4 * * *",
        "schedule_words": "At 04:00 AM",
        "paused": False,
        "import_error": False,
        "file": f"{dag_id}.py",
        "next_run_at": datetime.now(UTC) + timedelta(hours=3),
    }
    return DagReading(dag_id=dag_id, runs=runs, **(values | more))


def a_failure(dag_id: str = "nightly", run_id: str = "r1", *, ago: float = 30.0) -> FailedRunReading:
    """A run that failed some seconds ago."""
    ended = datetime.now(UTC) - timedelta(seconds=ago)
    return FailedRunReading(
        dag_id, run_id, ended - timedelta(minutes=2), ended - timedelta(minutes=1), ended, ("load",)
    )


def a_reading(*dags: DagReading, at: datetime | None = None, **more: Any) -> Reading:
    """What an Airflow says that does nothing else."""
    at = at or datetime.now(UTC)
    hour = at.replace(minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "heartbeats": {"scheduler": 2.0, "triggerer": 3.0, "dag-processor": 4.0},
        "queues": (),
        "scheduled": 0,
        "import_error_count": 0,
        "import_errors": (),
        "runs_running": 0,
        "runs_queued": 0,
        "runs_succeeded": 0,
        "runs_failed": 0,
        "hours": (HourCount(hour - timedelta(hours=1), 0, 0, 0, 0), HourCount(hour, 0, 0, 0, 0)),
        "failed_runs": (),
        "usage": Usage(cores=0.25, memory_bytes=700 * 2**20),
    }
    return Reading(at=at, dags={dag.dag_id: document_of(dag) for dag in dags}, **(values | more))


def broken(*files: str) -> dict[str, Any]:
    """For `a_reading`: files that do not import."""
    errors = tuple(
        ImportErrorReading(file, "ModuleNotFoundError: No module named 'pandsa'") for file in files
    )
    return {"import_error_count": len(errors), "import_errors": errors}


def remember(deployment: Deployment, reading: Reading) -> None:
    """Keep a reading of a Deployment, whether it runs or not."""
    tried_at = datetime.now(UTC)
    LatestReading.objects.update_or_create(deployment=deployment, defaults={"tried_at": tried_at})
    assert reading_records.keep(deployment.pk, tried_at, reading)


def all_sorts() -> Reading:
    """DAGs in every state, with files that do not import."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    nightly = [
        a_run("failed" if n in {0, 5} else "success", ago=day * n + hour, seconds=90 + 37 * (n % 6))
        for n in range(14)
    ]
    often = [a_run("running", ago=timedelta(minutes=3))]
    often += [a_run("success", ago=hour * (n + 1), seconds=3 + n % 4) for n in range(13)]
    return a_reading(
        a_dag("nightly_load", *nightly, name="Nightly load of the warehouse"),
        a_dag("every_hour", *often, schedule="0 * * * *", schedule_words="Every hour"),
        a_dag(
            "by_hand",
            a_run("queued"),
            schedule="None",
            schedule_words="Never, external triggers only",
            next_run_at=None,
        ),
        a_dag("resting", a_run("success", ago=9 * day), paused=True),
        a_dag("never_ran_and_has_a_long_name_that_must_wrap_somewhere_in_a_narrow_box", import_error=True),
        **broken("team/reports/monthly_statement_of_everything.py", "broken.py"),
    )


def read(
    deployment: Deployment, reading: Reading | None = None, driver: ScriptedDriver | None = None
) -> bool:
    """Have the Deployment read now, due or not, as its data plane or `reading` says; whether it was read. It runs."""
    LatestReading.objects.filter(deployment=deployment).update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
    for claim in readings.claim(deployment.cluster_id, 1000):
        if claim.pk == deployment.pk:
            found = reading or (driver or ScriptedDriver()).reading(claim.ref, claim.since)
            return reading_records.keep(claim.pk, claim.tried_at, found)
    return False
