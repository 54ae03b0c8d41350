"""Pages of a Git source: how it stands, connecting and changing it, its host key, its webhook."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused, InvalidInput
from deployments.access import deployment_view
from deployments.actions import git_sources as actions
from deployments.actions.refusals import GitChanged
from deployments.forms.git_sources import FingerprintForm, GitSourceForm, typed_again
from deployments.models import Deployment, GitSource
from deployments.pages.common import Action, page_context, why_not_deployable
from deployments.presenters import commands
from deployments.presenters import git_sources as shown
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


def _source(deployment: Deployment) -> GitSource | None:
    return GitSource.objects.select_related("asked_by").filter(deployment=deployment).first()


def _live(request: MemberRequest, deployment: Deployment, source: GitSource) -> dict[str, Any]:
    return {
        **shown.live(source),
        "d": deployment,
        "may_deploy": request.can(Permission.DEPLOY_CODE) and not why_not_deployable(deployment),
        "check_url": deployment.url_for("git_check"),
        "deploy_url": deployment.url_for("git_deploy"),
        "host_key_url": deployment.url_for("git_host_key"),
    }


def _context(request: MemberRequest, deployment: Deployment, **more: Any) -> dict[str, Any]:
    return {
        **page_context(request, deployment, "Deploys"),
        "deploys_url": deployment.url_for("deploys"),
        "deploys_crumb": f"Deploys of {deployment.name}",
        "git_url": deployment.url_for("git"),
        "git_crumb": f"Git source of {deployment.name}",
        "edit_url": deployment.url_for("git_edit"),
        "not_now": why_not_deployable(deployment),
        **more,
    }


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def git(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """How the Git source stands, and how it is set."""
    return _page(request, deployment)


def _page(request: MemberRequest, deployment: Deployment, *, hook_secret: str = "") -> HttpResponse:
    source = _source(deployment)
    context = _context(request, deployment, source=source, may_deploy=request.can(Permission.DEPLOY_CODE))
    if source is not None:
        context |= {
            **_live(request, deployment, source),
            "live_url": deployment.url_for("git_live"),
            "items": shown.settings_of(source),
            "hook_url": shown.hook_url(deployment),
            "hook_secret": hook_secret,
            "secret_url": deployment.url_for("git_secret"),
            "replacing": shown.REPLACING,
            "disconnect_url": deployment.url_for("git_disconnect"),
        }
    return render(request, "deployments/git/git.html", context)


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def git_live(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The part of the page that moves."""
    source = _source(deployment)
    if source is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "deployments/git/_live.html", _live(request, deployment, source))


@sensitive_post_parameters("token")
@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_edit(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Connect a repository, or change what is followed."""
    source = _source(deployment)
    form = GitSourceForm(posted(request), source=source)
    problem, more = "", {}
    if form.is_bound and form.is_valid():
        try:
            _save(request, deployment, source, form)
        except InvalidInput as refusal:
            form.refuse(refusal)
        except GitChanged:
            source = _source(deployment)
            form = typed_again(form, source)
            more = {"saved": shown.settings_of(source) if source else []}
        except ActionRefused as refusal:
            problem = str(refusal)
        else:
            return see_other(deployment.url_for("git"))
    form.ask_again()
    command = commands.connect_git(deployment.release_name, source.address if source else "")
    context = _context(
        request, deployment, form=form, source=source, problem=problem, command=command, **more
    )
    status = 409 if problem or more else 422 if form.is_bound else 200
    return render(request, "deployments/git/edit.html", context, status=status)


def _save(
    request: MemberRequest, deployment: Deployment, source: GitSource | None, form: GitSourceForm
) -> None:
    if source is None:
        actions.connect(deployment=deployment, by=request.user, wish=form.wish())
        messages.success(request, "The repository is connected.")
    else:
        seen = form.cleaned_data["seen"] or 0
        actions.change(deployment=deployment, by=request.user, wish=form.wish(), seen=seen)
        messages.success(request, "The Git source is saved.")


def _at_once(request: MemberRequest, deployment: Deployment, action: Action) -> HttpResponse:
    try:
        action(deployment=deployment, by=request.user)
    except ActionRefused as refusal:
        messages.error(request, str(refusal))
    return see_other(deployment.url_for("git"))


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_check(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Look now."""
    return _at_once(request, deployment, actions.check_now)


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_deploy(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Deploy the newest commit."""
    return _at_once(request, deployment, actions.deploy_newest)


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_host_key(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Trust the host key that was shown."""
    form = FingerprintForm(request.POST)
    try:
        if not form.is_valid():
            raise GitChanged
        actions.confirm_host_key(
            deployment=deployment, by=request.user, fingerprint=form.cleaned_data["fingerprint"]
        )
    except ActionRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The host key is confirmed.")
    return see_other(deployment.url_for("git"))


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_secret(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Make the webhook's secret, which this answer alone holds."""
    try:
        secret = actions.new_hook_secret(deployment=deployment, by=request.user)
    except ActionRefused as refusal:
        messages.error(request, str(refusal))
        return see_other(deployment.url_for("git"))
    return _page(request, deployment, hook_secret=secret)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def git_disconnect(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Say what stays, then follow nothing any more."""
    source = _source(deployment)
    if request.method == "POST" or source is None:
        if source is not None:
            try:
                actions.disconnect(deployment=deployment, by=request.user)
            except ActionRefused as refusal:
                messages.error(request, str(refusal))
                return see_other(deployment.url_for("git"))
            messages.success(request, f"{source.address} is disconnected.")
        return see_other(deployment.url_for("git"))
    return render(request, "deployments/git/disconnect.html", _context(request, deployment, source=source))
