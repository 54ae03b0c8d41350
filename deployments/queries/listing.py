"""Reads for pages: a fixed number of queries at any size."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Func, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower
from django.http import QueryDict

from deployments.domain.names import name_key
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.queries.readings import LIST_COLUMNS
from workspaces.models import User, Workspace
from workspaces.permissions import Permission, roles_with

PAGE_SIZES = (25, 50, 100)
SORTS: dict[str, F | Func] = {
    "name": Lower("name"),
    "status": F("status"),
    "executor": F("executor"),
    "cluster": F("cluster__name"),
    "airflow": F("runtime__version"),
    "updated": F("updated_at"),
}
# What a row of the list shows, and what its status is judged by: half the time of reading whole rows.
COLUMNS = (
    *("name", "release_name", "executor", "updated_at", "status", "observed_at", "due_at", "deleted_at"),
    *(
        "first_healthy_at",
        "delete_requested_at",
        "hibernating",
    ),  # by which `stalled` knows whose steps are under way
    *(
        "cluster__name",
        "cluster__last_seen_at",
        "cluster__unreachable_reason",
        "runtime__version",
        "runtime__airflow_version",
    ),
    *("runtime__yanked", "runtime__maintained_until"),
    *("updated_by__name", "updated_by__email"),
)


@dataclass(frozen=True)
class Listing:
    """One page of Deployments and what the filter bar shows around it."""

    page: Page[Deployment]
    counts: dict[str, int]  # per status as shown, of the Workspace with the other filters
    total: int  # Deployments in the Workspace at all
    sort: str


def existing(workspace: Workspace) -> QuerySet[Deployment]:
    """The Workspace's Deployments that are not gone."""
    return Deployment.objects.filter(workspace=workspace, deleted_at__isnull=True)


def name_taken(workspace: Workspace, name: str) -> bool:
    """Whether an existing Deployment of the Workspace has this name, letter case aside."""
    return existing(workspace).filter(name_key=name_key(name)).exists()


def listing(workspace: Workspace, filters: dict[str, str], query: QueryDict) -> Listing:
    """The page of the list that the query string names. Two queries, a third when filtered; bad page or sort falls
    back to the first."""
    rows = existing(workspace)
    if filters.get("q"):
        text = filters["q"]
        rows = rows.filter(Q(name__icontains=text) | Q(release_name__icontains=text))
    if filters.get("executor"):
        rows = rows.filter(executor=filters["executor"])
    if filters.get("cluster"):
        rows = rows.filter(cluster_id=filters["cluster"])
    shown = Deployment.shown_status_in_sql()
    grouped = rows.annotate(shown=shown).values("shown").annotate(n=Count("pk")).order_by()
    counts = {row["shown"]: row["n"] for row in grouped}
    narrowed = any(filters.get(name) for name in ("q", "executor", "cluster"))
    total = existing(workspace).count() if narrowed else sum(counts.values())
    found = sum(counts.values())
    if filters.get("status"):
        rows = rows.alias(shown=shown).filter(shown=filters["status"])
        found = counts.get(filters["status"], 0)
    sort = query.get("sort", "")
    rows = (
        rows.select_related("cluster", "runtime", "updated_by", "reading")
        .only(*COLUMNS, *LIST_COLUMNS)
        .order_by(*_ordering(sort))
    )
    paginator = Paginator(rows, _page_size(query))
    paginator.count = found  # known: it need not ask again
    return Listing(paginator.get_page(query.get("page")), counts, total, sort)


def counts(workspace: Workspace) -> dict[str, int]:
    """How many of its Deployments are in each status as shown. One query."""
    rows = existing(workspace).annotate(shown=Deployment.shown_status_in_sql())
    return dict(rows.values_list("shown").annotate(n=Count("pk")).order_by())


def _ordering(sort: str) -> list[OrderBy]:
    column = SORTS.get(sort.removeprefix("-"), SORTS["name"])
    return [OrderBy(column, descending=sort.startswith("-")), OrderBy(F("pk"))]


def _page_size(query: QueryDict) -> int:
    size = query.get("per_page", "")
    return int(size) if size.isdecimal() and int(size) in PAGE_SIZES else PAGE_SIZES[1]


def transfer_targets(user: User, deployment: Deployment) -> list[Workspace]:
    """The Workspaces to which this user may move the Deployment: not its own, Editor or Admin there, not suspended, and
    its cluster open to them. One query."""
    cluster = deployment.cluster
    rows = Workspace.objects.filter(
        memberships__user=user,
        memberships__role__in=roles_with(Permission.CREATE_DEPLOYMENT),
        suspended_at__isnull=True,
    ).exclude(pk=deployment.workspace_id)
    if cluster.restricted:
        rows = rows.filter(clusters=cluster)
    return list(rows.order_by(Lower("name")))


def changed_since(workspace_id: UUID, moment: datetime) -> bool:
    """Whether any Deployment of the Workspace changed after `moment`: one index look-up."""
    return Deployment.objects.filter(workspace_id=workspace_id, changed_at__gt=moment).exists()


SHOWN_STATUSES = tuple(status for status in Status if status is not Status.DELETED)
