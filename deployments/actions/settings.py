"""Editing a Deployment as a whole. The person who edits says what they were shown; when that is no longer what is
stored, nothing is written and they are shown what is."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError
from django.db.models.functions import Now

from console.kit.refusals import InvalidInput
from deployments.actions.common import changing
from deployments.actions.refusals import EditConflict, NameTaken
from deployments.clusters import connections
from deployments.clusters.options import options_for
from deployments.domain.field_values import FieldValues
from deployments.domain.names import name_key
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor
from deployments.models import Deployment, WorkerQueue
from workspaces import audit
from workspaces.models import User

OWN = ("name", "description", "executor", "scheduler_au", "scheduler_replicas")
WORKERS = ("worker_type", "min_workers", "max_workers", "concurrency")
OTHER_QUEUES = "other_queues"  # not a field: dropping the executor drops them, so they must have been seen


def settings_of(deployment: Deployment, queues: Sequence[WorkerQueue]) -> FieldValues:
    """What the edit form shows of the Deployment. `queues` come with their worker type loaded."""
    found: FieldValues = {name: getattr(deployment, name) for name in OWN}
    if deployment.executor == Executor.CELERY:
        default = next(queue for queue in queues if queue.name == DEFAULT_QUEUE)
        others = sorted(queue.name for queue in queues if queue is not default)
        found |= {**queue_settings(default), OTHER_QUEUES: ", ".join(others)}
    return found


def queue_settings(queue: WorkerQueue) -> FieldValues:
    """What the form of one worker queue shows. The worker type is loaded."""
    return {"worker_type": queue.worker_type.name, **{name: getattr(queue, name) for name in WORKERS[1:]}}


def edit_deployment(*, deployment: Deployment, by: User, shown: FieldValues, desired: FieldValues) -> bool:
    """Make the Deployment as `desired`, if it still is as `shown`; whether anything differed. What only describes it
    restarts nothing. Raises EditConflict,
    InvalidInput, NameTaken and NotNow."""
    try:
        with changing(deployment, by=by) as row:
            connections.lock_for_placement(
                row.cluster
            )  # an operator who changes a worker type waits, and then sees this queue
            now = settings_of(row, list(row.queues.select_related("worker_type")))
            if now != shown:
                raise EditConflict(now)
            changed = [
                name for name in (*OWN, *WORKERS) if name in desired and desired[name] != now.get(name)
            ]
            if not changed:
                return False
            refuse_invalid(row, {name: desired[name] for name in changed}, desired)
            _save(row, by, {name: desired[name] for name in changed if name in OWN})
            dropped = _save_queues(
                row, now, {name: desired[name] for name in changed if name in WORKERS}, desired
            )
            old = {name: now[name] for name in changed if name in now} | dropped
            audit.record(row, by, "edited", old=old, new={name: desired[name] for name in changed})
    except IntegrityError as error:
        if "deployment_name_once_per_workspace" not in str(error):
            raise
        raise NameTaken from error
    deployment.refresh_from_db()
    return True


def refuse_invalid(row: Deployment, changed: FieldValues, desired: FieldValues) -> None:
    """Raise InvalidInput when what is `changed` breaks a limit of the cluster, which is held. Numbers of workers are
    judged together; what stays as it is stays, whatever the limits are now."""
    values: dict[str, object] = dict(changed)
    if changed.keys() & {"min_workers", "max_workers"}:
        values |= {name: desired[name] for name in ("min_workers", "max_workers")}
    if problems := options_for(row.cluster).problems(values):
        raise InvalidInput(problems)


def _save(row: Deployment, by: User, values: dict[str, Any]) -> None:
    if "name" in values:
        values["name_key"] = name_key(str(values["name"]))
    Deployment.objects.filter(pk=row.pk).update(**values, updated_at=Now(), updated_by=by)


def _save_queues(
    row: Deployment, now: FieldValues, values: FieldValues, desired: FieldValues
) -> dict[str, Any]:
    """Change the default queue; make it when the executor becomes Celery; drop every queue when it no longer is.
    What was dropped, for the audit event."""
    if desired["executor"] != Executor.CELERY:
        names = sorted(row.queues.values_list("name", flat=True))
        row.queues.all().delete()
        return {"worker_queues": ", ".join(names)} if names else {}
    if now["executor"] != Executor.CELERY:
        make_queue(row, DEFAULT_QUEUE, desired)
    elif values:
        row.queues.filter(name=DEFAULT_QUEUE).update(**columns(row, values))
    return {}


def make_queue(row: Deployment, name: str, desired: FieldValues) -> WorkerQueue:
    """A new worker queue, inside the transaction of its change."""
    values = columns(row, {field: desired[field] for field in WORKERS})
    return WorkerQueue.objects.create(
        deployment=row, name=name, desired_workers=values["min_workers"], **values
    )


def columns(row: Deployment, values: FieldValues) -> dict[str, Any]:
    """Valid fields of a form as columns of a queue. The cluster is held, so its worker types stay."""
    found: dict[str, Any] = dict(values)
    if "worker_type" in found:
        found["worker_type"] = row.cluster.worker_types.get(name=found["worker_type"])
    return found
