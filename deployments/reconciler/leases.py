"""Who works on a row now. A claim is one conditional UPDATE; no row lock is held across I/O, and the database's
clock alone decides, so that skewed clocks of workers never overlap leases."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now

from deployments.models import Cluster, Deployment, GitSource

SWEEP_BATCH = 200


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until the lease ends. `epoch` grows with every claim and fences writes."""

    deployment: Deployment
    epoch: int
    due_at: datetime


def due() -> QuerySet[Deployment]:
    """Rows that wait for a pass and that none works on, longest waiting first."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    return Deployment.objects.filter(free, deleted_at__isnull=True, due_at__lte=Now()).order_by("due_at")


def claim(pk: UUID) -> Claim | None:
    """Claim a due row; None when it is not due, already taken, or gone."""
    lease = timedelta(seconds=settings.LEASE_SECONDS)
    if not due().filter(pk=pk).order_by().update(lease_until=Now() + lease, lease_epoch=F("lease_epoch") + 1):
        return None
    row = Deployment.objects.select_related("cluster", "runtime", "workspace").get(pk=pk)
    return Claim(row, row.lease_epoch, row.due_at)


def release(claim: Claim) -> None:
    """Give the lease back, if it is still ours. It then says until when it was held, for `turns`."""
    Deployment.objects.filter(pk=claim.deployment.pk, lease_epoch=claim.epoch).update(lease_until=Now())


def postpone(claim: Claim, seconds: float, *, failures: int) -> None:
    """Push the row ahead before complaining: a row that breaks its pass must not break the loop."""
    Deployment.objects.filter(pk=claim.deployment.pk, lease_epoch=claim.epoch).update(
        due_at=next_due(claim, seconds), failures=failures
    )


def next_due(claim: Claim, seconds: float) -> Case:
    """`seconds` from now, unless a person made the row due during the pass: a request made during the pass keeps its
    earlier due time."""
    rested = Now() + timedelta(seconds=seconds)
    return Case(When(due_at=Value(claim.due_at), then=rested), default=F("due_at"))


def mark_due(pks: list[UUID], condition: Q | None = None) -> int:
    """Make rows due now (of those, the ones that meet the `condition`): something of them may have changed. One that
    waits for a pass keeps the moment since which it waits: the pass will see what changed, and how long it was not
    looked at is not forgotten."""
    waits_not = Q(due_at__gt=Now()) | Q(lease_until__gt=Now())
    rows = Deployment.objects.filter(condition or Q(), waits_not, pk__in=pks, deleted_at__isnull=True)
    return rows.update(due_at=Now())


def due_rows() -> list[tuple[UUID, datetime]]:
    """Rows that wait for a pass, longest first, each with the moment since which it is due."""
    return list(due().values_list("pk", "due_at")[:SWEEP_BATCH])


def forget_all() -> None:
    """The rows came out of a backup: no worker holds them any more, and each is to be compared with what runs now. A
    pass that began before is fenced off."""
    Deployment.objects.filter(deleted_at__isnull=True).update(
        due_at=Now(), lease_until=None, lease_epoch=F("lease_epoch") + 1
    )
    GitSource.objects.update(lease_until=None)
    Cluster.objects.update(observer="", observer_until=None, breaker_retry_at=None)
