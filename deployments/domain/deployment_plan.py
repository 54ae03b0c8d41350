"""What applying a deployment file would do: the file laid over what there is, and the difference line by line. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from deployments.domain.deployment_file import (
    CONFIGURATION,
    QUEUES,
    VARIABLES,
    DeploymentFile,
    FileQueue,
    FileSchedule,
    FileVariable,
    Shape,
)
from deployments.domain.names import clean_name
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor
from deployments.domain.variables import Setting

MASK = "•••"
SHOWN = 120  # characters of a value in a line
# Field of a Shape -> its key in the file.
KEYS = {
    "name": "name",
    "description": "description",
    "runtime": "runtime_version",
    "executor": "executor",
    "scheduler_au": "scheduler_au",
    "scheduler_replicas": "scheduler_count",
    "wakes_on_open": "wake_when_opened",
}
QUEUE_KEYS = {
    "worker_type": "worker_type",
    "min_workers": "min_worker_count",
    "max_workers": "max_worker_count",
    "concurrency": "worker_concurrency",
}


@dataclass(frozen=True)
class Defaults:
    """What a file does not say of something new, from the cluster's options."""

    runtime: str
    executor: Executor
    scheduler_au: int
    scheduler_replicas: int
    worker_type: str
    min_workers: int
    max_workers: int
    concurrency: int


@dataclass(frozen=True)
class PlanLine:
    """One line of a plan: "+", "~" or "-", where in the file, and the values as they may be shown."""

    sign: str
    path: str
    old: str = ""
    new: str = ""


def complete(
    file: DeploymentFile, current: Shape | None, defaults: Defaults, *, workspace: str, cluster: str
) -> tuple[Shape, dict[str, str]]:
    """The whole Deployment that a file asks for, and what is missing or cannot be changed, by path. `current` is None
    for a new one, which goes to `cluster`."""
    problems = _fixed(file, current, workspace)
    base = current or Shape(
        name="",
        description="",
        workspace=workspace,
        cluster=cluster,
        runtime=defaults.runtime,
        executor=defaults.executor,
        scheduler_au=defaults.scheduler_au,
        scheduler_replicas=defaults.scheduler_replicas,
        queues={},
        variables={},
        schedule=None,
    )
    values = {name: value for name in KEYS if name != "name" and (value := getattr(file, name)) is not None}
    desired = replace(base, name=_cleaned(file.name), **values)
    queues, wrong = _queues(file.queues, desired.executor, base.queues, defaults)
    problems |= wrong
    variables, wrong = _variables(file.variables, base.variables)
    problems |= wrong
    schedule = base.schedule if file.schedules is None else next(iter(file.schedules), None)
    return replace(desired, queues=queues, variables=variables, schedule=_saying(schedule)), problems


def _fixed(file: DeploymentFile, current: Shape | None, workspace: str) -> dict[str, str]:
    found = {}
    if file.workspace is not None and file.workspace != workspace:
        found[f"{CONFIGURATION}.workspace_name"] = (
            f"This is applied to the Workspace {workspace}. Choose the other one, or take the name out of the file."
        )
    if current is not None and file.cluster not in {None, current.cluster}:
        found[f"{CONFIGURATION}.cluster_name"] = (
            f"A Deployment stays on its cluster. Enter {current.cluster}, or create another Deployment."
        )
    return found


def _cleaned(name: str) -> str:
    """As it would be stored; a name that is none is refused where it is judged."""
    try:
        return clean_name(name)
    except ValueError:
        return name


def _saying(schedule: FileSchedule | None) -> FileSchedule | None:
    """None for a schedule that says nothing."""
    if schedule is None or not (schedule.hibernate_cron or schedule.wake_cron or schedule.enabled):
        return None
    return schedule


def _queues(
    given: tuple[FileQueue, ...] | None,
    executor: Executor,
    there: Mapping[str, FileQueue],
    defaults: Defaults,
) -> tuple[dict[str, FileQueue], dict[str, str]]:
    if executor is not Executor.CELERY:
        wrong = "Only the Celery executor has worker queues. Take them out of the file, or set the executor."
        return {}, ({QUEUES: wrong} if given else {})
    new = FileQueue(
        DEFAULT_QUEUE, defaults.worker_type, defaults.min_workers, defaults.max_workers, defaults.concurrency
    )
    if given is None:
        return dict(there) or {DEFAULT_QUEUE: new}, {}
    found = {}
    for queue in given:
        base = there.get(queue.name, new)
        values = {name: value for name in QUEUE_KEYS if (value := getattr(queue, name)) is not None}
        found[queue.name] = replace(base, name=queue.name, **values)
    if DEFAULT_QUEUE not in found:
        return found, {QUEUES: "The queue default is missing: tasks that name no queue run there. Add it."}
    return dict(sorted(found.items(), key=lambda each: (each[0] != DEFAULT_QUEUE, each[0]))), {}


