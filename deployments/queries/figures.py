"""What the console's database says of the whole installation, for `/metrics`. No name is in it but that of clusters."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from console.kit import metrics
from console.kit.metrics import Metric
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment
from workspaces.models import Invitation

type Series = dict[tuple[str, ...], float]

INVITATION = "invitation"  # the kind of mail that the sweep sends


def read() -> Mapping[Metric, Series]:
    """All of them, by five queries. Raises DatabaseError."""
    return {**_rows(), **_clusters(), **_mail(), metrics.DEPLOYMENTS: _by_status()}


def _by_status() -> Series:
    rows = Deployment.objects.filter(deleted_at__isnull=True).order_by()
    found = dict(rows.values_list("status").annotate(Count("pk")))
    return {(status.value,): float(found.get(status, 0)) for status in Status if status is not Status.DELETED}


def _rows() -> dict[Metric, Series]:
    """What waits for a pass, and what a pass works on. The database's clock decides."""
    leased = Q(lease_until__gt=Now())
    due = Q(due_at__lte=Now()) & ~leased
    rows = Deployment.objects.filter(deleted_at__isnull=True).order_by().values("cluster__name")
    counted = rows.annotate(
        now=Now(),
        due=Count("pk", filter=due),
        leased=Count("pk", filter=leased),
        oldest=Min("due_at", filter=due),
    )
    found: dict[str, dict[str, Any]] = {row["cluster__name"]: dict(row) for row in counted}
    names = Cluster.objects.registered().values_list("name", flat=True)
    none: dict[str, Any] = {"now": None, "due": 0, "leased": 0, "oldest": None}
    series = {name: found.get(name, none) for name in {*names, *found}}
    return {
        metrics.DUE: {(name,): float(row["due"]) for name, row in series.items()},
        metrics.LEASED: {(name,): float(row["leased"]) for name, row in series.items()},
        metrics.OLDEST_DUE: {(name,): _age(row["now"], row["oldest"]) for name, row in series.items()},
    }


def _clusters() -> dict[Metric, Series]:
    """When an observer last watched each, and whether one leads it."""
    rows = list(
        Cluster.objects.registered()
        .annotate(now=Now())
        .values_list("name", "now", "last_seen_at", "observer_until")
    )
    return {
        metrics.CLUSTER_SILENT: {(name,): _age(now, seen) for name, now, seen, _ in rows if seen},
        metrics.CLUSTER_LED: {
            (name,): float(until is not None and until > now) for name, now, _, until in rows
        },
    }


def _mail() -> dict[Metric, Series]:
    waiting = Invitation.objects.open().filter(mail_state=Invitation.Mail.QUEUED).order_by()
    found = waiting.aggregate(count=Count("pk"), oldest=Min("mail_due_at"), now=Min(Now()))
    return {
        metrics.MAIL_QUEUED: {(INVITATION,): float(found["count"])},
        metrics.MAIL_OLDEST: {(INVITATION,): _age(found["now"], found["oldest"])},
    }


def _age(now: datetime | None, then: datetime | None) -> float:
    return max((now - then) / timedelta(seconds=1), 0.0) if now and then else 0.0
