"""Deployments as files: what there is as a document, and what applying one would do. Reads only; `actions` applies."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deployments.clusters.options import Options, clusters_for, options_for
from deployments.domain import schedules
from deployments.domain.deployment_file import (
    CONFIGURATION,
    QUEUES,
    SCHEDULES,
    VARIABLES,
    DeploymentFile,
    FileQueue,
    FileSchedule,
    Shape,
    write,
)
from deployments.domain.deployment_plan import KEYS, QUEUE_KEYS, Defaults, PlanLine, complete, differences
from deployments.domain.names import name_key
from deployments.domain.reserved_variables import reserved
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor
from deployments.domain.variables import Setting, problem_of, problem_of_all, problem_of_key
from deployments.models import Cluster, Deployment, HibernationSchedule
from deployments.queries import upgrades
from deployments.secrets import vault
from workspaces.models import Workspace

SCHEDULE_KEYS = {"hibernate_cron": "hibernate_at", "wake_cron": "wake_at"}


@dataclass(frozen=True, repr=False)
class Planned:
    """What applying a file would do. `base` stands for what it was compared with. `options` are those of the cluster;
    None when there is no cluster to choose, and then `problems` says so."""

    deployment: Deployment | None
    desired: Shape
    current: Shape | None
    options: Options | None
    lines: tuple[PlanLine, ...]
    problems: Mapping[str, str]
    base: str


def document_of(deployment: Deployment, *, template: bool = False) -> dict[str, object]:
    """The Deployment as a file, without the values of its secrets. Five queries; nothing is decrypted."""
    shape = _shape(deployment, {v.key: Setting(v.value, v.is_secret) for v in deployment.variables.all()})
    return write(shape, metadata=None if template else _metadata(deployment))


def target_of(workspace: Workspace, file: DeploymentFile) -> Deployment | None:
    """The existing Deployment of the Workspace that the file is about: the one whose release name it holds, else the
    one of its name. None when there is none."""
    existing = Deployment.objects.filter(workspace=workspace, deleted_at__isnull=True)
    rows = existing.select_related("workspace", "cluster", "runtime", "updated_by")
    found = rows.filter(release_name=file.release_name).first() if file.release_name else None
    return found or rows.filter(name_key=name_key(file.name)).first()


def plan(workspace: Workspace, file: DeploymentFile, deployment: Deployment | None) -> Planned:
    """What applying the file to this Deployment would do, or making one of it, with every problem by its path. Raises
    DecryptionError."""
    current = _shape(deployment, vault.variables_of(deployment)) if deployment is not None else None
    cluster = deployment.cluster if deployment is not None else _chosen(workspace, file.cluster)
    if cluster is None:
        names = ", ".join(clusters_for(workspace).values_list("name", flat=True)) or "none yet"
        wrong = {
            f"{CONFIGURATION}.cluster_name": f"Choose a cluster that is open to this Workspace: {names}."
        }
        empty, more = complete(file, None, _defaults(None), workspace=workspace.name, cluster="")
        return Planned(None, empty, None, None, (), {**wrong, **more}, "")
    options = options_for(cluster)
    desired, problems = complete(
        file, current, _defaults(options), workspace=workspace.name, cluster=cluster.name
    )
    problems = {**_judged(options, current, desired, file, deployment), **problems}
    lines = differences(current, desired)
    return Planned(deployment, desired, current, options, lines, problems, base_of(deployment))


def base_of(deployment: Deployment | None) -> str:
    """Changes with everything that a file can say of the Deployment, secrets included. "" for none."""
    if deployment is None:
        return ""
    settings = {v.key: Setting(v.secret_digest or v.value, v.is_secret) for v in deployment.variables.all()}
    shape = _shape(deployment, settings)
    document = [write(shape, metadata={}), sorted((key, each.value) for key, each in settings.items())]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _shape(deployment: Deployment, settings: Mapping[str, Setting]) -> Shape:
    queues = {
        queue.name: FileQueue(
            queue.name, queue.worker_type.name, queue.min_workers, queue.max_workers, queue.concurrency
        )
        for queue in deployment.queues.select_related("worker_type").order_by("name")
    }
    executor = Executor(deployment.executor)
    first = sorted(queues, key=lambda name: (name != DEFAULT_QUEUE, name))
    return Shape(
        name=deployment.name,
        description=deployment.description,
        workspace=deployment.workspace.name,
        cluster=deployment.cluster.name,
        runtime=deployment.runtime.version,
        executor=executor,
        scheduler_au=deployment.scheduler_au,
        scheduler_replicas=deployment.scheduler_replicas,
        queues={name: queues[name] for name in first} if executor is Executor.CELERY else {},
        variables=dict(sorted(settings.items())),
        schedule=_schedule(deployment),
        wakes_on_open=deployment.wakes_on_open,
    )


def _schedule(deployment: Deployment) -> FileSchedule | None:
    row = HibernationSchedule.objects.filter(deployment=deployment).first()
    if row is None or not (row.hibernate_cron or row.wake_cron):
        return None
    return FileSchedule(row.hibernate_cron, row.wake_cron, row.time_zone, row.enabled)


def _metadata(deployment: Deployment) -> dict[str, object]:
    """What a reader of the file may want to know; only the release name is read back."""
    return {
        "release_name": deployment.release_name,
        "status": deployment.shown_status.value,
        "airflow_version": deployment.runtime.airflow_version,
        "airflow_url": deployment.airflow_url,
        "created_at": _moment(deployment.created_at),
        "updated_at": _moment(deployment.updated_at),
    }


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _chosen(workspace: Workspace, name: str | None) -> Cluster | None:
    """The cluster of this name that is open to the Workspace; without a name the only one."""
    rows = clusters_for(workspace)
    if name is not None:
        return rows.filter(name=name).first()
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def _defaults(options: Options | None) -> Defaults:
    """What a file need not say. Without a cluster nothing is offered; its problem is reported already."""
    if options is None:
        return Defaults("", Executor.CELERY, 0, 0, "", 0, 0, 0)
    worker_type = options.default_worker_type
    return Defaults(
        runtime=options.runtimes[0].version if options.runtimes else "",
        executor=options.executors[0].value,
        scheduler_au=options.scheduler_au.default,
        scheduler_replicas=options.scheduler_replicas.default,
        worker_type=worker_type.name if worker_type else "",
        min_workers=options.min_workers.default,
        max_workers=options.max_workers.default,
        concurrency=options.concurrency.default,
    )


def _judged(
    options: Options,
    current: Shape | None,
    desired: Shape,
    file: DeploymentFile,
    deployment: Deployment | None,
) -> dict[str, str]:
    """What breaks a limit, by path. What stays as it is stays, whatever the limits are now."""
    changed = {
        key: getattr(desired, key) for key in KEYS if getattr(desired, key) != getattr(current, key, None)
    }
    changed.pop("wakes_on_open", None)  # anything goes
    runtime = changed.pop("runtime", None)
    found = {f"{CONFIGURATION}.{KEYS[key]}": sentence for key, sentence in options.problems(changed).items()}
    if runtime is not None and (sentence := _runtime_problem(options, str(runtime), deployment)):
        found[f"{CONFIGURATION}.runtime_version"] = sentence
    found |= _queue_problems(options, current, desired, file)
    found |= _variable_problems(current, desired, file)
    if desired.schedule is not None and desired.schedule != (current.schedule if current else None):
        values = {each: getattr(desired.schedule, each) for each in FileSchedule.__dataclass_fields__}
        for key, sentence in schedules.problems(values).items():
            found[f"{SCHEDULES}[0].{SCHEDULE_KEYS.get(key, key)}"] = sentence
    return found


def _runtime_problem(options: Options, version: str, deployment: Deployment | None) -> str:
    if deployment is None:
        offered = [each.version for each in options.runtimes]
    else:
        offered = [each.version for each in upgrades.newer(deployment)]
        if version in offered and (why := upgrades.under_way(deployment)):
            return why
    if version in offered:
        return ""
    if not offered and deployment is not None:
        return f"No newer runtime is offered. Enter {deployment.runtime.version}."
    return f"This runtime is not offered. Enter one of {', '.join(offered) or 'none yet'}."


def _queue_problems(
    options: Options, current: Shape | None, desired: Shape, file: DeploymentFile
) -> dict[str, str]:
    found: dict[str, str] = {}
    places = {queue.name: index for index, queue in enumerate(file.queues or ())}
    for name, queue in desired.queues.items():
        old = current.queues.get(name) if current else None
        values = {
            each: getattr(queue, each)
            for each in QUEUE_KEYS
            if getattr(queue, each) != getattr(old, each, None)
        }
        if values.keys() & {"min_workers", "max_workers"}:
            values |= {"min_workers": queue.min_workers, "max_workers": queue.max_workers}
        path = f"{QUEUES}[{places[name]}]" if name in places else QUEUES
        for key, sentence in options.problems({**values, **({} if old else {"queue": name})}).items():
            shown = sentence
            if key == "worker_type":
                offered = ", ".join(each.name for each in options.worker_types) or "none yet"
                shown = f"Cluster {options.cluster.name} has no such worker type. Enter one of {offered}."
            found[f"{path}.{QUEUE_KEYS.get(key, 'name')}"] = shown
    return found


def _variable_problems(current: Shape | None, desired: Shape, file: DeploymentFile) -> dict[str, str]:
    found: dict[str, str] = {}
    known = current.variables if current else {}
    for index, variable in enumerate(file.variables or ()):
        setting = desired.variables.get(variable.key)
        if setting is None or setting == known.get(variable.key):
            continue
        if problem := problem_of(variable.key, setting):
            wrong = "key" if problem_of_key(variable.key) or reserved(variable.key) else "value"
            found[f"{VARIABLES}[{index}].{wrong}"] = problem
    if desired.variables != known and (problem := problem_of_all(desired.variables)):
        found[VARIABLES] = problem
    return found
