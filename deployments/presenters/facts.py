"""Facts about a Deployment in words, for its pages."""

from deployments.dataplane.contract import DAGS_FOLDER
from deployments.domain.states import Executor
from deployments.models import Deployment
from deployments.presenters.size_summary import size_text


def facts(deployment: Deployment) -> list[dict[str, str]]:
    """The configuration as a list of labels and values. One query under Celery, none otherwise."""
    replicas = deployment.scheduler_replicas
    times = f"{replicas} × " if replicas > 1 else ""
    rows = [
        ("Runtime", str(deployment.runtime)),
        ("Executor", deployment.executor_label),
        ("Cluster", deployment.cluster.name),
        ("Scheduler", f"{times}{size_text(deployment.scheduler_size)} ({deployment.scheduler_au} AU)"),
    ]
    if deployment.executor == Executor.CELERY:
        for queue in deployment.queues.select_related("worker_type"):
            value = (
                f"{queue.min_workers} to {queue.max_workers} workers of type {queue.worker_type.name}, "
                f"{queue.concurrency} tasks each"
            )
            rows.append((f"Worker queue {queue.name}", value))
    rows += [(label, value) for label, value in deployment.plane_details.items() if label != DAGS_FOLDER]
    return [{"label": label, "value": value} for label, value in rows]


def identifiers(deployment: Deployment) -> list[dict[str, str]]:
    """What a person copies: the names."""
    rows = [("Release name", deployment.release_name), ("ID", str(deployment.pk))]
    return [{"label": label, "value": value} for label, value in rows]
