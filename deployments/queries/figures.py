"""What the console's database says of the whole installation, for `/metrics`. No name is in it but that of clusters."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Model, Q, QuerySet, Value
from django.db.models.functions import Now

from console.kit import metrics
from console.kit.mail_tries import waits_since
from console.kit.metrics import Metric
from deployments.domain.alert_rules import ChannelKind
from deployments.domain.states import Status
from deployments.models import AlertDelivery, Cluster, Deployment
from workspaces.models import Invitation

type Series = dict[tuple[str, ...], float]

INVITATION, ALERT = MAILS = ("invitation", "alert")  # what mails are about


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
    """Mails that wait, by what they are about, and since when. One query."""
    invitations = Invitation.objects.open().filter(mail_state=Invitation.Mail.QUEUED).order_by()
    alerts = AlertDelivery.objects.filter(
        state=AlertDelivery.State.QUEUED,
        channel__kind__in=[kind.value for kind in ChannelKind if kind.is_mail],
    ).order_by()
    rows = _by_tries(invitations, INVITATION, "mail_tries", "mail_due_at").union(
        _by_tries(alerts, ALERT, "tries", "due_at"), all=True
    )
    counts, ages = dict.fromkeys(MAILS, 0.0), dict.fromkeys(MAILS, 0.0)
    for kind, tries, count, due_at, now in rows:
        counts[kind] += count
        ages[kind] = max(ages[kind], _age(now, waits_since(due_at, tries)))
    return {
        metrics.MAIL_QUEUED: {(kind,): count for kind, count in counts.items()},
        metrics.MAIL_OLDEST: {(kind,): age for kind, age in ages.items()},
    }


def _by_tries[M: Model](
    waiting: QuerySet[M], kind: str, tries: str, due: str
) -> QuerySet[M, tuple[Any, ...]]:
    """Rows of (kind, tries, how many, the first due time, the present)."""
    named = waiting.annotate(about=Value(kind), tried=F(tries)).values("about", "tried")
    counted = named.annotate(count=Count("pk"), oldest=Min(due), now=Now())
    found: QuerySet[M, tuple[Any, ...]] = counted.values_list("about", "tried", "count", "oldest", "now")
    return found


def _age(now: datetime | None, then: datetime | None) -> float:
    return max((now - then) / timedelta(seconds=1), 0.0) if now and then else 0.0
