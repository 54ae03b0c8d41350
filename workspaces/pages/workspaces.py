"""Pages of Workspaces."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from workspaces import hooks
from workspaces.access import MemberRequest, workspace_view
from workspaces.actions import workspaces
from workspaces.forms import ConfirmForm, WorkspaceForm
from workspaces.models import User
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@login_required
def new_workspace(request: HttpRequest) -> HttpResponse:
    """Create a Workspace; any signed-in person may."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    form = WorkspaceForm(posted(request))
    if form.is_bound and form.is_valid():
        workspace = workspaces.create_workspace(by=request.user, name=form.cleaned_data["name"])
        messages.success(request, f"Workspace {workspace.name} is ready.")
        return see_other(workspace.url)
    return render(
        request, "workspaces/workspaces/new.html", {"form": form}, status=422 if form.is_bound else 200
    )


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def workspace_settings(request: MemberRequest) -> HttpResponse:
    """Rename the Workspace."""
    form = WorkspaceForm(posted(request), initial={"name": request.workspace.name})
    if form.is_bound and form.is_valid():
        workspaces.rename_workspace(
            workspace=request.workspace, by=request.user, name=form.cleaned_data["name"]
        )
        messages.success(request, "The name is saved.")
        return see_other(request.workspace.url_for("workspace_settings"))
    context = {"form": form, "can_delete": request.can(Permission.DELETE_WORKSPACE)}
    return render(
        request, "workspaces/workspaces/settings.html", context, status=422 if form.is_bound else 200
    )


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.DELETE_WORKSPACE)
def delete_workspace(request: MemberRequest) -> HttpResponse:
    """Ask for the name of an empty Workspace, then delete it; say why one that is not empty stays."""
    workspace = request.workspace
    form = ConfirmForm(
        posted(request),
        label=f"Type {workspace.name} to confirm",
        expected=workspace.name,
        sentence=f"Type {workspace.name} exactly as it is shown.",
    )
    if form.is_bound and form.is_valid():
        try:
            workspaces.delete_workspace(workspace=workspace, by=request.user)
        except ActionRefused as refused:
            form.add_error(None, refused.sentence)
        else:
            messages.success(request, f"Workspace {workspace.name} is deleted.")
            return see_other(reverse("home"))
    context = {"form": form, "reasons": hooks.deletion_blockers(workspace)}
    return render(request, "workspaces/workspaces/delete.html", context, status=422 if form.is_bound else 200)
