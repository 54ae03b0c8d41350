"""The page that deletes a Deployment."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from console.kit.http import posted, see_other
from deployments import actions
from deployments.access import deployment_view
from deployments.forms.confirm import ConfirmNameForm
from deployments.models import Deployment
from deployments.pages.common import page_context
from deployments.presenters.warnings import consequences
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DELETE_DEPLOYMENT, alive=True)
def delete(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Ask for the name, say what goes, then ask for it to go."""
    form = ConfirmNameForm(posted(request), name=deployment.name)
    if form.is_bound and form.is_valid():
        try:
            actions.delete_deployment(deployment=deployment, by=request.user)
        except actions.NotNow as refusal:
            messages.error(request, refusal.sentence)
        return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "consequences": consequences(deployment),
        "cancel_url": deployment.url,
    }
    return render(request, "deployments/delete/delete.html", context, status=422 if form.is_bound else 200)
