"""What can be chosen on a cluster: every limit, default and choice, from which form, summary and validation read.

No limit is written anywhere else.
"""

from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet
from django.utils import timezone

from deployments.dataplane.local.runtimes.lock_files import locked_versions
from deployments.domain.states import Executor
from deployments.models import Cluster, RuntimeRelease, WorkerType
from workspaces.models import Workspace

DESCRIPTION_LENGTH = 1000
QUEUE_NAME = r"^[a-z][a-z0-9-]{0,62}\Z"  # of a worker queue


@dataclass(frozen=True)
class Range:
    """A whole number from `minimum` to `maximum`, `default` unless said otherwise."""

    minimum: int
    maximum: int
    default: int


@dataclass(frozen=True)
class ExecutorOption:
    """One executor, with the sentence that helps to choose."""

    value: Executor
    sentence: str


EXECUTORS = {
    Executor.CELERY: ExecutorOption(
        Executor.CELERY,
        "Workers that stay up run many tasks each, and their number follows the load. Good for most teams.",
    ),
    Executor.KUBERNETES: ExecutorOption(
        Executor.KUBERNETES,
        "Each task runs in a pod of its own. Good for isolation, and for long or heavy tasks.",
    ),
    Executor.LOCAL: ExecutorOption(
        Executor.LOCAL,
        "Tasks run inside the scheduler: the fewest parts and the quickest start. Good for development.",
    ),
}

OFFERED = {
    Cluster.Kind.LOCAL: (Executor.CELERY, Executor.LOCAL),
    Cluster.Kind.KUBERNETES: (Executor.CELERY, Executor.KUBERNETES, Executor.LOCAL),
}


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

    @property
    def default_worker_type(self) -> WorkerType | None:
        """The preselected one."""
        return next((t for t in self.worker_types if t.is_default), next(iter(self.worker_types), None))


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
