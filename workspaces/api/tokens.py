"""API tokens, for the command line of a person who signed it in just now: no other token makes, rotates or revokes any
(`Caller.require_presence`). Lists are for those who may see the page. A value is answered once."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from console.kit.http_json import Input, OptionalNumber, OptionalText, Text, form_data
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope
from workspaces.api.auth import Anyone, ApiRequest, InWorkspace, limited
from workspaces.api.schemas import MadeToken, TokenList, TokenRow
from workspaces.models import ApiToken, User
from workspaces.permissions import Permission, Role
from workspaces.token_access import SIGN_IN, Caller
from workspaces.token_forms import TokenForm

router = Router(tags=["API tokens"])
OWN, OWN_ONE = "/me/tokens", "/me/tokens/{uuid:token_id}"
ALL, ONE = "/workspaces/{uuid:workspace_id}/tokens", "/workspaces/{uuid:workspace_id}/tokens/{uuid:token_id}"
MANAGE = Permission.MANAGE_TOKENS
KINDS = {"u": "personal", "w": "workspace", SIGN_IN: "sign-in"}


class NewToken(Input):
    """A new token. Only the name and the role have no default; `days` is when it expires, null for never."""

    name: Text
    role: Text
    description: OptionalText = None
    days: OptionalNumber = tokens.DEFAULT_DAYS


def row(token: ApiToken) -> TokenRow:
    """A token as lists have it."""
    return TokenRow(
        id=token.pk,
        name=token.name,
        description=token.description,
        beginning=token.beginning,
        role=token.role,
        kind=KINDS.get(token.kind, token.content_kind),
        made_by=token.maker_label,
        created_at=token.created_at,
        rotated_at=token.rotated_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        expired=token.is_expired,
    )


def all_of(scope: Scope, by: User) -> TokenList:
    """Those that work, and those that expired within 30 days."""
    return TokenList(items=[row(each) for each in tokens.listed(scope, by)])


def make(scope: Scope, by: User, payload: NewToken) -> Status[MadeToken]:
    """201 with the value. Raises InvalidInput, and as `tokens.make`."""
    typed = form_data(payload, texts=("name", "role", "description"), numbers=("days",))
    data: dict[str, Any] = {"days": tokens.DEFAULT_DAYS, **typed.data}
    form = TokenForm(data, roles=scope.roles(Role.ADMIN))
    typed.refuse(form.errors)
    return _made(tokens.make(scope=scope, by=by, wish=form.wish()))


def rotate(scope: Scope, by: User, pk: UUID) -> Status[MadeToken]:
    """201 with the new value. Raises as `tokens.rotate`."""
    return _made(tokens.rotate(scope=scope, by=by, pk=pk))


def revoke(scope: Scope, by: User, pk: UUID) -> Status[None]:
    """204. Raises as `tokens.revoke`."""
    tokens.revoke(scope=scope, by=by, pk=pk)
    return Status(204, None)


def _made(made: tokens.MadeToken) -> Status[MadeToken]:
    return Status(201, MadeToken(token=row(made.token), value=made.value))


class Own(Anyone):
    """One's own tokens: no token of a Workspace or of a part of it sees them. `manage` is for a person who is there."""

    def __init__(self, *, manage: bool) -> None:
        super().__init__()
        self.manage = manage

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """Nothing is named by the address."""
        super().load(request, caller)
        if caller.token.workspace_id is not None:
            raise limited()
        if self.manage:
            caller.require_presence()


# --- A person's own


@router.delete(
    "/me/token", auth=Anyone(), response={204: None}, url_name="own_token", operation_id="revoke_this_token"
)
def sign_out(request: ApiRequest) -> Status[None]:
    """Revoke the token with which this is asked. Any token may."""
    tokens.sign_out(token=request.caller.token, by=request.caller.user)
    return Status(204, None)


@router.get(
    OWN, auth=Own(manage=False), response=TokenList, url_name="own_tokens", operation_id="list_own_tokens"
)
def own_list(request: ApiRequest) -> TokenList:
    """Your own tokens and sign-ins of the command line: those that work, and those that expired within 30 days."""
    return all_of(Scope(None), request.caller.user)


@router.post(
    OWN,
    auth=Own(manage=True),
    response={201: MadeToken},
    url_name="own_tokens",
    operation_id="create_own_token",
)
def own_new(request: ApiRequest, payload: NewToken) -> Status[MadeToken]:
    """Create a token of your own. `value` is in this answer alone. Needs a command line that was signed in
    within the last five minutes."""
    return make(Scope(None), request.caller.user, payload)


@router.post(
    f"{OWN_ONE}/rotate",
    auth=Own(manage=True),
    response={201: MadeToken},
    url_name="rotate_own_token",
    operation_id="rotate_own_token",
)
def own_rotate(request: ApiRequest, token_id: UUID) -> Status[MadeToken]:
    """Give it a new value; the old one is refused from the next request on."""
    return rotate(Scope(None), request.caller.user, token_id)


@router.delete(
    OWN_ONE,
    auth=Own(manage=True),
    response={204: None},
    url_name="one_own_token",
    operation_id="revoke_own_token",
)
def own_revoke(request: ApiRequest, token_id: UUID) -> Status[None]:
    """Revoke it: programs that use it are refused from their next request on."""
    return revoke(Scope(None), request.caller.user, token_id)


# --- Of a Workspace


def _scope(request: ApiRequest) -> Scope:
    return Scope(request.membership.workspace)


@router.get(
    ALL,
    auth=InWorkspace(Permission.VIEW),
    response=TokenList,
    url_name="workspace_tokens",
    operation_id="list_workspace_tokens",
)
def workspace_list(request: ApiRequest, workspace_id: UUID) -> TokenList:
    """Its tokens: those that work, and those that expired within 30 days."""
    return all_of(_scope(request), request.caller.user)


@router.post(
    ALL,
    auth=InWorkspace(MANAGE),
    response={201: MadeToken},
    url_name="workspace_tokens",
    operation_id="create_workspace_token",
)
def workspace_new(request: ApiRequest, workspace_id: UUID, payload: NewToken) -> Status[MadeToken]:
    """Create a token for the whole Workspace. `value` is in this answer alone. Needs a command line that was signed in
    within the last five minutes."""
    return make(_scope(request), request.caller.user, payload)


@router.post(
    f"{ONE}/rotate",
    auth=InWorkspace(MANAGE),
    response={201: MadeToken},
    url_name="rotate_workspace_token",
    operation_id="rotate_workspace_token",
)
def workspace_rotate(request: ApiRequest, workspace_id: UUID, token_id: UUID) -> Status[MadeToken]:
    """Give it a new value; the old one is refused from the next request on."""
    return rotate(_scope(request), request.caller.user, token_id)


@router.delete(
    ONE,
    auth=InWorkspace(MANAGE),
    response={204: None},
    url_name="workspace_token",
    operation_id="revoke_workspace_token",
)
def workspace_revoke(request: ApiRequest, workspace_id: UUID, token_id: UUID) -> Status[None]:
    """Revoke it: programs that use it are refused from their next request on."""
    return revoke(_scope(request), request.caller.user, token_id)
