"""The page that lists the Deployments of a Workspace."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console.kit.http import this_url
from deployments.clusters.options import clusters_for
from deployments.forms.listing import FilterForm
from deployments.pages.common import sort_links, stream_url_of
from deployments.presenters import strips
from deployments.presenters.tab import of_list
from deployments.queries import listing as queries
from deployments.queries.durations import attach
from workspaces.access import MemberRequest, who_can, workspace_view
from workspaces.permissions import Permission


@require_GET
@workspace_view(Permission.VIEW)
def deployment_list(request: MemberRequest) -> HttpResponse:
    """The Workspace's Deployments; as a fragment, the rows alone."""
    clusters = list(clusters_for(request.workspace))
    form = FilterForm(request.GET, clusters=clusters)
    chosen = form.values()
    listing = queries.listing(request.workspace, chosen, request.GET)
    can_create = request.can(Permission.CREATE_DEPLOYMENT)
    rows = list(listing.page.object_list)
    attach(rows)
    strips.draw(rows)
    context = {
        "page": listing.page,
        "tab": of_list(rows, listing.counts),
        "rows": rows,
        "filters": form,
        "counts": _count_links(request, listing.counts),
        "sorts": sort_links(request, queries.SORTS, listing.sort or "name"),
        "empty": _empty(listing, chosen),
        "can_create": can_create,
        "create_url": request.workspace.url_for("deployments:new"),
        "who_can_create": [] if can_create else who_can(request.workspace, Permission.CREATE_DEPLOYMENT),
        "stream_url": stream_url_of(request),
        "clusters_differ": len({each.pk for each in clusters} | {row.cluster_id for row in rows}) > 1,
        "rows_url": request.get_full_path(),
        "with_runs": any(row.strip for row in rows),
    }
    template = "deployments/listing/_rows.html" if request.htmx else "deployments/listing/list.html"
    return render(request, template, context)


def _empty(listing: queries.Listing, chosen: dict[str, str]) -> str | None:
    if listing.page.paginator.count:
        return None
    return "filtered" if listing.total and chosen else "none"


def _count_links(request: MemberRequest, counts: dict[str, int]) -> list[dict[str, Any]]:
    current = request.GET.get("status", "")
    everything = {"status": "", "label": "All", "count": sum(counts.values())}
    rows = [
        {"status": s.value, "label": s.label, "count": counts.get(s.value, 0)} for s in queries.SHOWN_STATUSES
    ]
    shown = [everything, *(row for row in rows if row["count"] or row["status"] == current)]
    return [
        {
            **row,
            "url": this_url(request, status=str(row["status"]), page=""),
            "current": row["status"] == current,
        }
        for row in shown
    ]
