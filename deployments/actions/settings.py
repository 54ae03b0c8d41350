"""Editing a Deployment as a whole. Whoever edits says what they were shown; when that is no longer what is stored,
nothing is written and they are told what is."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError
from django.db.models.functions import Now

from deployments.actions.common import NotNow, changing
from deployments.actions.lifecycle import NameTaken
from deployments.audit import record_deployment
from deployments.clusters import connections
from deployments.domain.names import name_key
from deployments.domain.states import Executor
from deployments.models import Deployment, WorkerQueue, WorkerType
from workspaces.models import User

Settings = dict[str, str | int]  # by field of the edit form; those of workers only under Celery
DEFAULT_QUEUE = "default"
OWN = ("name", "description", "executor", "scheduler_au", "scheduler_replicas")
WORKERS = ("worker_type", "min_workers", "max_workers", "concurrency")
OTHER_QUEUES = (
    "other_queues"  # not a field: dropping the executor drops them, so whoever edits must have seen them
)


class ChangedMeanwhile(Exception):
    """Somebody else saved after this form was shown. `now` is what is stored."""

    def __init__(self, now: Settings) -> None:
        super().__init__("changed meanwhile")
        self.now = now


def settings_of(deployment: Deployment, queues: Sequence[WorkerQueue]) -> Settings:
    """What the edit form shows of the Deployment. `queues` come with their worker type loaded."""
    found: Settings = {name: getattr(deployment, name) for name in OWN}
    if deployment.executor == Executor.CELERY:
        default = next(queue for queue in queues if queue.name == DEFAULT_QUEUE)
        others = sorted(queue.name for queue in queues if queue is not default)
        found |= {**queue_settings(default), OTHER_QUEUES: ", ".join(others)}
    return found


def queue_settings(queue: WorkerQueue) -> Settings:
    """What the form of one worker queue shows. The worker type is loaded."""
    return {"worker_type": queue.worker_type.name, **{name: getattr(queue, name) for name in WORKERS[1:]}}


def edit_deployment(*, deployment: Deployment, by: User, shown: Settings, wanted: Settings) -> bool:
    """Make the Deployment as `wanted`, if it still is as `shown`; whether anything differed. What only describes it
    restarts nothing. Raises ChangedMeanwhile, NameTaken and NotNow."""
    try:
        with changing(deployment, by=by) as row:
            connections.hold(
                row.cluster
            )  # an operator who changes a worker type waits, and then sees this queue
            now = settings_of(row, list(row.queues.select_related("worker_type")))
            if now != shown:
                raise ChangedMeanwhile(now)
            changed = [name for name in (*OWN, *WORKERS) if name in wanted and wanted[name] != now.get(name)]
            if not changed:
                return False
            _save(row, by, {name: wanted[name] for name in changed if name in OWN})
            dropped = _save_queues(
                row, now, {name: wanted[name] for name in changed if name in WORKERS}, wanted
            )
            old = {name: now[name] for name in changed if name in now} | dropped
            record_deployment(row, by, "edited", old=old, new={name: wanted[name] for name in changed})
    except IntegrityError as error:
        if "deployment_name_once_per_workspace" not in str(error):
            raise
        raise NameTaken(str(wanted["name"])) from error
    deployment.refresh_from_db()
    return True


def _save(row: Deployment, by: User, values: dict[str, Any]) -> None:
    if "name" in values:
        values["name_key"] = name_key(str(values["name"]))
    Deployment.objects.filter(pk=row.pk).update(**values, updated_at=Now(), updated_by=by)


def _save_queues(row: Deployment, now: Settings, values: Settings, wanted: Settings) -> dict[str, Any]:
    """Change the default queue; make it when the executor becomes Celery; drop every queue when it no longer is.
    What was dropped, for the audit event."""
    if wanted["executor"] != Executor.CELERY:
        names = sorted(row.queues.values_list("name", flat=True))
        row.queues.all().delete()
        return {"worker_queues": ", ".join(names)} if names else {}
    if now["executor"] != Executor.CELERY:
        make_queue(row, DEFAULT_QUEUE, wanted)
    elif values:
        row.queues.filter(name=DEFAULT_QUEUE).update(**columns(row, values))
    return {}


def make_queue(row: Deployment, name: str, wanted: Settings) -> WorkerQueue:
    """A new worker queue, inside the transaction of its change."""
    values = columns(row, {field: wanted[field] for field in WORKERS})
    return WorkerQueue.objects.create(
        deployment=row, name=name, wanted_workers=values["min_workers"], **values
    )


def columns(row: Deployment, values: Settings) -> dict[str, Any]:
    """Fields of a form as columns of a queue. The cluster is held. Raises NotNow when it lost the worker type."""
    found: dict[str, Any] = dict(values)
    if "worker_type" in found:
        try:
            found["worker_type"] = row.cluster.worker_types.get(name=found["worker_type"])
        except WorkerType.DoesNotExist:
            gone = f"{row.cluster} has no worker type {found['worker_type']} any more. Choose another one."
            raise NotNow(gone) from None
    return found
