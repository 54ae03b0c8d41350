"""Pages of accounts and Workspaces."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.kit.http import posted, see_other
from workspaces import actions
from workspaces.access import MemberRequest, workspace_view
from workspaces.forms import AccountForm, WorkspaceForm
from workspaces.models import User
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@login_required
def new_workspace(request: HttpRequest) -> HttpResponse:
    """Create a Workspace; any signed-in person may."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    form = WorkspaceForm(posted(request))
    if form.is_bound and form.is_valid():
        workspace = actions.create_workspace(by=request.user, name=form.cleaned_data["name"])
        messages.success(request, f"Workspace {workspace.name} is ready.")
        return see_other(workspace.url)
    return render(request, "workspaces/new.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def workspace_settings(request: MemberRequest) -> HttpResponse:
    """Rename the Workspace."""
    form = WorkspaceForm(posted(request), initial={"name": request.workspace.name})
    if form.is_bound and form.is_valid():
        actions.rename_workspace(workspace=request.workspace, by=request.user, name=form.cleaned_data["name"])
        messages.success(request, "The name is saved.")
        return see_other(reverse("workspace_settings", args=[request.workspace.pk]))
    return render(request, "workspaces/settings.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """A person's own settings: name, theme, time zone."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required
    initial = {"name": user.name, "theme": user.theme, "time_zone": user.time_zone}
    form = AccountForm(posted(request), initial=initial)
    if form.is_bound and form.is_valid():
        actions.update_account(user=user, **form.cleaned_data)
        messages.success(request, "Your settings are saved.")
        return see_other(reverse("account"))
    return render(request, "workspaces/account.html", {"form": form}, status=422 if form.is_bound else 200)
