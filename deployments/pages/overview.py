"""Pages of Deployments: guard, load, act, render."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from console.kit.http import see_other
from deployments import actions
from deployments.access import deployment_view
from deployments.domain.states import Operation
from deployments.models import Deployment
from deployments.pages import looked_at
from deployments.pages.common import page_context
from deployments.presenters.figures import figures_context, has_figures, span_of
from deployments.presenters.first_steps import first_steps
from deployments.presenters.fragments import live_context, step_context
from deployments.queries.durations import BUSY, attach
from deployments.secrets import vault
from deployments.templatetags import states
from workspaces.access import MemberRequest
from workspaces.actions import workspaces
from workspaces.permissions import Permission


@require_GET
@deployment_view(Permission.VIEW)
def detail(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The Deployment's page; once it is gone, the receipt of what was removed."""
    if deployment.deleted_at is not None:
        return _gone(request, deployment)
    context = {
        **page_context(request, deployment, "Overview"),
        **live_context(deployment),
        **_ways_out(request, deployment),
        **_first_steps(request, deployment),
        **_figures(request, deployment),
        "credential": _credential(request, deployment, revealed=None),
        "edit_url": _edit_url(request, deployment),
    }
    response = render(request, "deployments/overview/detail.html", context)
    looked_at.remember(request, response, deployment)
    return response


def _ways_out(request: MemberRequest, deployment: Deployment) -> dict[str, str | None]:
    """What a person may do about a Deployment that is stalled. The page shows it as soon as it is."""
    busy = deployment.shown_status in BUSY
    retry = (
        busy and not deployment.failures and request.can(Permission.EDIT_DEPLOYMENT)
    )  # else it is offered anyway
    delete = busy and not deployment.is_deleting and request.can(Permission.DELETE_DEPLOYMENT)
    return {
        "stalled_retry_url": deployment.url_for("retry") if retry else None,
        "stalled_delete_url": deployment.url_for("delete") if delete else None,
    }


def _first_steps(request: MemberRequest, deployment: Deployment) -> dict[str, Any]:
    may_hide = request.can(Permission.EDIT_DEPLOYMENT)
    url = deployment.url_for("first_steps_done") if may_hide else None
    steps = first_steps(deployment)
    offered = steps is not None and not steps.deployed and request.can(Permission.DEPLOY_CODE)
    ready = offered and deployment.first_healthy_at is not None and not deployment.hibernating
    example = deployment.url_for("deploy_example") if ready else ""
    soon = offered and deployment.first_healthy_at is None  # its place is kept, so that nothing moves
    return {
        "first_steps": steps,
        "first_steps_url": url,
        "add_dag_url": deployment.url_for("deploy_new" if ready else "deploys"),
        "example_url": example,
        "example_soon": soon,
    }


def _figures(request: MemberRequest, deployment: Deployment) -> dict[str, Any]:
    if not has_figures(deployment):
        return {}
    return figures_context(deployment, span_of(request.GET.get("span", "")))


def _gone(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    steps = [step_context(s) for s in deployment.steps.all() if s.operation == Operation.DELETE]
    receipt = [line for step in steps for line in step["receipt"]]
    context = {"d": deployment, "steps": steps, "receipt": receipt, "list_url": request.workspace.url}
    return render(request, "deployments/overview/gone.html", context)


def _edit_url(request: MemberRequest, deployment: Deployment) -> str | None:
    """Where the settings are changed, for those who may, while that can be done."""
    editable = deployment.first_healthy_at is not None and not deployment.is_deleting
    if not editable or not request.can(Permission.EDIT_DEPLOYMENT):
        return None
    return deployment.url_for("edit")


def _credential(
    request: MemberRequest, deployment: Deployment, *, revealed: str | None
) -> dict[str, Any] | None:
    if not request.can(Permission.REVEAL_CREDENTIAL) or not _takes_password(deployment):
        return None
    return {
        "username": vault.ADMIN_USERNAME,
        "revealed": revealed,
        "reveal_url": deployment.url_for("credential"),
        "hide_url": deployment.url,
    }


def _takes_password(deployment: Deployment) -> bool:
    """Where an operator keeps the password of last resort, and as long as there is no other way in."""
    before_that = deployment.first_healthy_at is not None and not deployment.signs_in
    return not deployment.is_deleting and (settings.AIRFLOW_PASSWORD or before_that)


@require_GET
@deployment_view(Permission.VIEW)
def live(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The part of the page that moves, for a page that missed something."""
    if deployment.deleted_at is not None:
        response = HttpResponse(status=204)
        response["HX-Redirect"] = deployment.url
        return response
    return render(request, "deployments/overview/_live.html", live_context(deployment))


@require_GET
@deployment_view(Permission.VIEW)
def figures(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What its Airflow does, for a page that is open longer or wants another span of time."""
    if not has_figures(deployment):  # it is being deleted since
        return HttpResponse(status=204)
    context = figures_context(deployment, span_of(request.GET.get("span", "")))
    return HttpResponse(render_to_string("deployments/overview/_figures.html", context))


@require_GET
@deployment_view(Permission.VIEW)
def badge(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The badge alone, for a page that missed something."""
    attach([deployment])
    return HttpResponse(states.status_badge(deployment, staged=True))


@require_POST
@deployment_view(Permission.REVEAL_CREDENTIAL, alive=True)
def credential(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Show the password of last resort once, on the answer to this POST; audited."""
    if not _takes_password(deployment):
        raise Http404
    _, password = actions.reveal_credential(deployment=deployment, by=request.user)
    context = {
        **page_context(request, deployment, "Overview"),
        **live_context(deployment),
        **_first_steps(request, deployment),
        **_figures(request, deployment),
        "credential": _credential(request, deployment, revealed=password),
        "edit_url": _edit_url(request, deployment),
    }
    return render(request, "deployments/overview/detail.html", context)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def retry(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Try the failing step again now."""
    actions.retry_now(deployment=deployment, by=request.user)
    messages.info(request, "Retrying shortly.")
    return see_other(deployment.url)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT)
def first_steps_done(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What comes after the first Deployment is done, or is dismissed."""
    workspaces.hide_first_steps(workspace=request.workspace)
    return see_other(deployment.url)
