"""Pages of what a whole Deployment is asked: another runtime, sleep, another Workspace."""

from typing import Protocol

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from deployments import asking, queries, upgrades
from deployments.access import deployment_view
from deployments.actions import running
from deployments.actions.common import NotNow, refuse_unless_settled
from deployments.actions.lifecycle import ClusterClosed, NameTaken, WorkspaceGone
from deployments.dataplane.base import DataPlaneError
from deployments.editing import tasks_url
from deployments.forms_running import TransferForm, UpgradeForm
from deployments.models import Deployment
from deployments.running_words import hibernate_consequences, transfer_consequences, upgrade_consequences
from deployments.views import page_context
from workspaces.access import MemberRequest
from workspaces.models import User
from workspaces.permissions import Permission

COUNT_SECONDS = 2.0


class Action(Protocol):
    """An action that needs nothing but who asks."""

    def __call__(self, *, deployment: Deployment, by: User) -> object:
        """Raises NotNow."""


def not_now(deployment: Deployment) -> str:
    """Why nothing can be changed now, in a sentence; "" when it can."""
    try:
        refuse_unless_settled(deployment)
    except NotNow as error:
        return str(error)
    return ""


def refused(request: HttpRequest, deployment: Deployment, error: NotNow) -> HttpResponse:
    """Back to its page, which says why not."""
    messages.error(request, str(error))
    return see_other(deployment.url)


def done_at_once(request: MemberRequest, deployment: Deployment, action: Action) -> HttpResponse:
    """Do what has nothing to fill in, and show its page, which says why not when it cannot be done now."""
    try:
        action(deployment=deployment, by=request.user)
    except NotNow as error:
        return refused(request, deployment, error)
    return see_other(deployment.url)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def upgrade(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Which newer runtimes there are, what an upgrade does, and asking for it."""
    newer = upgrades.newer(deployment)
    form = UpgradeForm(posted(request), newer=newer)
    if form.is_bound and form.is_valid():
        try:
            running.upgrade_runtime(deployment=deployment, by=request.user, to=form.release())
        except running.RuntimeNotOffered:
            form.not_offered()
        except NotNow as error:
            return refused(request, deployment, error)
        else:
            return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "newer": newer,
        "not_now": not_now(deployment) or upgrades.under_way(deployment),
        "consequences": upgrade_consequences(deployment, upgrades.last_duration(deployment)),
        "tasks_url": tasks_url(deployment),
    }
    return render(request, "deployments/upgrade.html", context, status=422 if form.is_bound else 200)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def dismiss_failed_upgrade(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Somebody has read why the last upgrade failed."""
    return done_at_once(request, deployment, running.dismiss_failed_upgrade)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def hibernate(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What sleep does, with the tasks that run now, and asking for it."""
    if request.method == "POST":
        return done_at_once(request, deployment, running.hibernate)
    context = {
        **page_context(request, deployment, "Settings"),
        "not_now": not_now(deployment),
        "consequences": hibernate_consequences(deployment),
        "tasks_url": tasks_url(deployment),
        "schedule_url": reverse("deployments:schedule", args=[deployment.release_name]),
        "wake_url": reverse("deployments:wake", args=[deployment.release_name]),
    }
    return render(request, "deployments/hibernate.html", context)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def wake(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Ask for it to run again: reversible, so done at once."""
    return done_at_once(request, deployment, running.wake)


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def tasks(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """How many tasks run now, as a fragment that a page asks for when it is there already: it may take two seconds."""
    count, trouble = None, ""
    try:
        asked = asking.begin(deployment, lambda plane, ref: plane.tasks(ref))
        count = asking.finish(deployment, asked, COUNT_SECONDS)
    except DataPlaneError as error:
        trouble = str(error)
    context = {"count": count, "trouble": trouble, "asleep": deployment.hibernating}
    return render(request, "deployments/_tasks.html", context)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.TRANSFER_DEPLOYMENT, alive=True)
def transfer(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Where it may go, what changes for whom, and moving it."""
    offered = queries.transfer_targets(request.user, deployment)
    form = TransferForm(posted(request), deployment=deployment, offered=offered)
    if form.is_bound and form.is_valid():
        target = form.workspace()
        try:
            running.transfer_deployment(deployment=deployment, by=request.user, to=target)
        except NameTaken:
            form.name_taken()
        except (running.NotOpenToYou, ClusterClosed, WorkspaceGone):
            form.closed()
        except NotNow as error:
            return refused(request, deployment, error)
        else:
            messages.success(request, f"{deployment.name} is in {target.name} now.")
            return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "offered": offered,
        "not_now": not_now(deployment),
        "consequences": transfer_consequences(deployment, request.workspace),
    }
    return render(request, "deployments/transfer.html", context, status=422 if form.is_bound else 200)
