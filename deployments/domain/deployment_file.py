"""The deployment file: one Deployment as people keep it beside their code. Reading and writing it as plain values; YAML
and JSON are `deployment_file_text`'s. Pure.

The shape is the one that people know from Astro's files. What is absent is left as it is, or gets its default; a
section that is there replaces its whole list. Each problem is one sentence under the path of its field, and all of them
come at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from deployments.domain.deployment_file_reading import FileReading
from deployments.domain.states import Executor
from deployments.domain.variables import Setting

ROOT = "deployment"
CONFIGURATION = "deployment.configuration"
QUEUES = "deployment.worker_queues"
VARIABLES = "deployment.environment_variables"
SCHEDULES = "deployment.hibernation_schedules"
METADATA = "deployment.metadata"
EMAILS = "deployment.alert_emails"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

# What Astro's files hold and Airdeck has not, with what to use instead. Ignored on request.
FOREIGN: Mapping[str, str] = {
    "dag_deploy_enabled": "DAGs can always be deployed.",
    "ci_cd_enforcement": "Give a pipeline a token of its own.",
    "scheduler_size": "Set scheduler_au and scheduler_count.",
    "is_high_availability": "Set scheduler_count to 2 or more.",
    "is_development_mode": "Set hibernation_schedules where a Deployment may hibernate.",
    "deployment_type": "cluster_name says where it runs.",
    "cloud_provider": "cluster_name says where it runs.",
    "region": "cluster_name says where it runs.",
    "default_worker_type": "Set worker_type of each worker queue.",
    "default_task_pod_cpu": "Set executor_config in the DAG.",
    "default_task_pod_memory": "Set executor_config in the DAG.",
    "resource_quota_cpu": "An operator sets quotas of the cluster.",
    "resource_quota_memory": "An operator sets quotas of the cluster.",
    "workload_identity": "Use an Airflow connection.",
    "pod_ephemeral_storage": "The worker type says what a worker gets.",
    "pod_cpu": "The worker type says what a worker gets.",
    "pod_ram": "The worker type says what a worker gets.",
    "remote_execution": "Tasks run on the cluster.",
    "allowed_ip_address_ranges": "An operator sets who reaches the cluster.",
    "task_log_bucket": "Airdeck keeps the logs.",
}


@dataclass(frozen=True)
class FileQueue:
    """A worker queue of a file; None is what the file does not say."""

    name: str
    worker_type: str | None
    min_workers: int | None
    max_workers: int | None
    concurrency: int | None


@dataclass(frozen=True, repr=False)
class FileVariable:
    """A variable of a file. No `value` keeps the one that a secret has."""

    key: str
    value: str | None
    secret: bool | None


@dataclass(frozen=True)
class FileSchedule:
    """When it sleeps and wakes, as `schedules.problems` judges it."""

    hibernate_cron: str
    wake_cron: str
    time_zone: str
    enabled: bool


@dataclass(frozen=True, repr=False)
class DeploymentFile:
    """What a file says. None is what it does not say. `ignored` names the keys that only Astro knows."""

    name: str
    description: str | None = None
    workspace: str | None = None
    cluster: str | None = None
    runtime: str | None = None
    executor: Executor | None = None
    scheduler_au: int | None = None
    scheduler_replicas: int | None = None
    wakes_on_open: bool | None = None
    queues: tuple[FileQueue, ...] | None = None
    variables: tuple[FileVariable, ...] | None = None
    schedules: tuple[FileSchedule, ...] | None = None
    release_name: str | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Shape:
    """A whole Deployment as far as a file can say it: what there is, or what is desired. Queues by name, variables by
    key; `schedule` is None without one that says anything."""

    name: str
    description: str
    workspace: str
    cluster: str
    runtime: str
    executor: Executor
    scheduler_au: int
    scheduler_replicas: int
    queues: Mapping[str, FileQueue]
    variables: Mapping[str, Setting]
    schedule: FileSchedule | None
    wakes_on_open: bool = False


def read(document: object, *, compat: bool = False) -> tuple[DeploymentFile, dict[str, str]]:
    """What a parsed file says, and what is wrong with it by path. With `compat` keys of FOREIGN are ignored and
    named."""
    reading = FileReading(compat=compat, foreign=FOREIGN)
    if not isinstance(document, Mapping) or ROOT not in document:
        return DeploymentFile(""), {"": f"Line 1: a mapping named {ROOT} was expected."}
    reading.known(document, "", (ROOT,))
    root = reading.mapping(document, ROOT, "") or {}
    sections = (CONFIGURATION, QUEUES, VARIABLES, SCHEDULES, METADATA, EMAILS)
    reading.known(root, ROOT, tuple(each.rpartition(".")[2] for each in sections))
    content = _configuration(reading, root)
    content = replace(
        content,
        queues=_queues(reading, root),
        variables=_variables(reading, root),
        schedules=_schedules(reading, root),
        release_name=_release_name(reading, root),
    )
    _emails(reading, root)
    return replace(content, ignored=tuple(reading.ignored)), reading.problems


def without_release_name(content: DeploymentFile) -> DeploymentFile:
    """The same for another Deployment: known by its name alone."""
    return replace(content, release_name=None)


def _configuration(reading: FileReading, root: Mapping[str, object]) -> DeploymentFile:
    given = reading.mapping(root, "configuration", ROOT)
    fields = (
        "name description workspace_name cluster_name runtime_version executor scheduler_au scheduler_count "
        "wake_when_opened"
    )
    if given is None:
        reading.problem(f"{CONFIGURATION}.name", "A Deployment needs a name. Enter one here.")
        return DeploymentFile("")
    reading.known(given, CONFIGURATION, fields.split())
    name = reading.text(given, "name", CONFIGURATION)
    if not name:
        reading.problem(f"{CONFIGURATION}.name", "A Deployment needs a name. Enter one here.")
    return DeploymentFile(
        name=name or "",
        description=reading.text(given, "description", CONFIGURATION),
        workspace=reading.text(given, "workspace_name", CONFIGURATION),
        cluster=reading.text(given, "cluster_name", CONFIGURATION),
        runtime=reading.text(given, "runtime_version", CONFIGURATION),
        executor=_executor(reading, given),
        scheduler_au=reading.number(given, "scheduler_au", CONFIGURATION),
        scheduler_replicas=reading.number(given, "scheduler_count", CONFIGURATION),
        wakes_on_open=reading.flag(given, "wake_when_opened", CONFIGURATION),
    )


def _executor(reading: FileReading, given: Mapping[str, object]) -> Executor | None:
    """`celery`, `CELERY` and `CeleryExecutor` are one."""
    text = reading.text(given, "executor", CONFIGURATION)
    if text is None:
        return None
    plain = text.strip().casefold().removesuffix("executor")
    if plain not in {each.value for each in Executor}:
        known = ", ".join(each.value for each in Executor)
        reading.problem(
            f"{CONFIGURATION}.executor",
            f"There is no such executor. Enter one of {known}, as far as the cluster offers it.",
        )
        return None
    return Executor(plain)


def _queues(reading: FileReading, root: Mapping[str, object]) -> tuple[FileQueue, ...] | None:
    entries = reading.entries(root, "worker_queues", ROOT)
    if entries is None:
        return None
    fields = ("name", "worker_type", "min_worker_count", "max_worker_count", "worker_concurrency")
    found: dict[str, FileQueue] = {}
    for path, entry in entries:
        reading.known(entry, path, fields, ignored=("id", "is_default"))
        name = reading.text(entry, "name", path)
        queue = FileQueue(
            name or "",
            reading.text(entry, "worker_type", path),
            reading.number(entry, "min_worker_count", path),
            reading.number(entry, "max_worker_count", path),
            reading.number(entry, "worker_concurrency", path),
        )
        if not name:
            reading.problem(f"{path}.name", "A worker queue needs a name. Enter one here.")
        elif name in found:
            reading.problem(
                f"{path}.name", "An earlier worker queue of the file has this name. Keep one of them."
            )
        else:
            found[name] = queue
    return tuple(found.values())


def _variables(reading: FileReading, root: Mapping[str, object]) -> tuple[FileVariable, ...] | None:
    entries = reading.entries(root, "environment_variables", ROOT)
    if entries is None:
        return None
    found: dict[str, FileVariable] = {}
    for path, entry in entries:
        reading.known(entry, path, ("key", "value", "is_secret"), ignored=("updated_at",))
        key = reading.text(entry, "key", path)
        variable = FileVariable(
            key or "", reading.text(entry, "value", path), reading.flag(entry, "is_secret", path)
        )
        if not key:
            reading.problem(f"{path}.key", "A variable needs a key. Enter one here.")
        elif key in found:
            reading.problem(f"{path}.key", "An earlier variable of the file has this key. Keep one of them.")
        else:
            found[key] = variable
    return tuple(found.values())


def _schedules(reading: FileReading, root: Mapping[str, object]) -> tuple[FileSchedule, ...] | None:
    entries = reading.entries(root, "hibernation_schedules", ROOT)
    if entries is None:
        return None
    if len(entries) > 1:
        reading.problem(f"{SCHEDULES}[1]", "A Deployment has one hibernation schedule. Keep one of them.")
    found = []
    for path, entry in entries:
        fields = ("hibernate_at", "wake_at", "time_zone", "enabled")
        reading.known(entry, path, fields, ignored=("description",))
        enabled = reading.flag(entry, "enabled", path)
        found.append(
            FileSchedule(
                " ".join((reading.text(entry, "hibernate_at", path) or "").split()),
                " ".join((reading.text(entry, "wake_at", path) or "").split()),
                reading.text(entry, "time_zone", path) or "UTC",
                enabled is not False,
            )
        )
    return tuple(found)


def _release_name(reading: FileReading, root: Mapping[str, object]) -> str | None:
    """The only thing of `metadata` that is read: the rest says how it was when the file was written."""
    given = reading.mapping(root, "metadata", ROOT)
    return reading.text(given, "release_name", METADATA) or None if given else None


def _emails(reading: FileReading, root: Mapping[str, object]) -> None:
    """Empty lists pass: Astro writes them."""
    entries = root.get("alert_emails")
    if not entries:
        return
    if not isinstance(entries, list):
        reading.problem(EMAILS, "Enter a list.")
        return
    for index, each in enumerate(entries):
        if not isinstance(each, str) or not _EMAIL.fullmatch(each):
            reading.problem(f"{EMAILS}[{index}]", "This is not an email address. Fix it or take it out.")
    if reading.compat:
        reading.ignored.append(EMAILS)
    else:
        reading.problem(
            EMAILS, "Alerts are set with airdeck alert rule set. Take this out, or ignore it with --compat."
        )


def write(shape: Shape, *, metadata: Mapping[str, object] | None = None) -> dict[str, object]:
    """The document of a Deployment: `read` takes it unchanged, and applying it changes nothing. Values of secrets are
    left out. Without `metadata` it is a template: no name, no description."""
    template = metadata is None
    inner: dict[str, object] = {
        "configuration": {
            "name": "" if template else shape.name,
            "description": "" if template else shape.description,
            "workspace_name": shape.workspace,
            "cluster_name": shape.cluster,
            "runtime_version": shape.runtime,
            "executor": shape.executor.value,
            "scheduler_au": shape.scheduler_au,
            "scheduler_count": shape.scheduler_replicas,
            "wake_when_opened": shape.wakes_on_open,
        }
    }
    if shape.executor is Executor.CELERY:
        inner["worker_queues"] = [_queue_entry(each) for each in shape.queues.values()]
    inner["environment_variables"] = [_variable_entry(key, each) for key, each in shape.variables.items()]
    inner["hibernation_schedules"] = [_schedule_entry(shape.schedule)] if shape.schedule else []
    if metadata is not None:
        inner["metadata"] = dict(metadata)
    return {ROOT: inner}


def _queue_entry(queue: FileQueue) -> dict[str, object]:
    return {
        "name": queue.name,
        "worker_type": queue.worker_type,
        "min_worker_count": queue.min_workers,
        "max_worker_count": queue.max_workers,
        "worker_concurrency": queue.concurrency,
    }


def _variable_entry(key: str, setting: Setting) -> dict[str, object]:
    if setting.secret:
        return {"key": key, "is_secret": True}
    return {"key": key, "value": setting.value, "is_secret": False}


def _schedule_entry(schedule: FileSchedule) -> dict[str, object]:
    return {
        "hibernate_at": schedule.hibernate_cron,
        "wake_at": schedule.wake_cron,
        "time_zone": schedule.time_zone,
        "enabled": schedule.enabled,
    }
