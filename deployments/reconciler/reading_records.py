"""Writes what a reading found, in one transaction, fenced by the claim: written twice it is as if written once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from deployments import enqueue
from deployments.dataplane.reading import (
    SCHEDULER,
    DagReading,
    HourCount,
    Reading,
    beating,
    dag_of,
    digest_of,
)
from deployments.domain.states import Executor, Status
from deployments.models import Dag, Deployment, FailedRun, HourlyFigures, LatestReading, MinuteFigures
from deployments.models.readings import FAILED_RUNS_KEPT, HOURS_KEPT, slot_of
from deployments.reconciler import leases

DAY = timedelta(hours=24)
DAG_FIELDS = (
    *("name", "schedule", "schedule_words", "file", "paused", "import_error", "next_run_at", "last_run_id"),
    *("last_state", "last_run_at", "last_started_at", "last_ended_at", "last_seconds", "last_success_at"),
    *("runs", "digest"),
)

_MINUTE = """
INSERT INTO deployments_minutefigures AS kept (deployment_id, slot, at, runs_succeeded, runs_failed, queued, running,
  workers, cpu_millis, memory_mib)
VALUES (%(pk)s, %(slot)s, %(at)s, %(runs_succeeded)s, %(runs_failed)s, %(queued)s, %(running)s, %(workers)s,
  %(cpu_millis)s, %(memory_mib)s)
ON CONFLICT (deployment_id, slot) DO UPDATE SET at = excluded.at, runs_succeeded = excluded.runs_succeeded,
  runs_failed = excluded.runs_failed, queued = excluded.queued, running = excluded.running,
  workers = excluded.workers, cpu_millis = excluded.cpu_millis, memory_mib = excluded.memory_mib
WHERE kept.at < excluded.at
"""

_HOUR = """
INSERT INTO deployments_hourlyfigures AS kept (deployment_id, hour, runs_succeeded, runs_failed, tasks_succeeded,
  tasks_failed, queued, running, workers, cpu_millis, memory_mib, readings)
VALUES (%(pk)s, %(hour)s, %(runs_succeeded)s, %(runs_failed)s, %(tasks_succeeded)s, %(tasks_failed)s, %(queued)s,
  %(running)s, %(workers)s, %(cpu_millis)s, %(memory_mib)s, 1)
ON CONFLICT (deployment_id, hour) DO UPDATE SET runs_succeeded = excluded.runs_succeeded,
  runs_failed = excluded.runs_failed, tasks_succeeded = coalesce(excluded.tasks_succeeded, kept.tasks_succeeded),
  tasks_failed = coalesce(excluded.tasks_failed, kept.tasks_failed), queued = greatest(kept.queued, excluded.queued),
  running = greatest(kept.running, excluded.running), workers = greatest(kept.workers, excluded.workers),
  cpu_millis = greatest(kept.cpu_millis, excluded.cpu_millis),
  memory_mib = greatest(kept.memory_mib, excluded.memory_mib), readings = kept.readings + 1
"""


# What was not counted this time stays.
_HOUR_BEFORE = """
UPDATE deployments_hourlyfigures SET runs_succeeded = %(runs_succeeded)s, runs_failed = %(runs_failed)s,
  tasks_succeeded = coalesce(%(tasks_succeeded)s, tasks_succeeded),
  tasks_failed = coalesce(%(tasks_failed)s, tasks_failed)
