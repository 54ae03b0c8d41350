"""What the pages of one Deployment have in common: the head, the tabs, and what refuses or is done at once."""

from collections.abc import Iterable
from typing import Any, Protocol

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from console.kit.http import see_other, this_url
from console.kit.refusals import ActionRefused
from deployments.actions.refusals import NotNow
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.states import Executor
from deployments.models import Deployment
from deployments.pages import menu
from deployments.presenters.facts import facts, identifiers
from deployments.presenters.tab import of_deployment
from deployments.queries.deploys import why_no_code
from deployments.queries.durations import attach
from deployments.queries.editable import why_not_editable
from workspaces.access import MemberRequest
from workspaces.models import User
from workspaces.permissions import Permission

# What an action that also asks a data plane may raise on purpose: each is a sentence for the page.
REFUSALS = (ActionRefused, DataPlaneError)


def why_not_deployable(deployment: Deployment) -> str:
    """Why no code can be deployed now, in a sentence; "" when it can."""
    try:
        return why_not_editable(deployment) or why_no_code(deployment)
    except DataPlaneError as error:
        return str(error)


def stream_url_of(request: MemberRequest) -> str:
    """The address of the event stream that the page listens to."""
    query = QueryDict(mutable=True)
    query["since"] = timezone.now().isoformat()
    return f"{request.workspace.url_for('deployments:stream')}?{query.urlencode()}"


def asks_for_part(request: MemberRequest) -> bool:
    """Whether htmx wants the part of the page that moves. A page that asks for itself again, or for its head, because
    its Deployment is at another stage (common/_again.html, common/_head.html), wants all of it."""
    return bool(request.htmx) and request.htmx.target not in {"page", "head"}


def sort_links(request: MemberRequest, keys: Iterable[str], sort: str) -> dict[str, dict[str, str]]:
    """Where each column's head leads, and how it sorts now; `sort` is the present key, with "-" when it descends."""
    links = {}
    for key in keys:
        ascending = sort == key
        aria = "ascending" if ascending else "descending" if sort == f"-{key}" else "none"
        links[key] = {"url": this_url(request, sort=f"-{key}" if ascending else key, page=""), "aria": aria}
    return links


def page_context(request: MemberRequest, deployment: Deployment, tab: str) -> dict[str, Any]:
    """What the head of each page of a Deployment needs; `tab` is the current one."""
    attach([deployment])
    return {
        "d": deployment,
        "tab": of_deployment(deployment),
        "tabs": [{**each, "current": each["label"] == tab} for each in _tabs(request, deployment, tab)],
        "list_url": request.workspace.url,
        "stream_url": stream_url_of(request),
        "identifiers": identifiers(deployment),
        "facts": facts(deployment),
        "whole_menu": menu.menu(request, deployment),
        "retry_url": deployment.url_for("retry")
        if deployment.failures and request.can(Permission.EDIT_DEPLOYMENT)
        else None,
    }


def _tabs(request: MemberRequest, deployment: Deployment, tab_now: str) -> list[dict[str, Any]]:
    """Overview · DAGs · Deploys · Worker queues · Variables · Logs · Alerts · Activity · Settings, as far as
    there are any."""

    def tab(label: str, name: str, **more: Any) -> dict[str, Any]:
        return {"label": label, "url": deployment.url_for(name), **more}

    alive = deployment.deleted_at is None
    tabs = [tab("Overview", "detail")]
    if alive:
        tabs.append(tab("DAGs", "dags"))
        tabs.append(tab("Deploys", "deploys"))
        if deployment.executor == Executor.CELERY or tab_now == "Worker queues":
            tabs.append(tab("Worker queues", "queues"))
        tabs.append(tab("Variables", "variables", count=deployment.variables.count()))
        tabs.append(tab("Logs", "logs"))
        tabs.append(tab("Alerts", "alerts"))
    tabs.append(tab("Activity", "deployment_activity"))
    if alive and request.can(Permission.EDIT_DEPLOYMENT):
        tabs.append(tab("Settings", "settings"))
    return tabs


class Action(Protocol):
    """An action that needs nothing but who asks."""

    def __call__(self, *, deployment: Deployment, by: User) -> object:
        """Do it. Raises NotNow with the sentence that the page shows."""


def refused(request: HttpRequest, deployment: Deployment, refusal: ActionRefused) -> HttpResponse:
    """Back to its page, which says why not."""
    messages.error(request, refusal.sentence)
    return see_other(deployment.url)


def not_editable(request: MemberRequest, deployment: Deployment, tab: str, why: str) -> HttpResponse:
    """Why nothing can be changed at present, in place of a form."""
    context = {**page_context(request, deployment, tab), "why": why, "back_url": deployment.url}
    status = 200 if request.method == "GET" else 409
    return render(request, "deployments/common/not_now.html", context, status=status)


def done_at_once(request: MemberRequest, deployment: Deployment, action: Action) -> HttpResponse:
    """Do what has nothing to fill in, and show its page, which says why not when it cannot be done now."""
    try:
        action(deployment=deployment, by=request.user)
    except NotNow as error:
        return refused(request, deployment, error)
    return see_other(deployment.url)
