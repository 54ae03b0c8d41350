"""What can be chosen on a cluster: every limit, default and choice, with the sentence for what is outside of it.

Forms, summaries and actions read from here; no limit is written anywhere else. `Options.problems` is what an action
asks before it writes, so that page, admin, API and file refuse the same with the same words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet
from django.utils import timezone

from deployments.dataplane.local.runtimes.lock_files import locked_versions
from deployments.domain.names import clean_name
from deployments.domain.states import Executor
from deployments.models import Cluster, RuntimeRelease, WorkerType
from workspaces.models import Workspace

DESCRIPTION_LENGTH = 1000
# Of a worker queue. Kubernetes ends no name and no label with a hyphen, and allows 63 characters: a queue's objects are
# named "worker-" and the queue.
QUEUE_NAME_LENGTH = 56
QUEUE_NAME = rf"^[a-z]([a-z0-9-]{{0,{QUEUE_NAME_LENGTH - 2}}}[a-z0-9])?\Z"
DESCRIPTION_TOO_LONG = f"Enter at most {DESCRIPTION_LENGTH} characters."
QUEUE_NAME_SENTENCE = (
    "Enter a lowercase letter, then lowercase letters, digits and hyphens, with a letter or digit at the end; "
    f"at most {QUEUE_NAME_LENGTH} in all."
)
RUNTIME_NOT_OFFERED = "Choose a runtime from the list; this one is not offered."
EXECUTOR_NOT_OFFERED = "Choose an executor that this cluster offers."
WORKER_TYPE_NOT_OFFERED = "Choose a worker type that this cluster offers."


@dataclass(frozen=True)
class Range:
    """A whole number from `minimum` to `maximum`, `default` unless another is given."""

    minimum: int
    maximum: int
    default: int

    @property
    def sentence(self) -> str:
        """What to enter."""
        return f"Enter a whole number from {self.minimum} to {self.maximum}."

    def holds(self, value: object) -> bool:
        """Whether it is a whole number within the bounds."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.minimum <= value <= self.maximum


@dataclass(frozen=True)
class ExecutorOption:
    """One executor, with the sentence that helps to choose."""

    value: Executor
    sentence: str


EXECUTORS = {
    Executor.CELERY: ExecutorOption(
        Executor.CELERY,
        "Long-lived workers run many tasks each and scale with load. Good for most teams.",
    ),
    Executor.KUBERNETES: ExecutorOption(
        Executor.KUBERNETES,
        "Each task runs in its own pod. Good for isolation and for long or heavy tasks.",
    ),
    Executor.LOCAL: ExecutorOption(
        Executor.LOCAL,
        "Tasks run in the scheduler process. Simplest and fastest to start; good for development.",
    ),
}

OFFERED = {
    Cluster.Kind.LOCAL: (Executor.CELERY, Executor.LOCAL),
    Cluster.Kind.KUBERNETES: (Executor.CELERY, Executor.KUBERNETES, Executor.LOCAL),
}


NUMBERS = frozenset({"scheduler_au", "scheduler_replicas", "min_workers", "max_workers", "concurrency"})


