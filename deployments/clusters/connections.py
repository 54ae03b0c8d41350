"""Clusters as values: their sealed configuration, and the driver that speaks to each."""

import json
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from console.kit import crypto
from deployments.clusters.measured import measured
from deployments.dataplane.contract import (
    AIRFLOW_PASSWORD,
    CONSOLE_URLS,
    ClusterConfig,
    DataPlaneError,
    Driver,
    Ref,
)
from deployments.dataplane.registry import driver_for
from deployments.models import Cluster, Deployment

EMBEDDED_NAME = "This machine"


def _context(cluster: Cluster) -> str:
    return f"cluster:{cluster.pk}:config"


def seal(cluster: Cluster, *, database_url: str, settings: dict[str, str]) -> None:
    """Put the configuration on the row, encrypted. The caller saves."""
    document = json.dumps({"database_url": database_url, "settings": settings})
    cluster.sealed_config = crypto.encrypt(document, context=_context(cluster))


def config(cluster: Cluster) -> ClusterConfig:
    """What a driver needs. Raises DecryptionError when no configured key opens it."""
    document: dict[str, Any] = json.loads(crypto.decrypt(cluster.sealed_config, context=_context(cluster)))
    return ClusterConfig(
        cluster_id=str(cluster.pk),
        kind=cluster.kind,
        database_url=document["database_url"],
        settings={**document["settings"], **_sign_in()},
    )


def _sign_in() -> dict[str, str]:
    """How Airflows find the console, and whether they take the password of last resort."""
    own = (
        [f"http://{host}:{settings.PORT}" for host in ("127.0.0.1", "localhost")] if settings.EMBEDDED else []
    )
    urls = " ".join(dict.fromkeys([settings.BASE_URL, *own]))
    return {CONSOLE_URLS: urls, **({AIRFLOW_PASSWORD: "yes"} if settings.AIRFLOW_PASSWORD else {})}


def driver_of(cluster: Cluster) -> Driver:
    """The driver of this cluster. Cheap; drivers hold nothing that matters."""
    return measured(driver_for(config(cluster)), cluster.name)


def driver_and_ref(deployment: Deployment) -> tuple[Driver, Ref]:
    """The driver of its cluster, and how that names it. Raises DataPlaneError when the cluster's settings cannot be
    read. Not inside a transaction: what a driver does is I/O."""
    try:
        driver = driver_of(deployment.cluster)
    except (crypto.DecryptionError, KeyError, ValueError):
        raise DataPlaneError(
            f"The settings of cluster {deployment.cluster.name} cannot be read. Ask a site administrator."
        ) from None
    return driver, Ref(str(deployment.pk), deployment.release_name)


@transaction.atomic
def ensure_embedded(
    *, database_url: str, settings: dict[str, str], checks: list[dict[str, str]] | None = None
) -> Cluster:
    """The embedded default's own cluster, with the settings of this start and what was found out about this machine.
    Idempotent."""
    cluster = Cluster.objects.select_for_update().filter(kind=Cluster.Kind.LOCAL).first()
    cluster = cluster or Cluster(name=EMBEDDED_NAME, kind=Cluster.Kind.LOCAL)
    seal(cluster, database_url=database_url, settings=settings)
    cluster.checks = checks or []
    cluster.save()
    return cluster


def lock_for_placement(cluster: Cluster) -> None:
    """Keep operators from restricting the cluster and from changing its worker types until this transaction ends.
    Others may hold it too, and the observer may still write its heartbeat. (The foreign key's own lock comes at COMMIT
    only: it is deferred.)"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM deployments_cluster WHERE id = %s FOR KEY SHARE", [cluster.pk])
