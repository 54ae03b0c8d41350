"""The steps of an operation as rows: what is done, what runs, what it waits for. Called by `status` alone."""

from datetime import datetime
from typing import Any

from deployments.dataplane.contract import Leftover, Outcome, Progress, StepName
from deployments.domain.durations import MOST_SAMPLES
from deployments.domain.states import Operation, StepState
from deployments.models import Deployment, Step, StepTiming


def write(
    row: Deployment,
    operation: Operation,
    names: tuple[StepName, ...],
    *,
    progress: Progress | None,
    error: str,
    now: datetime,
    inventory: tuple[Leftover, ...] = (),
) -> bool:
    """Make the rows of `operation` say what `progress` (or `error`) says; True when one differed.

    All steps before the progress's own are done, those after it are pending. An error belongs to the first step
    that is not done. `inventory` becomes the receipt of the steps that remove it.
    """
    rows = _ensure(row, operation, names)
    current = _current(rows, progress)
    changed = False
    for index, step in enumerate(rows):
        desired = _desired(step, index, current, progress, error, now)
        if desired.get("state") == StepState.DONE:
            record_duration(row, step, now)
        receipt = [item.text for item in inventory if item.step == step.key]
        changed |= _save_if_different(step, {**desired, "receipt": receipt} if receipt else desired)
    return changed


def _ensure(row: Deployment, operation: Operation, names: tuple[StepName, ...]) -> list[Step]:
    if operation is Operation.CHANGE:  # those of the change before this one, however far it came
        row.steps.filter(operation=operation).exclude(generation=row.generation).delete()
    known = {step.key: step for step in row.steps.filter(operation=operation)}
    if [n.key for n in names] != list(known):
        Step.objects.filter(deployment=row, operation=operation).exclude(
            key__in=[n.key for n in names]
        ).delete()
        desired = {
            name.key: {"position": position, "title": name.title, "generation": row.generation}
            for position, name in enumerate(names)
        }
        for key in known.keys() & desired.keys():
            _save_if_different(known[key], desired[key])
        missing = [key for key in desired if key not in known]
        made = Step.objects.bulk_create(
            Step(deployment=row, operation=operation, key=key, **desired[key]) for key in missing
        )
        known |= {step.key: step for step in made}
    return [known[name.key] for name in names]


def _current(rows: list[Step], progress: Progress | None) -> int:
    """The index of the step at work; len(rows) when all are done."""
    if progress is None:
        return next((i for i, step in enumerate(rows) if step.state != StepState.DONE), len(rows))
    if progress.outcome is Outcome.FINISHED:
        return len(rows)
    return next((i for i, step in enumerate(rows) if step.key == progress.step), 0)


def _desired(
    step: Step, index: int, current: int, progress: Progress | None, error: str, now: datetime
) -> dict[str, Any]:
    desired: dict[str, Any] = {}
    if index < current:
        desired = {"state": StepState.DONE}
        desired["started_at"] = step.started_at or now
        desired["finished_at"] = step.finished_at or now
    elif index == current:
        desired = {"state": StepState.FAILED if error else StepState.RUNNING, "finished_at": None}
        desired["started_at"] = step.started_at or now
        if error:
            desired["sentence"] = error[:1000]
    else:
        desired = {"state": StepState.PENDING, "sentence": "", "started_at": None, "finished_at": None}
    if progress is not None and step.key == progress.step:
        desired["sentence"] = progress.sentence[:1000]
    return desired


def _save_if_different(step: Step, desired: dict[str, Any]) -> bool:
    different = {name: value for name, value in desired.items() if getattr(step, name) != value}
    if different:
        Step.objects.filter(pk=step.pk).update(**different)
    return bool(different)


def record_duration(row: Deployment, step: Step, now: datetime) -> None:
    """Remember how long a step took that is done now. For `steps` alone. One that was done as soon as it was looked at
    reveals nothing about how long it takes."""
    if step.started_at is None or step.state == StepState.DONE:
        return
    timings = StepTiming.objects.filter(cluster=row.cluster_id, operation=step.operation, key=step.key)
    old = list(timings.order_by("-at").values_list("pk", flat=True)[MOST_SAMPLES - 1 :])
    if old:
        StepTiming.objects.filter(pk__in=old).delete()
    StepTiming.objects.create(
        cluster_id=row.cluster_id,
        operation=step.operation,
        key=step.key,
        seconds=(now - step.started_at).total_seconds(),
    )