@dataclass(frozen=True)
class Options:
    """Everything that a Deployment on one cluster may be."""

    cluster: Cluster
    executors: tuple[ExecutorOption, ...]
    runtimes: tuple[RuntimeRelease, ...]  # newest first; the first is preselected
    worker_types: tuple[WorkerType, ...]
    scheduler_au: Range = Range(5, 24, 5)
    scheduler_replicas: Range = Range(1, 4, 1)
    min_workers: Range = Range(0, 30, 1)
    max_workers: Range = Range(1, 30, 10)
    concurrency: Range = Range(1, 64, 16)

    def range_of(self, field: str) -> Range | None:
        """The bounds of a number; None for what is none."""
        found = getattr(self, field, None) if field in NUMBERS else None
        return found if isinstance(found, Range) else None

    def problems(self, values: Mapping[str, object]) -> dict[str, str]:
        """What is wrong with these values, by field: "name", "description", "runtime" (a version), "executor",
        "queue" (a queue's name), "worker_type" (a name) and those of NUMBERS. What is absent is not looked at."""
        found: dict[str, str] = {}
        for field, value in values.items():
            bounds = self.range_of(field)
            if bounds is not None:
                sentence = "" if bounds.holds(value) else bounds.sentence
            else:
                sentence = self._problem_of_choice(field, value)
            if sentence:
                found[field] = sentence
        low, high = values.get("min_workers"), values.get("max_workers")
        if not found.keys() & {"min_workers", "max_workers"} and (message := order_problem(low, high)):
            found["min_workers"] = message
        return found

    def _problem_of_choice(self, field: str, value: object) -> str:
        match field:
            case "name":
                return problem_of_name(str(value))
            case "description":
                return DESCRIPTION_TOO_LONG if len(str(value)) > DESCRIPTION_LENGTH else ""
            case "runtime":
                return "" if any(r.version == value for r in self.runtimes) else RUNTIME_NOT_OFFERED
            case "executor":
                return "" if any(e.value == value for e in self.executors) else EXECUTOR_NOT_OFFERED
            case "worker_type":
                return "" if any(t.name == value for t in self.worker_types) else WORKER_TYPE_NOT_OFFERED
            case "queue":
                return "" if re.match(QUEUE_NAME, str(value)) else QUEUE_NAME_SENTENCE
            case _:
                raise KeyError(field)

    @property
    def default_worker_type(self) -> WorkerType | None:
        """The preselected one."""
        return next((t for t in self.worker_types if t.is_default), next(iter(self.worker_types), None))


def order_problem(low: object, high: object) -> str:
    """Why a queue cannot have these bounds of workers; "" when it can, or when one is missing."""
    if isinstance(low, int) and isinstance(high, int) and low > high:
        return f"Enter a number that is at most the {high} of Max workers."
    return ""


def problem_of_name(name: str) -> str:
    """Why this cannot be a Deployment's name; "" when it can."""
    try:
        clean_name(name)
    except ValueError as error:
        return str(error)
    return ""


def clusters_for(workspace: Workspace) -> QuerySet[Cluster]:
    """The clusters on which this Workspace may create Deployments. One that misses something is not offered."""
    allowed = Q(restricted=False) | Q(workspaces=workspace)
    return Cluster.objects.sound().filter(allowed).distinct().order_by("name")


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions by number: "3.10-1" after "3.9-2"."""
    return tuple(int(part) for part in version.replace("-", ".").split(".") if part.isdecimal())


def runs_on(kind: str, release: RuntimeRelease) -> bool:
    """Whether clusters of this kind can run it: Kubernetes from its image, this machine from a lock file of ours."""
    return bool(release.image) if kind == Cluster.Kind.KUBERNETES else release.version in locked_versions()


def offered_runtimes(today: date, kind: str = Cluster.Kind.LOCAL) -> tuple[RuntimeRelease, ...]:
    """The newest patch of each maintained minor, newest first. Never a yanked or a deprecated one, nor one that this
    kind of cluster cannot run."""
    newest: dict[tuple[int, ...], RuntimeRelease] = {}
    for release in RuntimeRelease.objects.filter(yanked=False, maintained_until__gte=today):
        if not runs_on(kind, release):
            continue
        minor = version_key(release.airflow_version)[:2]
        if minor not in newest or version_key(newest[minor].version) < version_key(release.version):
            newest[minor] = release
    return tuple(newest[minor] for minor in sorted(newest, reverse=True))


def options_for(cluster: Cluster) -> Options:
    """The options of one cluster, as of today. Two queries."""
    return Options(
        cluster=cluster,
        executors=tuple(EXECUTORS[e] for e in OFFERED[Cluster.Kind(cluster.kind)]),
        runtimes=offered_runtimes(timezone.now().date(), cluster.kind),
        worker_types=tuple(cluster.worker_types.all()),
    )
