"""Applying a deployment file: one transaction, by the actions that pages call too, and only on what its plan was made
of."""

from uuid import UUID

from django.db import transaction

from deployments.actions.furnishing import Furnishing
from deployments.actions.hibernation import schedule_settings, set_schedule, set_wakes_on_open
from deployments.actions.lifecycle import Choices, QueueChoice, create_deployment
from deployments.actions.queues import add_queue, delete_queue, edit_queue
from deployments.actions.refusals import FileRefused, KeyReused, PlanStale
from deployments.actions.settings import edit_deployment, queue_settings, settings_of
from deployments.actions.upgrade import upgrade_runtime
from deployments.actions.variables import replace_variables
from deployments.domain.deployment_file import DeploymentFile, FileQueue, FileSchedule, Shape
from deployments.domain.field_values import FieldValues
from deployments.domain.names import name_key
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor
from deployments.models import Deployment, HibernationSchedule
from deployments.queries.deployment_files import Planned, plan
from workspaces.models import User, Workspace


def made_before(workspace: Workspace, file: DeploymentFile, idempotency_key: UUID) -> Deployment | None:
    """The Deployment that applying this file made with this key; None when the key made none. To be asked before
    anything is judged by what there is now, as that is what the first try made. Raises KeyReused when it is not what
    the file says: another file made it, or it was changed since. Nothing is known of keys that changed a
    Deployment: the `base` of their plan is that of a state that is no more."""
    rows = Deployment.objects.select_related("workspace", "cluster", "runtime", "updated_by")
    made = rows.filter(workspace=workspace, idempotency_key=idempotency_key).first()
    if made is None:
        return None
    other = made.deleted_at is not None or made.name_key != name_key(file.name)
    if other or plan(workspace, file, made).lines:
        raise KeyReused("Deployment")
    return made


@transaction.atomic
def apply_file(
    *,
    workspace: Workspace,
    by: User,
    deployment: Deployment | None,
    file: DeploymentFile,
    base: str,
    idempotency_key: UUID,
) -> tuple[Deployment, Planned]:
    """Make the Deployment what the file says, or a new one. All of it or nothing: `base` is that of the plan that was
    shown. Gives the Deployment, and what was done. A file that changes nothing writes nothing. For the key see
    `made_before`.

    Raises FileRefused, PlanStale, and what `create_deployment` and the actions on a Deployment raise.
    """
    if deployment is not None:
        Deployment.objects.select_for_update(of=("self",)).get(pk=deployment.pk)
        deployment.refresh_from_db()
    planned = plan(workspace, file, deployment)
    if planned.base != base:
        raise PlanStale
    if planned.problems:
        raise FileRefused(planned.problems)
    if deployment is None:
        return _make(workspace, by, planned, idempotency_key), planned
    if planned.lines:
        _change(deployment, by, planned)
        deployment.refresh_from_db()
    return deployment, planned


def _make(workspace: Workspace, by: User, planned: Planned, idempotency_key: UUID) -> Deployment:
    desired, options = planned.desired, planned.options
    assert options is not None  # noqa: S101 - without options there is a problem
    types = {each.name: each for each in options.worker_types}
    default = desired.queues.get(DEFAULT_QUEUE)
    queue = None
    if default is not None:
        values = _queue_values(default)
        sizes = {name: int(values[name]) for name in ("min_workers", "max_workers", "concurrency")}
        queue = QueueChoice(worker_type=types[str(values["worker_type"])], **sizes)
    choices = Choices(
        name=desired.name,
        description=desired.description,
        cluster=options.cluster,
        runtime=next(each for each in options.runtimes if each.version == desired.runtime),
        executor=desired.executor,
        scheduler_au=desired.scheduler_au,
        scheduler_replicas=desired.scheduler_replicas,
        queue=queue,
    )
    others = {name: _queue_values(each) for name, each in desired.queues.items() if name != DEFAULT_QUEUE}
    schedule = None if desired.schedule is None else _schedule_values(desired.schedule)
    return create_deployment(
        workspace=workspace,
        by=by,
        idempotency_key=idempotency_key,
        choices=choices,
        furnishing=Furnishing(others, desired.variables, schedule, desired.wakes_on_open),
    )


def _change(deployment: Deployment, by: User, planned: Planned) -> None:
    """Under the lock of the row. The order: what the Deployment is, then its queues, then what runs in it."""
    desired, current = planned.desired, planned.current
    assert current is not None  # noqa: S101 - there is a Deployment
    shown = settings_of(deployment, list(deployment.queues.select_related("worker_type")))
    edit_deployment(deployment=deployment, by=by, shown=shown, desired=_own_values(desired))
    if desired.executor is Executor.CELERY:
        _change_queues(deployment, by, desired)
    if desired.variables != current.variables:
        replace_variables(deployment=deployment, by=by, desired=desired.variables)
    if desired.schedule != current.schedule:
        _change_schedule(deployment, by, desired.schedule)
    set_wakes_on_open(deployment=deployment, by=by, on=desired.wakes_on_open)
    if desired.runtime != current.runtime:
        assert planned.options is not None  # noqa: S101 - there is a cluster
        to = next(each for each in planned.options.runtimes if each.version == desired.runtime)
        upgrade_runtime(deployment=deployment, by=by, to=to)


def _own_values(desired: Shape) -> FieldValues:
    values: FieldValues = {
        "name": desired.name,
        "description": desired.description,
        "executor": desired.executor.value,
        "scheduler_au": desired.scheduler_au,
        "scheduler_replicas": desired.scheduler_replicas,
    }
    default = desired.queues.get(DEFAULT_QUEUE)
    return values if default is None else {**values, **_queue_values(default)}


def _change_queues(deployment: Deployment, by: User, desired: Shape) -> None:
    """All but the default one, which goes with the Deployment's own values."""
    rows = deployment.queues.select_related("worker_type").exclude(name=DEFAULT_QUEUE)
    there = {row.name: queue_settings(row) for row in rows}
    for name in sorted(there.keys() - desired.queues.keys()):
        delete_queue(deployment=deployment, by=by, name=name)
    for name, queue in desired.queues.items():
        values = _queue_values(queue)
        if name in there:
            edit_queue(deployment=deployment, by=by, name=name, shown=there[name], desired=values)
        elif name != DEFAULT_QUEUE:
            add_queue(deployment=deployment, by=by, name=name, desired=values)


def _queue_values(queue: FileQueue) -> FieldValues:
    """A completed queue as the fields of its form."""
    return {
        "worker_type": queue.worker_type or "",
        "min_workers": queue.min_workers or 0,
        "max_workers": queue.max_workers or 0,
        "concurrency": queue.concurrency or 0,
    }


def _change_schedule(deployment: Deployment, by: User, desired: FileSchedule | None) -> None:
    shown = schedule_settings(HibernationSchedule.objects.filter(deployment=deployment).first())
    if desired is not None:
        set_schedule(deployment=deployment, by=by, shown=shown, desired=_schedule_values(desired))
    else:  # a schedule that says nothing, in the zone that it had
        silent: FieldValues = {"hibernate_cron": "", "wake_cron": "", "enabled": False}
        set_schedule(deployment=deployment, by=by, shown=shown, desired={**shown, **silent})


def _schedule_values(schedule: FileSchedule) -> FieldValues:
    return {
        "hibernate_cron": schedule.hibernate_cron,
        "wake_cron": schedule.wake_cron,
        "time_zone": schedule.time_zone,
        "enabled": schedule.enabled,
    }
