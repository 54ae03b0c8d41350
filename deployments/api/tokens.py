"""API tokens of one Deployment: see `workspaces.api.tokens`."""

from uuid import UUID

from ninja import Router, Status

from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.models import Deployment
from deployments.workspace_hooks import Deployments, content_of
from workspaces.actions.tokens import Scope
from workspaces.api import tokens
from workspaces.api.schemas import MadeToken, TokenList
from workspaces.api.tokens import NewToken
from workspaces.permissions import Permission

router = Router(tags=["API tokens"])
ALL, ONE = (
    "/deployments/{slug:release_name}/tokens",
    "/deployments/{slug:release_name}/tokens/{uuid:token_id}",
)
MANAGE = Permission.MANAGE_TOKENS


def scope_of(deployment: Deployment) -> Scope:
    """The tokens of the Deployment."""
    return Scope(deployment.workspace, Deployments.kind, content_of(deployment))


@router.get(
    ALL,
    auth=OnDeployment(Permission.VIEW),
    response=TokenList,
    url_name="deployment_tokens",
    operation_id="list_deployment_tokens",
)
def token_list(request: DeploymentRequest, release_name: str) -> TokenList:
    """Its tokens: those that work, and those that expired within 30 days."""
    return tokens.all_of(scope_of(request.deployment), request.caller.user)


@router.post(
    ALL,
    auth=OnDeployment(MANAGE),
    response={201: MadeToken},
    url_name="deployment_tokens",
    operation_id="create_deployment_token",
)
def create(request: DeploymentRequest, release_name: str, payload: NewToken) -> Status[MadeToken]:
    """Create a token for this Deployment alone. `value` is in this answer alone. Needs a command line that was
    signed in within the last five minutes."""
    return tokens.make(scope_of(request.deployment), request.caller.user, payload)


@router.post(
    f"{ONE}/rotate",
    auth=OnDeployment(MANAGE),
    response={201: MadeToken},
    url_name="rotate_deployment_token",
    operation_id="rotate_deployment_token",
)
def rotate(request: DeploymentRequest, release_name: str, token_id: UUID) -> Status[MadeToken]:
    """Give it a new value; the old one is refused from the next request on."""
    return tokens.rotate(scope_of(request.deployment), request.caller.user, token_id)


@router.delete(
    ONE,
    auth=OnDeployment(MANAGE),
    response={204: None},
    url_name="deployment_token",
    operation_id="revoke_deployment_token",
)
def revoke(request: DeploymentRequest, release_name: str, token_id: UUID) -> Status[None]:
    """Revoke it: programs that use it are refused from their next request on."""
    return tokens.revoke(scope_of(request.deployment), request.caller.user, token_id)
