"""Why a Deployment or one of its components is as it is: what is recorded, what its processes say when they are asked
now, and the relevant lines of its log."""

import time
from functools import partial
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from deployments.access import deployment_view
from deployments.dataplane.contract import DataPlaneError, Driver, Instance, LogTail, Ref
from deployments.domain.component_titles import heading
from deployments.models import Deployment
from deployments.pages.common import asks_for_part, page_context
from deployments.queries import live, log_levels
from deployments.queries.components import component_names, least_ready
from deployments.queries.log_levels import Level
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

READ_LINES = 1000  # in which the relevant ones are looked for
RELEVANT_LINES = 15


@require_GET
@deployment_view(Permission.VIEW)
def why(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """From a badge to the component that explains it; to the Overview, with its steps, when none does."""
    component = None if deployment.is_deleting else least_ready(deployment)
    return HttpResponseRedirect(
        deployment.url_for("component", component.name) if component else deployment.url
    )


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def component(request: MemberRequest, deployment: Deployment, name: str) -> HttpResponse:
    """What is recorded of one component, at once; what it says now is fetched by the page."""
    return render(request, "deployments/components/component.html", _context(request, deployment, name))


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def component_now(request: MemberRequest, deployment: Deployment, name: str) -> HttpResponse:
    """What one component says now: a fragment for the page, or the whole page without scripts. Bounded."""
    context = _context(request, deployment, name) | _now(deployment, name)
    template = (
        "deployments/components/_component_now.html"
        if asks_for_part(request)
        else "deployments/components/component.html"
    )
    return render(request, template, context)


def log_url(deployment: Deployment, name: str, level: Level | None = None) -> str:
    """The log of one component, from this level on."""
    query = QueryDict(mutable=True)
    query["component"] = name
    if level:
        query["level"] = level.value
    return f"{deployment.url_for('logs')}?{query.urlencode()}"


def _context(request: MemberRequest, deployment: Deployment, name: str) -> dict[str, Any]:
    names = component_names(deployment)
    if name not in names:
        raise Http404
    recorded = next((c for c in deployment.components.all() if c.name == name), None)
    return {
        **page_context(request, deployment, "Overview"),
        "component": recorded,
        "title": heading(name),
        "here_url": deployment.url_for("component", name),
        "now_url": deployment.url_for("component_now", name),
        "logs_url": log_url(deployment, name),
        "others": [
            {
                "title": heading(other),
                "url": deployment.url_for("component", other),
                "current": other == name,
            }
            for other in _as_in_the_table(deployment, names)
        ],
    }


def _as_in_the_table(deployment: Deployment, names: list[str]) -> list[str]:
    """The names in the order of the Overview; those that were not seen yet come last."""
    seen = [component.name for component in deployment.components.all()]
    return [*seen, *(name for name in names if name not in seen)]


def _now(deployment: Deployment, name: str) -> dict[str, Any]:
    """Instances and relevant lines, asked for side by side; what cannot be had is a sentence."""
    until = time.monotonic() + live.SECONDS
    context: dict[str, Any] = {"asked": True}
    try:
        instances = live.begin(deployment, partial(_instances, name=name))
        tail = live.begin(deployment, partial(_tail, name=name))
    except DataPlaneError as error:
        return {"asked": True, "instances_problem": str(error), "lines_problem": str(error)}
    try:
        context["instances"] = live.finish(deployment, instances, until - time.monotonic())
    except DataPlaneError as error:
        context["instances_problem"] = str(error)
    try:
        lines, _ = log_levels.read(live.finish(deployment, tail, until - time.monotonic()).lines)
    except DataPlaneError as error:
        context["lines_problem"] = str(error)
        return context
    relevant = log_levels.relevant(lines, RELEVANT_LINES)
    wrong = any(line.level.at_least(Level.ERROR) for line in relevant)
    return context | {
        "lines": relevant,
        "wrong": wrong,
        "lines_url": log_url(deployment, name, Level.ERROR if wrong else None),
    }


def _instances(driver: Driver, ref: Ref, *, name: str) -> tuple[Instance, ...]:
    return driver.inspect(ref, name)


def _tail(driver: Driver, ref: Ref, *, name: str) -> LogTail:
    return driver.logs(ref, name, lines=READ_LINES)


COUNT_SECONDS = 2.0


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def tasks(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """How many tasks run now, as a fragment that a page asks for when it is there already: it may take two seconds."""
    count, problem = None, ""
    try:
        asked = live.begin(deployment, lambda driver, ref: driver.tasks(ref))
        count = live.finish(deployment, asked, COUNT_SECONDS)
    except DataPlaneError as error:
        problem = str(error)
    context = {"count": count, "problem": problem, "asleep": deployment.hibernating}
    return render(request, "deployments/components/_tasks.html", context)
