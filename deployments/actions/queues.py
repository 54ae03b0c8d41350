"""Worker queues besides the default's place in the edit form: adding, editing, deleting."""

from django.db.models.functions import Now

from deployments.actions.common import NotNow, changing
from deployments.actions.settings import (
    DEFAULT_QUEUE,
    WORKERS,
    ChangedMeanwhile,
    Settings,
    columns,
    make_queue,
    queue_settings,
)
from deployments.audit import record_deployment
from deployments.clusters import connections
from deployments.domain.states import Executor
from deployments.models import Deployment, WorkerQueue
from workspaces.models import User


class QueueExists(Exception):
    """The Deployment has a worker queue of this name."""


class QueueGone(Exception):
    """Somebody deleted the worker queue meanwhile."""


def add_queue(*, deployment: Deployment, by: User, name: str, wanted: Settings) -> None:
    """One more worker queue. Raises QueueExists and NotNow."""
    with changing(deployment, by=by) as row:
        connections.hold(row.cluster)
        _refuse_unless_celery(row)
        if row.queues.filter(name=name).exists():
            raise QueueExists(name)
        make_queue(row, name, wanted)
        _touch(row, by)
        new = {"worker_queue": name, **{field: wanted[field] for field in WORKERS}}
        record_deployment(row, by, "added a worker queue to", new=new)


def edit_queue(*, deployment: Deployment, by: User, name: str, shown: Settings, wanted: Settings) -> bool:
    """Make the queue as `wanted`, if it still is as `shown`; whether anything differed. Raises ChangedMeanwhile,
    QueueGone and NotNow."""
    with changing(deployment, by=by) as row:
        connections.hold(row.cluster)
        now = queue_settings(_queue(row, name))
        if now != shown:
            raise ChangedMeanwhile(now)
        changed = [field for field in WORKERS if wanted[field] != now[field]]
        if not changed:
            return False
        row.queues.filter(name=name).update(**columns(row, {field: wanted[field] for field in changed}))
        _touch(row, by)
        record_deployment(
            row,
            by,
            "edited a worker queue of",
            old={"worker_queue": name, **{field: now[field] for field in changed}},
            new={"worker_queue": name, **{field: wanted[field] for field in changed}},
        )
    return True


def delete_queue(*, deployment: Deployment, by: User, name: str) -> None:
    """Drop a worker queue: its workers drain. Raises QueueGone, and NotNow also for the default queue."""
    if name == DEFAULT_QUEUE:
        raise NotNow(DEFAULT_STAYS)
    with changing(deployment, by=by) as row:
        queue = _queue(row, name)
        old = {"worker_queue": name, **queue_settings(queue)}
        queue.delete()
        _touch(row, by)
        record_deployment(row, by, "deleted a worker queue of", old=old)


DEFAULT_STAYS = "The queue default cannot be deleted: tasks that name no queue run there."
NEEDS_CELERY = "Only the Celery executor has worker queues. Choose it under Edit first."


def _refuse_unless_celery(row: Deployment) -> None:
    if row.executor != Executor.CELERY:
        raise NotNow(NEEDS_CELERY)


def _queue(row: Deployment, name: str) -> WorkerQueue:
    found = row.queues.select_related("worker_type").filter(name=name).first()
    if found is None:
        raise QueueGone(name)
    return found


def _touch(row: Deployment, by: User) -> None:
    Deployment.objects.filter(pk=row.pk).update(updated_at=Now(), updated_by=by)
