"""Whose pass comes next. A message to a worker is a turn; which row it is good for is judged when a worker has a hand
free, so that a thousand messages of one Workspace in front do not make another one wait for all of them.

A turn goes to the Workspace with the fewest passes under way, of those to the one whose last pass is longest ago.
Nothing is counted anywhere: leases say both, those that are held and those that were given back.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, Max, Min, Q, Value, When
from django.db.models.functions import Now

from deployments.models import Deployment
from deployments.reconciler.leases import due


def next_row(hinted: UUID) -> UUID | None:
    """The row that a message about `hinted` is good for: that one where it waits and its Workspace has the turn, else
    the one that has waited longest there. None when nothing waits at all. Two workers may be given the same; one of
    them then finds it taken, and the next message makes up for that. One query where nothing waits, two where
    something does, three where Workspaces compete."""
    waiting = list(due().order_by().values_list("workspace", flat=True).distinct())
    if not waiting:
        return None
    rows = due() if len(waiting) == 1 else due().filter(workspace=_next_workspace(waiting))
    hinted_first = Case(When(pk=hinted, then=Value(0)), default=Value(1), output_field=IntegerField())
    return rows.order_by(hinted_first, "due_at").values_list("pk", flat=True).first()


def _next_workspace(waiting: list[UUID]) -> UUID:
    """Of Workspaces in which rows wait."""
    served = (
        Deployment.objects.filter(workspace__in=waiting, deleted_at__isnull=True)
        .values("workspace")
        .annotate(
            under_way=Count("pk", filter=Q(lease_until__gt=Now())),
            last=Max("lease_until"),
            since=Min("due_at"),
        )
        .order_by("under_way", F("last").asc(nulls_first=True), "since")
    )
    return served.values_list("workspace", flat=True)[0]


def one_of_each[Item](items: Iterable[Item], of: Callable[[Item], Hashable]) -> list[Item]:
    """The first item of each group, then the second of each, and so on; within a group in the order given."""
    before: Counter[Hashable] = Counter()
    ranks = []
    for item in items:
        ranks.append((before[of(item)], item))
        before[of(item)] += 1
    return [item for _, item in sorted(ranks, key=lambda ranked: ranked[0])]
