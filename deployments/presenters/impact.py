"""What a change does to running work."""

from collections.abc import Iterable
from dataclasses import dataclass

from deployments.domain.spec import QueueLoad, Release
from deployments.models import Cluster, Deployment, WorkerQueue
from deployments.presenters import consequences
from deployments.queries.releases import release_of


def queues_of(deployment: Deployment) -> list[WorkerQueue]:
    """The worker queues with their types. One query."""
    return list(deployment.queues.select_related("worker_type"))


def loads_of(queues: Iterable[WorkerQueue]) -> dict[str, QueueLoad]:
    """What was last seen of each queue."""
    return {
        queue.name: QueueLoad(queue.name, queue.queued, queue.running, queue.live_workers, queue.draining)
        for queue in queues
    }


@dataclass(frozen=True)
class Impact:
    """What a change does to running work: in sentences, and where the tasks are counted that it would cut off ("" when
    it cuts off none)."""

    sentences: list[str]
    tasks_url: str


def impact(deployment: Deployment, queues: list[WorkerQueue], new: Release) -> Impact:
    """What going to `new` does to running work. The cluster is loaded."""
    old, sized = release_of(deployment, queues), is_sized(deployment)
    counted = deployment.url_for("tasks") if consequences.cuts_off(old, new, sized=sized) else ""
    return Impact(consequences.sentences(old, new, loads_of(queues), sized=sized), counted)


def is_sized(deployment: Deployment) -> bool:
    """Whether its data plane enforces sizes. The cluster is loaded."""
    return deployment.cluster.kind == Cluster.Kind.KUBERNETES
