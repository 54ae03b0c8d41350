"""Worker queues besides the default's place in the edit form: adding, editing, deleting."""

from django.db.models.functions import Now

from console.kit.refusals import InvalidInput
from deployments.actions.common import changing
from deployments.actions.refusals import EditConflict, NotNow, QueueExists, QueueGone
from deployments.actions.settings import (
    WORKERS,
    columns,
    make_queue,
    queue_settings,
    refuse_invalid,
)
from deployments.clusters import connections
from deployments.clusters.options import options_for
from deployments.domain.field_values import FieldValues
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.models import Deployment, WorkerQueue
from deployments.queries.editable import why_no_queues
from workspaces import audit
from workspaces.models import User


def add_queue(*, deployment: Deployment, by: User, name: str, desired: FieldValues) -> None:
    """One more worker queue. Raises QueueExists, InvalidInput and NotNow."""
    with changing(deployment, by=by) as row:
        connections.lock_for_placement(row.cluster)
        _refuse_unless_celery(row)
        if row.queues.filter(name=name).exists():
            raise QueueExists(name)
        problems = options_for(row.cluster).problems(
            {"queue": name, **{each: desired[each] for each in WORKERS}}
        )
        if problems:
            raise InvalidInput(
                {("name" if each == "queue" else each): message for each, message in problems.items()}
            )
        make_queue(row, name, desired)
        _touch(row, by)
        new = {"worker_queue": name, **{field: desired[field] for field in WORKERS}}
        audit.record(row, by, "added a worker queue to", new=new)


def edit_queue(
    *, deployment: Deployment, by: User, name: str, shown: FieldValues, desired: FieldValues
) -> bool:
    """Make the queue as `desired`, if it still is as `shown`; whether anything differed. Raises EditConflict,
    InvalidInput, QueueGone and NotNow."""
    with changing(deployment, by=by) as row:
        connections.lock_for_placement(row.cluster)
        now = queue_settings(_queue(row, name))
        if now != shown:
            raise EditConflict(now)
        changed = [field for field in WORKERS if desired[field] != now[field]]
        if not changed:
            return False
        refuse_invalid(row, {field: desired[field] for field in changed}, desired)
        row.queues.filter(name=name).update(**columns(row, {field: desired[field] for field in changed}))
        _touch(row, by)
        audit.record(
            row,
            by,
            "edited a worker queue of",
            old={"worker_queue": name, **{field: now[field] for field in changed}},
            new={"worker_queue": name, **{field: desired[field] for field in changed}},
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
        audit.record(row, by, "deleted a worker queue of", old=old)


DEFAULT_STAYS = "The queue default cannot be deleted: tasks that name no queue run there."


def _refuse_unless_celery(row: Deployment) -> None:
    if why := why_no_queues(row):
        raise NotNow(why)


def _queue(row: Deployment, name: str) -> WorkerQueue:
    found = row.queues.select_related("worker_type").filter(name=name).first()
    if found is None:
        raise QueueGone(name)
    return found


def _touch(row: Deployment, by: User) -> None:
    Deployment.objects.filter(pk=row.pk).update(updated_at=Now(), updated_by=by)
