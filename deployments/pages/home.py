"""The home of a Workspace: what needs attention, what was looked at last, and what ran in a day."""

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from deployments.domain.states import STATUS_APPEARANCE, Status
from deployments.pages import looked_at
from deployments.pages.common import stream_url_of
from deployments.presenters import home as presenter
from deployments.presenters.tab import Tab
from deployments.queries import attention, listing, search
from workspaces.access import MemberRequest, workspace_view
from workspaces.permissions import Permission

LOOKED_AT = 6
SHOWN_NEEDS = 20


@require_GET
@workspace_view(Permission.VIEW)
def home(request: MemberRequest) -> HttpResponse:
    """The page; as a fragment the part of it that changes."""
    workspace = request.workspace
    counts = listing.counts(workspace)
    candidates = attention.candidates(workspace) if counts else []
    tokens_url = workspace.url_for("workspace_tokens")
    needs = presenter.needs(candidates, attention.ending_tokens(workspace), tokens_url)
    list_url = workspace.url
    mark = "bad" if needs and needs[0].tone == "bad" else "warn" if needs else ""
    context = {
        "workspace": workspace,
        "home_url": request.path,
        "list_url": list_url,
        "needs": needs,
        "shown_needs": needs[:SHOWN_NEEDS],
        "more_needs": max(0, len(needs) - SHOWN_NEEDS),
        "mark": mark,
        "total": sum(counts.values()),
        "counts": [
            {
                "label": status.label,
                "count": counts[status],
                "icon": STATUS_APPEARANCE[status].icon,
                "tone": STATUS_APPEARANCE[status].tone,
                "url": f"{list_url}?status={status}",
            }
            for status in Status
            if counts.get(status)
        ],
        "looked_at": search.by_release_names([workspace.pk], looked_at.release_names(request))[:LOOKED_AT],
        **(presenter.day_context(workspace) if counts else {}),
    }
    if request.htmx:
        return HttpResponse(render_to_string("deployments/home/_home.html", context))
    can_create = request.can(Permission.CREATE_DEPLOYMENT)
    context |= {
        "tab": Tab(f"({len(needs)}) " if needs else "", mark),
        "stream_url": stream_url_of(request),
        "can_create": can_create,
        "create_url": workspace.url_for("deployments:new"),
    }
    return render(request, "deployments/home/home.html", context)
