"""The page that moves a Deployment to another Workspace."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from console.kit.http import posted, see_other
from deployments.access import deployment_view
from deployments.actions.common import NotNow
from deployments.actions.lifecycle import ClusterClosed, NameTaken, WorkspaceGone
from deployments.actions.transfer import NotOpenToYou, transfer_deployment
from deployments.forms.transfer import TransferForm
from deployments.models import Deployment
from deployments.pages.common import not_now, page_context, refused
from deployments.presenters.warnings import transfer_consequences
from deployments.queries import listing
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.TRANSFER_DEPLOYMENT, alive=True)
def transfer(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Where it may go, what changes for whom, and moving it."""
    offered = listing.transfer_targets(request.user, deployment)
    form = TransferForm(posted(request), deployment=deployment, offered=offered)
    if form.is_bound and form.is_valid():
        target = form.workspace()
        try:
            transfer_deployment(deployment=deployment, by=request.user, to=target)
        except NameTaken:
            form.name_taken()
        except (NotOpenToYou, ClusterClosed, WorkspaceGone):
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
    return render(
        request, "deployments/transfer/transfer.html", context, status=422 if form.is_bound else 200
    )
