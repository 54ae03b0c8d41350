"""DAGs as last read, of one Deployment or of all of a Workspace: searched, sorted, by pages."""

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import F, Func, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower
from django.http import QueryDict

from deployments.models import Dag, Deployment
from workspaces.models import Workspace

PAGE_SIZE = 50
SORTS: dict[str, F | Func] = {
    "name": Lower("name"),
    "schedule": F("schedule"),
    "state": F("last_state"),
    "last": F("last_run_at"),
    "duration": F("last_seconds"),
    "next": F("next_run_at"),
    "deployment": Lower("deployment__name"),
}
STATES = {  # by which a list is narrowed
    "failed": Q(last_state="failed"),
    "running": Q(last_state__in=["running", "queued"]),
    "succeeded": Q(last_state="success"),
    "never": Q(last_state=""),
    "paused": Q(paused=True),
    "broken": Q(import_error=True),
}


@dataclass(frozen=True)
class DagList:
    """One page of DAGs, how many there are without the filters, and what the page is sorted by ("-" for down)."""

    page: Page[Dag]
    total: int
    sort: str


def of_deployment(deployment: Deployment, query: QueryDict) -> DagList:
    """The page that `q`, `state`, `sort` and `page` of a query string name. Three queries; bad values count as none."""
    return _listed(Dag.objects.filter(deployment=deployment), query)


def of_workspace(workspace: Workspace, query: QueryDict) -> DagList:
    """The same over all Deployments of a Workspace that are not gone, each row with its Deployment."""
    rows = Dag.objects.filter(deployment__workspace=workspace, deployment__deleted_at__isnull=True)
    return _listed(rows.select_related("deployment", "deployment__cluster"), query)


def narrowed(rows: QuerySet[Dag], text: str, state: str) -> QuerySet[Dag]:
    """Those whose name, id or file holds the text, and that are in the state; what is no state narrows nothing."""
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(dag_id__icontains=text) | Q(file__icontains=text))
    return rows.filter(STATES[state]) if state in STATES else rows


def _listed(rows: QuerySet[Dag], query: QueryDict) -> DagList:
    total = rows.count()
    text, state = query.get("q", "").strip()[:200], query.get("state", "")
    rows = narrowed(rows, text, state)
    sort = query.get("sort", "")
    column = SORTS.get(sort.removeprefix("-"))
    sort = sort if column is not None else "name"
    descending = sort.startswith("-")
    ordering = OrderBy(column or SORTS["name"], descending=descending, nulls_last=True)
    paginator = Paginator(rows.order_by(ordering, "dag_id", "pk"), PAGE_SIZE)
    if not text and state not in STATES:
        paginator.count = total  # known: it need not ask again
    return DagList(paginator.get_page(query.get("page")), total, sort)
