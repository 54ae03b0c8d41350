"""Pages of the API tokens of one Deployment. What they show and do is tenancy's (`workspaces.pages.tokens`)."""

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.http import HttpResponse
from django.views.decorators.http import require_GET, require_http_methods

from deployments.access import deployment_view
from deployments.models import Deployment
from deployments.workspace_hooks import Deployments, content_of
from workspaces.access import MemberRequest
from workspaces.actions.tokens import Scope
from workspaces.limits import limited
from workspaces.pages import tokens
from workspaces.pages.tokens import TokenPlace
from workspaces.permissions import Permission


def _place(request: MemberRequest, deployment: Deployment) -> TokenPlace:
    def url_of(name: str, *more: object) -> str:
        return deployment.url_for(f"api_token_{name}", *more)

    return TokenPlace(
        scope=Scope(request.workspace, Deployments.kind, content_of(deployment)),
        heading=f"API tokens of {deployment.name}",
        about=f"Programs use API tokens to work on {deployment.name}, and on nothing else.",
        list_url=deployment.url_for("api_tokens"),
        url_of=url_of,
        may_manage=request.can(Permission.MANAGE_TOKENS),
        parent=(deployment.url, deployment.name),
    )


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def token_list(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The tokens of the Deployment."""
    return tokens.list_page(request, _place(request, deployment))


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@deployment_view(Permission.MANAGE_TOKENS, alive=True)
@reauthentication_required  # type: ignore[untyped-decorator]
def token_new(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Create an API token; its value is shown this once."""
    return tokens.new_page(request, _place(request, deployment))


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@deployment_view(Permission.MANAGE_TOKENS, alive=True)
@reauthentication_required  # type: ignore[untyped-decorator]
def token_rotate(request: MemberRequest, deployment: Deployment, token_id: UUID) -> HttpResponse:
    """Give the token a new value, shown once."""
    return tokens.rotate_page(request, _place(request, deployment), token_id)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.MANAGE_TOKENS, alive=True)
def token_revoke(request: MemberRequest, deployment: Deployment, token_id: UUID) -> HttpResponse:
    """Revoke an API token."""
    return tokens.revoke_page(request, _place(request, deployment), token_id)
