"""What a whole Deployment is asked: sleep, wake, a newer runtime, another try. Asking for what is so already changes
nothing."""

from typing import Any

from django.http import HttpResponse
from ninja import Router, Status

from console.kit.http_json import Input, Text, form_data
from deployments import actions
from deployments.actions import hibernation, upgrade
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed
from deployments.forms.upgrade import UpgradeForm
from deployments.queries import upgrades
from workspaces.permissions import Permission

router = Router(tags=["Deployments"])


class Upgrade(Input):
    """The runtime to go to: one of those that `options` offers, and newer than its own."""

    runtime: Text


@router.post(
    "/deployments/{slug:release_name}/hibernate",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="hibernate",
    operation_id="hibernate_deployment",
)
def hibernate(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[Changed]:
    """Stop everything but the database. Tasks that run fail."""
    deployment, before = request.deployment, request.deployment.generation
    hibernation.hibernate(deployment=deployment, by=request.caller.user)
    return answers.changed(deployment, before, "hibernate", response)


@router.post(
    "/deployments/{slug:release_name}/wake",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="wake",
    operation_id="wake_deployment",
)
def wake(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[Changed]:
    """Wake it up: everything starts again."""
    deployment, before = request.deployment, request.deployment.generation
    hibernation.wake(deployment=deployment, by=request.caller.user)
    return answers.changed(deployment, before, "wake", response)


@router.post(
    "/deployments/{slug:release_name}/upgrade",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="upgrade",
    operation_id="upgrade_deployment",
)
def upgrade_runtime(
    request: DeploymentRequest, release_name: str, payload: Upgrade, response: HttpResponse
) -> Status[Changed]:
    """Move it to a newer runtime. Its metadata database is copied and migrated; when that fails it runs as before."""
    deployment, before = request.deployment, request.deployment.generation
    actions.refuse_unless_editable(deployment)
    typed = form_data(payload, texts=("runtime",))
    if typed.data.get("runtime") == deployment.runtime.version:
        return answers.changed(deployment, before, "upgrade", response)
    data: Any = typed.data
    form = UpgradeForm(data, newer=upgrades.newer(deployment))
    typed.refuse(form.errors)
    upgrade.upgrade_runtime(deployment=deployment, by=request.caller.user, to=form.release())
    return answers.changed(deployment, before, "upgrade", response)


@router.post(
    "/deployments/{slug:release_name}/upgrade/dismiss",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response=Changed,
    url_name="upgrade_dismiss",
    operation_id="dismiss_failed_upgrade",
)
def dismiss_failed_upgrade(
    request: DeploymentRequest, release_name: str, response: HttpResponse
) -> Status[Changed]:
    """Dismiss the notice of a failed upgrade, which `upgrade_error` holds. The Activity keeps it."""
    deployment = request.deployment
    upgrade.dismiss_failed_upgrade(deployment=deployment, by=request.caller.user)
    return answers.answer(answers.again(deployment), "", response)


@router.post(
    "/deployments/{slug:release_name}/retry",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="retry",
    operation_id="retry_deployment",
)
def retry(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[Changed]:
    """Try again at once what failed, in place of waiting for the next try. 202 with the operation that it is busy with,
    200 when it is busy with nothing."""
    actions.retry_now(deployment=request.deployment, by=request.caller.user)
    return answers.under_way(request.deployment, response)
