"""What the Airflow of a Deployment does, as it was last read: its DAGs, and figures over time."""

from datetime import datetime
from typing import Literal

from ninja import Router, Schema
from ninja.params.functions import Query

from console.kit import cursors
from console.kit.refusals import InvalidInput
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.models import Dag, LatestReading
from deployments.queries import dags, readings
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.permissions import Permission

router = Router(tags=["What Airflow does"])


class Run(Schema):
    """One run of a DAG. `seconds` is how long it took, null while it runs."""

    run_id: str
    state: str
    run_after: datetime
    seconds: float | None


class DagOut(Schema):
    """One DAG. `runs` are its last ones, at most 14, oldest first."""

    dag_id: str
    name: str
    schedule: str
    schedule_description: str
    file: str
    paused: bool
    import_error: bool
    next_run_at: datetime | None
    last_success_at: datetime | None
    runs: list[Run]


class DagPage(Schema):
    """A page of a list. `read_at` is when Airdeck last read them, null before the first time."""

    read_at: datetime | None
    items: list[DagOut]
    next: str | None


class QueueLoad(Schema):
    """Tasks of one queue. `oldest_seconds` is for how long the one that waits longest waits."""

    name: str
    queued: int
    running: int
    oldest_seconds: float | None


class ImportErrorOut(Schema):
    """One file that does not import, and the last line of why."""

    file: str
    line: str


class Now(Schema):
    """What was found at `read_at`. What is null was not measured; `usage_absent` says why CPU and memory were not."""

    dags: int
    dags_paused: int
    import_error_count: int
    import_errors: list[ImportErrorOut]
    runs_running: int
    runs_queued: int
    tasks_running: int
    tasks_queued: int
    queues: list[QueueLoad]
    lost_queues: list[str]
    scheduler_heartbeat_at: datetime | None
    workers: int | None
    cpu_millis: int | None
    memory_mib: int | None
    usage_absent: str


class BucketOut(Schema):
    """Figures of one stretch of time from `start` on. Runs and tasks are those that ended in it; the rest is the
    highest that was seen. Everything is null where there was no reading."""

    start: datetime
    runs_succeeded: int | None
    runs_failed: int | None
    tasks_succeeded: int | None
    tasks_failed: int | None
    queued: int | None
    running: int | None
    workers: int | None
    cpu_millis: int | None
    memory_mib: int | None


class FiguresOut(Schema):
    """The last reading, which is null before the first, and figures of a span. `problem` says why the last attempt to
    read failed; the last of the `buckets` is not over."""

    read_at: datetime | None
    problem: str
    now: Now | None
    span: Literal["1h", "24h", "7d", "30d"]
    bucket_seconds: int
    buckets: list[BucketOut]


SEARCH = Query("", max_length=200, description="A part of the name, the DAG id or the file.")
STATE = Query("", max_length=20, description=f"Only those that are {', '.join(dags.STATES)}.")
SPAN = Query("24h", max_length=5, description="1h, 24h, 7d or 30d.")


@router.get(
    "/deployments/{slug:release_name}/dags",
    auth=OnDeployment(Permission.VIEW),
    response=DagPage,
    url_name="dags",
    operation_id="list_dags",
)
def dag_list(
    request: DeploymentRequest,
    release_name: str,
    q: str = SEARCH,
    state: str = STATE,
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> DagPage:
    """Its DAGs by DAG id, as they were last read; that happens once a minute while it runs."""
    if state and state not in dags.STATES:
        raise InvalidInput({"state": f"Choose one of {', '.join(dags.STATES)}."})
    rows = dags.narrowed(Dag.objects.filter(deployment=request.deployment), q, state)
    rows = rows.filter(cursors.after(cursor, ("dag_id", str))).order_by("dag_id")
    found, following = cursors.page(list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.dag_id))
    latest = readings.latest(request.deployment)
    return DagPage(read_at=latest.at if latest else None, items=[_dag(row) for row in found], next=following)


@router.get(
    "/deployments/{slug:release_name}/figures",
    auth=OnDeployment(Permission.VIEW),
    response=FiguresOut,
    url_name="figures",
    operation_id="get_figures",
)
def figures(request: DeploymentRequest, release_name: str, span: str = SPAN) -> FiguresOut:
    """What its Airflow did when it was last read, and over a span of time."""
    if span not in readings.SPANS:
        raise InvalidInput({"span": f"Choose one of {', '.join(readings.SPANS)}."})
    row: LatestReading | None = getattr(request.deployment, "reading", None)
    chosen = readings.SPANS[span]
    found = readings.series(request.deployment, chosen)
    return FiguresOut.model_validate(
        {
            "read_at": row.at if row else None,
            "problem": row.problem if row else "",
            "now": row if row and row.at else None,
            "span": span,
            "bucket_seconds": int(chosen.step.total_seconds()),
            "buckets": [
                _bucket(start, bucket) for start, bucket in zip(found.starts, found.buckets, strict=True)
            ],
        },
        from_attributes=True,
    )


def _bucket(start: datetime, bucket: readings.TimeBucket | None) -> BucketOut:
    names = [name for name in BucketOut.model_fields if name != "start"]
    return BucketOut(start=start, **{name: getattr(bucket, name, None) for name in names})


def _dag(row: Dag) -> DagOut:
    return DagOut(
        dag_id=row.dag_id,
        name=row.name,
        schedule=row.schedule,
        schedule_description=row.schedule_words,
        file=row.file,
        paused=row.paused,
        import_error=row.import_error,
        next_run_at=row.next_run_at,
        last_success_at=row.last_success_at,
        runs=[
            Run(run_id=run["id"], state=run["state"], run_after=run["at"], seconds=run["seconds"])
            for run in row.runs
        ],
    )
