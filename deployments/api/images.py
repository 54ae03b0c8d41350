"""Images of a Deployment's own: deploying one, and going back to the runtime's."""

from ninja import Router, Status

from console.kit.http_json import Input, OptionalText, form_data, retry_key
from deployments.actions import images as actions
from deployments.actions.refusals import NothingToDeploy
from deployments.api import deploy_documents as documents
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.deploy_documents import DeployAnswer
from deployments.api.deploys import answer, deploy_of
from deployments.domain.deploy_states import description_problem
from deployments.domain.image_reference import EXAMPLE
from workspaces.permissions import Permission

router = Router(tags=["Deploys"])
MISSING = f"Enter the name of an image, such as {EXAMPLE}, or an empty text for the image of the runtime."


class DeployImage(Input):
    """`image` with a tag or a digest, as a node pulls it; "" is the image of the runtime."""

    image: OptionalText = None
    description: OptionalText = None


@router.post(
    "/deployments/{slug:release_name}/deploys/image",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={200: DeployAnswer, 202: DeployAnswer},
    url_name="deploy_image",
    operation_id="deploy_image",
)
def deploy_image(request: DeploymentRequest, release_name: str, payload: DeployImage) -> Status[DeployAnswer]:
    """Run an image of your own in place of the runtime's; on Kubernetes. The cluster pulls it and looks at it before
    anything changes, and its tag is resolved to a digest once. Code stays as it is; components restart, workers finish
    their tasks first. 200 when the Deployment has this image already."""
    deployment, by = request.deployment, request.caller.user
    typed = form_data(payload, texts=("image", "description"))
    description = str(typed.data.get("description", ""))
    if problem := description_problem(description):
        typed.problems["description"] = problem
    if payload.image is None:
        typed.problems.setdefault("image", MISSING)
    typed.refuse({})
    key = retry_key(request, deployment.pk, request.caller.token.pk)
    try:
        made = actions.deploy_image(
            deployment=deployment,
            by=by,
            image=str(typed.data.get("image", "")),
            description=description,
            idempotency_key=key,
        )
    except NothingToDeploy as same:
        return Status(200, documents.unchanged(deploy_of(deployment, same.number), deployment))
    return answer(deployment, deploy_of(deployment, made.number), None)
