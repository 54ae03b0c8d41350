"""The catalogue that ships: runtime releases, and the embedded cluster's worker types. Applied at every start;
what an operator changed (yanked, dates) stays."""

from collections.abc import Sequence
from datetime import date

from django.db import transaction

from deployments.models import Cluster, RuntimeRelease, WorkerType

RELEASES = (
    # version, Airflow, released, end of maintenance (six months after release, last day of the month)
    ("3.3-1", "3.3.2", date(2026, 10, 20), date(2027, 4, 30)),
    ("3.2-1", "3.2.2", date(2026, 6, 15), date(2026, 12, 31)),
    # On Kubernetes only. Airflow gets no fixes for 3.1 any more, so it has two months instead of six.
    ("3.1-1", "3.1.8", date(2026, 11, 20), date(2027, 1, 31)),
)

# The embedded default shares one machine: a worker type is what a worker's tasks may count on, not a fence.
LOCAL_WORKER_TYPES = (
    # name, thousandths of a core, MiB
    ("A5", 1000, 2048),
    ("A10", 2000, 4096),
    ("A20", 4000, 8192),
)


# On Kubernetes it is what the scheduler sets aside on a node.
KUBERNETES_WORKER_TYPES = (*LOCAL_WORKER_TYPES, ("A40", 8000, 16384))


@transaction.atomic
def apply() -> None:
    """Create what is missing."""
    for version, airflow, released, until in RELEASES:
        RuntimeRelease.objects.get_or_create(
            version=version,
            defaults={
                "airflow_version": airflow,
                "image": f"apache/airflow:{airflow}",
                "released_on": released,
                "maintained_until": until,
            },
        )
    for cluster in Cluster.objects.filter(kind=Cluster.Kind.LOCAL, worker_types__isnull=True):
        add_worker_types(cluster, LOCAL_WORKER_TYPES)


def add_worker_types(cluster: Cluster, types: Sequence[tuple[str, int, int]]) -> None:
    """Give a cluster these worker types; the first is preselected."""
    WorkerType.objects.bulk_create(
        WorkerType(
            cluster=cluster,
            name=name,
            cpu_millis=cpu,
            memory_mib=memory,
            position=position,
            is_default=not position,
        )
        for position, (name, cpu, memory) in enumerate(types)
    )
