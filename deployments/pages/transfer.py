"""The page that moves a Deployment to another Workspace."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments.access import deployment_view
from deployments.actions.refusals import NotNow
from deployments.actions.transfer import transfer_deployment
from deployments.forms.transfer import TransferForm
from deployments.models import Deployment
from deployments.pages.common import page_context, refused
from deployments.presenters.warnings import transfer_consequences
from deployments.queries import listing
from deployments.queries.editable import why_not_editable
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.TRANSFER_DEPLOYMENT, alive=True)
def transfer(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Where it may go, what changes for whom, and moving it."""
    offered = listing.transfer_targets(request.user, deployment)
    form = TransferForm(posted(request), offered=offered)
    if form.is_bound and form.is_valid():
        target = form.workspace()
        try:
            transfer_deployment(deployment=deployment, by=request.user, to=target)
        except NotNow as refusal:
            return refused(request, deployment, refusal)
        except ActionRefused as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{deployment.name} is in {target.name} now.")
            return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "offered": offered,
        "not_now": why_not_editable(deployment),
        "consequences": transfer_consequences(deployment, request.workspace),
    }
    return render(
        request, "deployments/transfer/transfer.html", context, status=422 if form.is_bound else 200
    )
