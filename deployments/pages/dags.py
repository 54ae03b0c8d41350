"""Pages of DAGs: those of one Deployment, and those of all Deployments of a Workspace."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from deployments.access import deployment_view
from deployments.forms.dags import DagFilterForm
from deployments.models import Deployment
from deployments.pages.common import asks_for_part, page_context, sort_links
from deployments.presenters import dags as presenter
from deployments.queries import dags, readings
from workspaces.access import MemberRequest, workspace_view
from workspaces.permissions import Permission


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def deployment_dags(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The DAGs of one Deployment, and the files that do not import; as a fragment, the list alone."""
    reading = readings.latest(deployment)
    listed = dags.of_deployment(deployment, request.GET)
    tone, text = presenter.notice(deployment, reading)
    context = {
        **_list_context(request, listed, deployment),
        "d": deployment,
        "notice_tone": tone,
        "notice": text,
        "notice_icon": presenter.NOTICE_ICONS.get(tone),
        "read_at": reading.at if reading else None,
        "failed_files": presenter.failed_files(reading),
        "deploys_url": deployment.url_for("deploys"),
    }
    if asks_for_part(request):
        return render(request, "deployments/dags/_list.html", context)
    context |= page_context(request, deployment, "DAGs")
    return render(request, "deployments/dags/deployment_dags.html", context)


@require_GET
@workspace_view(Permission.VIEW)
def workspace_dags(request: MemberRequest) -> HttpResponse:
    """The DAGs of all Deployments of the Workspace."""
    listed = dags.of_workspace(request.workspace, request.GET)
    context = {
        **_list_context(request, listed, None),
        "list_url": request.workspace.url_for("deployments:list"),
    }
    template = "deployments/dags/_list.html" if request.htmx else "deployments/dags/dags.html"
    return render(request, template, context)


def _list_context(
    request: MemberRequest, listed: dags.DagList, deployment: Deployment | None
) -> dict[str, Any]:
    may_open = request.can(Permission.OPEN_AIRFLOW)
    return {
        "page": listed.page,
        "rows": presenter.rows(listed.page, may_open=may_open, deployment=deployment),
        "total": listed.total,
        "filters": DagFilterForm.of(request.GET),
        "sorts": sort_links(request, dags.SORTS, listed.sort),
        "of_workspace": deployment is None,
        "here_url": request.get_full_path(),
        "clear_url": request.path,
        "bars_width": presenter.WIDTH,
        "bars_height": presenter.HEIGHT,
    }
