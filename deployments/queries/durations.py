"""What is usual for a step on a cluster, from what the last ones took; and which Deployments are past it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Q, prefetch_related_objects
from django.utils import timezone

from deployments.domain.durations import StepProgress, TypicalDuration, typical
from deployments.domain.states import ComponentState, Operation, Status, StepState
from deployments.models import Deployment, StatusChange, Step, StepTiming

STOPPING, WAKING_UP = "Stopping", "Waking up"
BUSY = frozenset({Status.CREATING, Status.DEPLOYING, Status.DELETING})

type Key = tuple[UUID, str, str]  # cluster, operation, key of the step


def current_operation(deployment: Deployment) -> Operation | None:
    """Whose steps the page shows: deleting, creating until first Healthy, then the change under way if any."""
    if deployment.is_deleting:
        return Operation.DELETE
    if deployment.first_healthy_at is None:
        return Operation.CREATE
    return Operation.CHANGE if deployment.shown_status is Status.DEPLOYING else None


def current_steps(deployment: Deployment) -> list[Step]:
    """The steps that the page shows: of what is under way, and of a change only those of this very one. One query,
    none when they are prefetched."""
    operation = current_operation(deployment)
    if operation is None:
        return []
    found = [step for step in deployment.steps.all() if step.operation == operation]
    if operation is Operation.CHANGE:
        return [step for step in found if step.generation == deployment.generation]
    return found


def typicals(keys: Iterable[Key]) -> dict[Key, TypicalDuration]:
    """What is usual for each of these steps, as far as it is known. One query, none for no keys; a step keeps
    MOST_SAMPLES rows at most."""
    desired = Q()
    for cluster, operation, key in set(keys):
        desired |= Q(cluster=cluster, operation=operation, key=key)
    if not desired:
        return {}
    seconds: dict[Key, list[float]] = defaultdict(list)
    for cluster, operation, key, taken in StepTiming.objects.filter(desired).values_list(
        "cluster_id", "operation", "key", "seconds"
    ):
        seconds[cluster, operation, key].append(taken)
    return {key: found for key, taken in seconds.items() if (found := typical(taken))}


def attach(rows: Sequence[Deployment]) -> None:
    """Put on each row how its step at work does (`row.step_progress`), what its change is (`row.phase`) and whether a
    component fails. Four queries however many rows; none while nothing is under way."""
    busy = [row for row in rows if row.shown_status in BUSY]
    if not busy:
        return
    prefetch_related_objects(busy, "steps", "components")
    woken = _woken(row for row in busy if row.shown_status is Status.DEPLOYING and not row.hibernating)
    for row in busy:
        row.failing = any(each.state == ComponentState.FAILING for each in row.components.all())
        if row.shown_status is Status.DEPLOYING:
            row.phase = STOPPING if row.hibernating else WAKING_UP if row.pk in woken else ""
    at_work = {row.pk: step for row in busy if (step := _step_at_work(row))}
    known = typicals(_key(row, at_work[row.pk]) for row in busy if row.pk in at_work)
    now = timezone.now()
    for row in busy:
        step = at_work.get(row.pk)
        expected = known.get(_key(row, step)) if step else None
        if step and step.started_at and expected:
            row.step_progress = StepProgress(
                step.key, step.title, step.sentence, step.started_at, expected, now
            )


def _woken(rows: Iterable[Deployment]) -> set[UUID]:
    """Which of these slept before what they do now. One query, none for no rows."""
    asked = [row.pk for row in rows]
    if not asked:
        return set()
    last = StatusChange.objects.filter(deployment__in=asked).order_by("deployment", "-at", "-pk")
    before = last.distinct("deployment").values_list("deployment", "old")
    return {pk for pk, old in before if old == Status.HIBERNATING}


def _key(row: Deployment, step: Step) -> Key:
    return row.cluster_id, step.operation, step.key


def _step_at_work(row: Deployment) -> Step | None:
    """The step that has begun and is not done: it runs, or waits for its next try."""
    at_work = {StepState.RUNNING.value, StepState.FAILED.value}
    return next((step for step in current_steps(row) if step.state in at_work), None)
