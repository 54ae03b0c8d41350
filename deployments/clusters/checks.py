"""Looking at a cluster: asked for by a row, made by a worker, kept on the row. Level-triggered like everything else: a
lost message costs a sweep, and a cluster that misses something is looked at again until it does not."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from console.kit import crypto
from deployments.clusters import connections
from deployments.dataplane.contract import ClusterConfig
from deployments.models import Cluster
from deployments.models.clusters import MISSING

if TYPE_CHECKING:
    from deployments.dataplane.kubernetes.checks.verdicts import Check

AGAIN = timedelta(minutes=5)  # for a cluster that misses something: a person may have put it right
_LOCK = 0x41444B43  # the first half of the advisory locks of checks


def due() -> QuerySet[Cluster]:
    """Clusters that a person wants looked at, or that missed something a while ago."""
    again = Q(checks__contains=[{"state": MISSING}], checked_at__lt=Now() - AGAIN)
    kubernetes = Cluster.objects.registered().filter(kind=Cluster.Kind.KUBERNETES)
    return kubernetes.filter(Q(checking_since__isnull=False) | again)


def ask(cluster: Cluster) -> None:
    """Want it looked at. The caller sends the hint once this is committed."""
    Cluster.objects.filter(pk=cluster.pk).update(checking_since=Now())


def check(pk: UUID) -> bool:
    """Look at it now, if it is due and no worker does so already; whether we did. Takes up to three minutes, most of
    them for the test of network isolation, after the rest is on the row. Other credentials in the meantime: it stays
    due."""
    with _alone(pk) as free:
        cluster = due().filter(pk=pk).first() if free else None
        if cluster is None:
            return False
        try:
            config = connections.config(cluster)
        except crypto.DecryptionError:
            _keep(cluster, [_unreadable()], finished=True)
            return True
        found = list(examine(config))
        sound = not any(one.state == MISSING for one in found)
        _keep(cluster, found, finished=not sound)
        if sound:
            _keep(cluster, found + list(try_out(config)), finished=True)
        return True


def settle(pk: UUID, seconds: float = 240.0) -> None:
    """Look at it, or wait for the worker that does."""
    deadline = time.monotonic() + seconds
    while not check(pk) and due().filter(pk=pk).exists() and time.monotonic() < deadline:
        time.sleep(1.0)


def examine(config: ClusterConfig) -> "Sequence[Check]":
    """What can be found out by asking. The driver's parts are loaded on first use, as the driver itself is."""
    from deployments.dataplane.kubernetes.checks.examine import examine as ask_cluster

    return ask_cluster(config)


def try_out(config: ClusterConfig) -> "Sequence[Check]":
    """What can be found out only by running something there."""
    from deployments.dataplane.kubernetes.checks.canary import canary

    return canary(config)


def _unreadable() -> "Check":
    from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState

    sentence = "No configured encryption key opens its stored credentials. Register it again."
    return Check("api", "API server", CheckState.MISSING, sentence)


def _keep(cluster: Cluster, found: "Sequence[Check]", *, finished: bool) -> None:
    same = Cluster.objects.filter(pk=cluster.pk, sealed_config=cluster.sealed_config)
    same.update(checks=[one.row() for one in found], checked_at=Now())
    if finished:
        same.filter(checking_since=cluster.checking_since).update(checking_since=None)


@contextmanager
def _alone(pk: UUID) -> Iterator[bool]:
    """Whether no other worker looks at this cluster now. The lock ends with the connection, whatever happens to us."""
    keys = [_LOCK, pk.int & 0x7FFFFFFF]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", keys)
        row = cursor.fetchone()
    free = bool(row and row[0])
    try:
        yield free
    finally:
        if free:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", keys)
