"""The edit form's pages: its sections, what would change and what that does, and the difference when another person
saved first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployments.actions.settings import OTHER_QUEUES, WORKERS
from deployments.domain.field_values import FieldValues
from deployments.domain.spec import DEFAULT_QUEUE, QueueSpec, Release, au_size
from deployments.domain.states import Executor
from deployments.forms.sections import Sections
from deployments.forms.seen_values import ShownForm
from deployments.forms.settings import ReviewedForm
from deployments.models import WorkerType

SECTIONS: Sections = (
    ("Basics", "", ("name", "description"), False),
    ("Executor", "", ("executor",), False),
    (
        "Default worker queue",
        "For the Celery executor. The number of workers follows the load between these bounds.",
        WORKERS,
        False,
    ),
    ("Scheduler", "", ("scheduler_au", "scheduler_replicas"), False),
)
NOTHING = "–"
LABELS = {OTHER_QUEUES: "Other worker queues"}


@dataclass(frozen=True)
class FieldChange:
    """One line of a review, or of a difference: `saved` is what another person made of it in the meantime."""

    label: str
    was: str
    yours: str
    saved: str = ""


def edited_release(old: Release, desired: FieldValues, types: Sequence[WorkerType]) -> Release:
    """The Release after the edit form is saved."""
    executor = Executor(str(desired["executor"]))
    queues: tuple[QueueSpec, ...] = ()
    if executor is Executor.CELERY:
        default = queue_after(DEFAULT_QUEUE, desired, types)
        queues = tuple(default if queue.name == DEFAULT_QUEUE else queue for queue in old.queues) or (
            default,
        )
    return replace(
        old,
        executor=executor,
        scheduler=au_size(int(desired["scheduler_au"])),
        scheduler_replicas=int(desired["scheduler_replicas"]),
        queues=queues,
    )


def queue_after(name: str, desired: FieldValues, types: Sequence[WorkerType]) -> QueueSpec:
    """One worker queue as a form asks for it."""
    size = next(each.size for each in types if each.name == desired["worker_type"])
    low, high, concurrency = (int(desired[field]) for field in WORKERS[1:])
    return QueueSpec(name, low, high, concurrency, size)


def with_queue(old: Release, queue: QueueSpec) -> Release:
    """The Release after a queue is added or changed."""
    if any(each.name == queue.name for each in old.queues):
        return replace(old, queues=tuple(queue if each.name == queue.name else each for each in old.queues))
    return replace(old, queues=(*old.queues, queue))


def without_queue(old: Release, name: str) -> Release:
    """The Release after a queue is deleted."""
    return replace(old, queues=tuple(each for each in old.queues if each.name != name))


def changes(form: ReviewedForm) -> list[FieldChange]:
    """What a valid form changes, field by field."""
    was, desired = form.shown, form.desired
    return [
        FieldChange(_label(form, name), _text(name, was.get(name)), _text(name, value))
        for name, value in desired.items()
        if was.get(name) != value
    ]


def differences(form: ShownForm, now: FieldValues) -> list[FieldChange]:
    """Where what is stored `now`, what this reader was shown and what they want are not all the same."""
    was, desired = form.shown, form.desired
    found = []
    for name in dict.fromkeys((*was, *now, *desired)):
        yours = desired.get(name, was.get(name) if name == OTHER_QUEUES else None)
        if not was.get(name) == now.get(name) == yours:
            texts = (_text(name, was.get(name)), _text(name, yours), _text(name, now.get(name)))
            found.append(FieldChange(_label(form, name), *texts))
    return found


def _label(form: ShownForm, name: str) -> str:
    return str(form.fields[name].label) if name in form.fields else LABELS[name]


def _text(name: str, value: Any) -> str:
    if value in (None, ""):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return Executor(value).label if name == "executor" else str(value)
