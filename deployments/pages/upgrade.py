"""The page that upgrades a Deployment to a newer runtime."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments.access import deployment_view
from deployments.actions import upgrade as actions
from deployments.actions.refusals import NotNow
from deployments.forms.upgrade import UpgradeForm
from deployments.models import Deployment
from deployments.pages.common import done_at_once, page_context, refused
from deployments.presenters.warnings import upgrade_consequences
from deployments.queries import upgrades
from deployments.queries.editable import why_not_editable
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def upgrade(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Which newer runtimes there are, what an upgrade does, and asking for it."""
    newer = upgrades.newer(deployment)
    form = UpgradeForm(posted(request), newer=newer)
    if form.is_bound and form.is_valid():
        try:
            actions.upgrade_runtime(deployment=deployment, by=request.user, to=form.release())
        except NotNow as refusal:
            return refused(request, deployment, refusal)
        except ActionRefused as refusal:
            form.refuse(refusal)
        else:
            return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "newer": newer,
        "not_now": why_not_editable(deployment) or upgrades.under_way(deployment),
        "consequences": upgrade_consequences(deployment, upgrades.last_duration(deployment)),
        "tasks_url": deployment.url_for("tasks"),
    }
    return render(request, "deployments/upgrade/upgrade.html", context, status=422 if form.is_bound else 200)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def dismiss_failed_upgrade(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Dismiss the notice of a failed upgrade."""
    return done_at_once(request, deployment, actions.dismiss_failed_upgrade)