def _variables(
    given: tuple[FileVariable, ...] | None, there: Mapping[str, Setting]
) -> tuple[dict[str, Setting], dict[str, str]]:
    if given is None:
        return dict(there), {}
    found: dict[str, Setting] = {}
    problems: dict[str, str] = {}
    for index, variable in enumerate(given):
        old = there.get(variable.key)
        path = f"{VARIABLES}[{index}]"
        value, secret = variable.value, variable.secret
        if old is not None and old.secret:
            if secret is False:
                problems[f"{path}.is_secret"] = (
                    f"{variable.key} is secret, and a secret stays one. Remove it first, then add it again."
                )
            value, secret = (old.value if value is None else value), True
        elif value is None and old is not None and secret:  # what is plain becomes secret, with its value
            value = old.value
        if value is None:
            problems[f"{path}.value"] = (
                f"{variable.key} needs a value. Enter one; only a secret that is there already keeps its own."
            )
        found[variable.key] = Setting(value or "", bool(secret))
    return found, problems


def differences(current: Shape | None, desired: Shape) -> tuple[PlanLine, ...]:
    """Line by line what changes. Values of secrets are masked."""
    lines: list[PlanLine] = []
    if current is None:
        lines.append(PlanLine("+", "deployment", new=desired.name))
        lines.append(PlanLine("+", f"{CONFIGURATION}.cluster_name", new=desired.cluster))
    for field, key in KEYS.items():
        old, new = getattr(current, field, None), getattr(desired, field)
        if old != new and (new or current is not None):
            sign = "~" if current is not None else "+"
            lines.append(PlanLine(sign, f"{CONFIGURATION}.{key}", _text(old), _text(new)))
    before = current.queues if current else {}
    for name in _both(before, desired.queues):
        lines += _queue_lines(name, before.get(name), desired.queues.get(name))
    known = current.variables if current else {}
    for key in sorted({*known, *desired.variables}):
        lines += _variable_lines(key, known.get(key), desired.variables.get(key))
    return (*lines, *_schedule_lines(current.schedule if current else None, desired.schedule))


def _both(before: Mapping[str, FileQueue], after: Mapping[str, FileQueue]) -> Iterable[str]:
    return sorted({*before, *after}, key=lambda name: (name != DEFAULT_QUEUE, name))


def _queue_lines(name: str, old: FileQueue | None, new: FileQueue | None) -> list[PlanLine]:
    path = f"{QUEUES}.{name}"
    if old is None or new is None:
        there = new or old
        assert there is not None  # noqa: S101 - one of both
        what = f"{there.worker_type}, {there.min_workers} to {there.max_workers} workers of {there.concurrency} tasks"
        return [PlanLine("+", path, new=what) if old is None else PlanLine("-", path, old=what)]
    changed = [field for field in QUEUE_KEYS if getattr(old, field) != getattr(new, field)]
    return [
        PlanLine("~", f"{path}.{QUEUE_KEYS[field]}", _text(getattr(old, field)), _text(getattr(new, field)))
        for field in changed
    ]


def _variable_lines(key: str, old: Setting | None, new: Setting | None) -> list[PlanLine]:
    if old == new:
        return []
    masked = any(each.secret for each in (old, new) if each)
    path = f"{VARIABLES}.{key}"
    texts = ["" if each is None else MASK if masked else _text(each.value) for each in (old, new)]
    return [PlanLine("+" if old is None else "-" if new is None else "~", path, *texts)]


def _schedule_lines(old: FileSchedule | None, new: FileSchedule | None) -> list[PlanLine]:
    path = "deployment.hibernation_schedules"
    if old is None or new is None:
        if old == new:
            return []
        sign = "+" if old is None else "-"
        return [PlanLine(sign, path, _when(old), _when(new))]
    names = {"hibernate_cron": "hibernate_at", "wake_cron": "wake_at"}
    return [
        PlanLine(
            "~",
            f"{path}[0].{names.get(each.name, each.name)}",
            _text(getattr(old, each.name)),
            _text(getattr(new, each.name)),
        )
        for each in fields(FileSchedule)
        if getattr(old, each.name) != getattr(new, each.name)
    ]


def _when(schedule: FileSchedule | None) -> str:
    if schedule is None:
        return ""
    asleep, awake = schedule.hibernate_cron or "never", schedule.wake_cron or "never"
    return f"hibernate {asleep}, wake {awake}, {schedule.time_zone}{'' if schedule.enabled else ', not followed'}"


def _text(value: object) -> str:
    """A value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    line = " ".join(str(value).split()) if value != "" else '""'
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
