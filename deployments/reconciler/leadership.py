"""Which observer process leads a cluster. The others stand by: a lease on the cluster's row, judged by the database's
clock alone. What a leader writes, it writes on the condition that it still leads."""

import os
import secrets
import socket
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from deployments.models import Cluster

LEASE = timedelta(seconds=10)
RENEW_SECONDS = 3.0  # a renewal may fail twice before another process takes over


def new_holder() -> str:
    """A name for this process that no other has, or had."""
    return f"{socket.gethostname()[:60]} {os.getpid()} {secrets.token_hex(8)}"


def lead(cluster_id: UUID, holder: str) -> bool:
    """Take the lease, or renew it; False while another process leads."""
    free = Q(observer=holder) | Q(observer_until__isnull=True) | Q(observer_until__lt=Now())
    rows = Cluster.objects.filter(free, pk=cluster_id)
    return bool(rows.update(observer=holder, observer_until=Now() + LEASE))


def resign(cluster_id: UUID, holder: str) -> None:
    """Give the lease back, so that who stands by need not wait for its end."""
    Cluster.objects.filter(pk=cluster_id, observer=holder).update(observer="", observer_until=None)


def leads(holder: str, prefix: str = "") -> Q:
    """The condition of every write of a leader, on the cluster or (with a `prefix`) on its rows."""
    return Q(**{f"{prefix}observer": holder, f"{prefix}observer_until__gt": Now()})


def is_leading(cluster_id: UUID, holder: str) -> bool:
    """Whether the holder leads at this moment. One query."""
    return Cluster.objects.filter(leads(holder), pk=cluster_id).exists()