WHERE deployment_id = %(pk)s AND hour = %(hour)s
"""


def failed(pk: UUID, tried_at: datetime, problem: str) -> None:
    """Note why an attempt found nothing. What was read before stays, with its age."""
    LatestReading.objects.filter(deployment_id=pk, tried_at=tried_at).update(problem=problem[:1000])


def keep(pk: UUID, tried_at: datetime, found: Reading) -> bool:
    """Write a reading down; False when there is a later claim, or the Deployment is gone or on its way out. A component
    whose heartbeats stopped or came back makes the row due: no watch reports that."""
    with transaction.atomic():
        row = (
            LatestReading.objects.select_for_update(of=("self",))
            .select_related("deployment")
            .only(
                "at",
                "day",
                "heartbeats",
                "deployment__executor",
                "deployment__status",
                "deployment__status_since",
            )
            .filter(deployment_id=pk, tried_at=tried_at, deployment__delete_requested_at__isnull=True)
            .first()
        )
        if row is None or row.at == tried_at:
            return False
        paused = _keep_dags(pk, found)
        _keep_failed_runs(pk, found)
        workers = _workers(row.deployment)
        gauges = _gauges(workers, found)
        _keep_figures(pk, tried_at, found, gauges)
        values = _latest(row, found, gauges, paused, tried_at)
        LatestReading.objects.filter(pk=pk).update(**values, lost_queues=_lost_queues(workers, found))
        if (
            row.at is not None
            and beating(row.heartbeats) != beating(found.heartbeats)
            and leases.mark_due([pk])
        ):
            transaction.on_commit(lambda: enqueue.reconcile_first([pk]))
    return True


def forget(deployment: Deployment) -> None:
    """Drop all that was read of a Deployment that is gone."""
    for model in (LatestReading, Dag, FailedRun, HourlyFigures, MinuteFigures):
        model._default_manager.filter(deployment=deployment).delete()


def prune(cluster_id: UUID) -> None:
    """Drop the hours of more than a year ago and the failed runs of more than a month ago, of one cluster, but for the
    last one of a DAG that has not succeeded since: it still is its newest news. Figures by minute replace themselves.
    """
    ids = list(Deployment.objects.filter(cluster_id=cluster_id).values_list("pk", flat=True))
    now = timezone.now()
    HourlyFigures.objects.filter(deployment_id__in=ids, hour__lt=now - HOURS_KEPT).delete()
    dag = {"deployment": OuterRef("deployment"), "dag_id": OuterRef("dag_id")}
    newer = FailedRun.objects.filter(**dag, ended_at__gt=OuterRef("ended_at"))
    failing = Dag.objects.filter(
        Q(last_success_at__isnull=True) | Q(last_success_at__lt=OuterRef("ended_at")), **dag
    )
    old = FailedRun.objects.filter(deployment_id__in=ids, ended_at__lt=now - FAILED_RUNS_KEPT)
    old.filter(Exists(newer) | ~Exists(failing)).delete()


def _keep_failed_runs(pk: UUID, found: Reading) -> None:
    FailedRun.objects.bulk_create(
        (
            FailedRun(
                deployment_id=pk,
                dag_id=run.dag_id[:250],
                run_id=run.run_id[:250],
                tasks=list(run.tasks),
                run_at=run.run_at,
                started_at=run.started_at,
                ended_at=run.ended_at,
            )
            for run in reversed(found.failed_runs)  # the newest is found last
        ),
        ignore_conflicts=True,
    )


def _workers(deployment: Deployment) -> dict[str, int] | None:
    """How many workers each of its queues has; None for executors without queues. One query under Celery."""
    if deployment.executor != Executor.CELERY:
        return None
    return dict(deployment.queues.values_list("name", "live_workers"))


def _gauges(workers: dict[str, int] | None, found: Reading) -> dict[str, int | None]:
    """What is so at the moment of the reading."""
    cores, memory = found.usage.cores, found.usage.memory_bytes
    return {
        "queued": sum(queue.queued for queue in found.queues),
        "running": sum(queue.running for queue in found.queues),
        "workers": None if workers is None else sum(workers.values()),
        "cpu_millis": None if cores is None else round(cores * 1000),
        "memory_mib": None if memory is None else memory // 2**20,
    }


def _keep_figures(pk: UUID, at: datetime, found: Reading, gauges: dict[str, int | None]) -> None:
    """The minute; the present hour; and, where there were readings in it, the rest of the hour before."""
    ended = {"runs_succeeded": found.runs_succeeded, "runs_failed": found.runs_failed}
    with connection.cursor() as cursor:
        cursor.execute(_MINUTE, {"pk": pk, "slot": slot_of(at), "at": at, **ended, **gauges})
        for count in found.hours[-1:]:
            cursor.execute(_HOUR, {"pk": pk, "hour": count.hour, **_counts(count), **gauges})
        for count in found.hours[:-1]:
            cursor.execute(_HOUR_BEFORE, {"pk": pk, "hour": count.hour, **_counts(count)})


def _counts(count: HourCount) -> dict[str, int | None]:
    return {
        "runs_succeeded": count.runs_succeeded,
        "runs_failed": count.runs_failed,
        "tasks_succeeded": count.tasks_succeeded,
        "tasks_failed": count.tasks_failed,
    }


def _latest(
    row: LatestReading, found: Reading, gauges: dict[str, int | None], paused: int, at: datetime
) -> dict[str, Any]:
    scheduler = found.heartbeats.get(SCHEDULER)
    return {
        "at": at,
        "problem": "",
        "read_to": found.at,
        "cpu_sample": dict(found.usage.cpu),
        "dags": len(found.dags),
        "dags_paused": paused,
        "import_error_count": found.import_error_count,
        "import_errors": [{"file": each.file, "line": each.line} for each in found.import_errors],
        "runs_running": found.runs_running,
        "runs_queued": found.runs_queued,
        "tasks_running": gauges["running"],
        "tasks_queued": gauges["queued"],
        "tasks_scheduled": found.scheduled,
        "queues": [
            {
                "name": queue.name,
                "queued": queue.queued,
                "running": queue.running,
                "oldest_seconds": queue.oldest_seconds,
            }
            for queue in found.queues
        ],
        "heartbeats": dict(found.heartbeats),
        "scheduler_heartbeat_at": _heartbeat_at(row.deployment, scheduler, at),
        "workers": gauges["workers"],
        "cpu_millis": gauges["cpu_millis"],
        "memory_mib": gauges["memory_mib"],
        "usage_absent": found.usage.absent[:500],
        "day": _day(row.day, found.hours),
    }


def _heartbeat_at(deployment: Deployment, age: float | None, at: datetime) -> datetime | None:
    """When a heartbeat came. While something changes, such as while it wakes, one from before that says nothing."""
    if age is None:
        return None
    beat_at = at - timedelta(seconds=age)
    is_changing = deployment.status == Status.DEPLOYING and beat_at < deployment.status_since
    return None if is_changing else beat_at


def _lost_queues(workers: dict[str, int] | None, found: Reading) -> list[str]:
    """Queues in which tasks wait and that do not exist. Only Celery has queues."""
    if workers is None:
        return []
    return sorted({queue.name for queue in found.queues if queue.queued} - set(workers))


def _day(kept: list[list[Any]], hours: Sequence[HourCount]) -> list[list[Any]]:
    """The last 24 hours that have a reading. The hour before counts only where it has one already."""
    if not hours:
        return kept
    known = {str(hour): [ok, bad] for hour, ok, bad in kept}
    present = hours[-1].hour.isoformat()
    for each in hours:
        if each.hour.isoformat() in {*known, present}:
            known[each.hour.isoformat()] = [each.runs_succeeded, each.runs_failed]
    oldest = (hours[-1].hour - DAY).isoformat()
    return [[hour, *counts] for hour, counts in sorted(known.items()) if hour > oldest]


# -- DAGs --


def _keep_dags(pk: UUID, found: Reading) -> int:
    """Make the DAG rows equal to what was read; how many are paused. Only rows that differ are read and written."""
    kept = {
        dag_id: (digest, paused, succeeded)
        for dag_id, digest, paused, succeeded in Dag.objects.filter(deployment_id=pk).values_list(
            "dag_id", "digest", "paused", "last_success_at"
        )
    }
    paused, unpaused, changed = 0, [], []
    for dag_id, document in found.dags.items():
        digest, was_paused, succeeded = kept.pop(dag_id, ("", False, None))
        if digest == digest_of(document):
            paused += was_paused
            continue
        dag = dag_of(dag_id, document)
        paused += dag.paused
        if was_paused and not dag.paused:
            unpaused.append(dag_id)
        changed.append(_dag_row(pk, dag, digest_of(document), succeeded))
    if kept:
        Dag.objects.filter(deployment_id=pk, dag_id__in=list(kept)).delete()
    if changed:
        Dag.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["deployment", "dag_id"], update_fields=DAG_FIELDS
        )
    if unpaused:
        Dag.objects.filter(deployment_id=pk, dag_id__in=unpaused).update(first_seen_at=Now())
    return paused


def _dag_row(pk: UUID, dag: DagReading, digest: str, succeeded: datetime | None) -> Dag:
    last = dag.runs[0] if dag.runs else None
    ends = [run.ended_at for run in dag.runs if run.state == "success" and run.ended_at is not None]
    ends += [succeeded] if succeeded is not None else []
    return Dag(
        deployment_id=pk,
        dag_id=dag.dag_id,
        name=dag.name[:250],
        schedule=dag.schedule[:200],
        schedule_words=dag.schedule_words[:500],
        file=dag.file[:500],
        paused=dag.paused,
        import_error=dag.import_error,
        next_run_at=dag.next_run_at,
        last_run_id=last.run_id if last else "",
        last_state=last.state if last else "",
        last_run_at=last.run_at if last else None,
        last_started_at=last.started_at if last else None,
        last_ended_at=last.ended_at if last else None,
        last_seconds=last.seconds if last else None,
        last_success_at=max(ends, default=None),
        runs=[
            {"id": run.run_id, "state": run.state, "at": run.run_at.isoformat(), "seconds": run.seconds}
            for run in reversed(dag.runs)
        ],
        digest=digest,
    )
