"""The page between a click on an Airflow that does not answer and that Airflow: how far it is, and on to it."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET, require_POST

from console.kit.http import see_other
from deployments.access import deployment_view
from deployments.actions import hibernation
from deployments.actions.refusals import NotNow
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.pages.common import done_at_once, page_context, refused
from deployments.presenters.fragments import live_context
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

LONGEST_PATH = 2000
SETTINGS = {"on": True, "off": False}


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def opening(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What the Airflow that a person opened is doing, until it answers. `to` is the path in it that they opened."""
    since = _since(request)
    context = _context(request, deployment, since or timezone.now())
    if since and _answers_since(deployment, since):
        return redirect(context["airflow_url"])
    page = page_context(request, deployment, "Overview")
    return render(request, "deployments/opening/opening.html", {**page, **context})


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def opening_live(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The part that moves; on to the Airflow once it was seen Healthy after the page came."""
    since = _since(request) or timezone.now()
    context = _context(request, deployment, since)
    if not _answers_since(deployment, since):
        return render(request, "deployments/opening/_live.html", context)
    answer = HttpResponse(status=204)
    answer["HX-Redirect"] = context["airflow_url"]
    return answer


def _since(request: MemberRequest) -> datetime | None:
    """When the page came, as it says itself; None for anything else."""
    try:
        since = parse_datetime(request.GET.get("since", ""))
    except ValueError:
        return None
    return since if since is not None and since.tzinfo is not None else None


def _answers_since(deployment: Deployment, since: datetime) -> bool:
    """Only what was observed after the proxy found no answer counts: an older word would send people in a circle."""
    healthy = deployment.shown_status == Status.HEALTHY and bool(deployment.airflow_url)
    return healthy and max(deployment.observed_at, deployment.status_since) > since


def _context(request: MemberRequest, deployment: Deployment, since: datetime) -> dict[str, Any]:
    path = request.GET.get("to", "/")
    if not path.startswith("/") or len(path) > LONGEST_PATH or not path.isprintable():
        path = "/"
    query = urlencode({"to": path, "since": since.isoformat()})
    asleep = deployment.hibernating
    may_open = request.can(Permission.OPEN_AIRFLOW)
    may_wake = asleep and may_open and (deployment.wakes_on_open or request.can(Permission.EDIT_DEPLOYMENT))
    return {
        **live_context(deployment),
        "airflow_url": f"{deployment.url_for('open')}?{urlencode({'next': path})}"
        if deployment.airflow_url
        else None,
        "here_url": f"{deployment.url_for('opening_live')}?{query}",
        "again_url": f"{deployment.url_for('opening')}?{query}",
        "wake_url": f"{deployment.url_for('opening_wake')}?{urlencode({'to': path})}" if may_wake else "",
        "wakes_by_itself": asleep and deployment.wakes_on_open,
        "asleep": asleep and may_open,
    }


@require_POST
@deployment_view(Permission.OPEN_AIRFLOW, alive=True)
def wake(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Wake it for the person who opened it, where that is switched on; else for those who may wake it anyway."""
    by_opening = deployment.wakes_on_open or not request.can(Permission.EDIT_DEPLOYMENT)
    act = hibernation.wake_by_opening if by_opening else hibernation.wake
    try:
        act(deployment=deployment, by=request.user)
    except NotNow as error:
        return refused(request, deployment, error)
    where = deployment.url_for("opening")
    return see_other(f"{where}?{urlencode({'to': request.GET.get('to', '/')})}")


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def set_wakes(request: MemberRequest, deployment: Deployment, setting: str) -> HttpResponse:
    """Switch on or off that opening its Airflow wakes it."""
    if setting not in SETTINGS:
        raise Http404

    def act(**who: Any) -> object:
        return hibernation.set_wakes_on_open(on=SETTINGS[setting], **who)

    return done_at_once(request, deployment, act)
