"""Who acts, and the Workspaces that a token reaches. Members and invitations are read here, and managed by people."""

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Lower
from django.http import HttpResponse
from ninja import Router
from ninja.params.functions import Query

from console.kit import cursors
from console.kit.http_json import Input, Text, etag, form_data, require_match
from workspaces.actions.locks import lock
from workspaces.actions.workspaces import rename_workspace
from workspaces.api.auth import Anyone, ApiRequest, InWorkspace
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.api.schemas import (
    InvitationOut,
    Invitations,
    MemberOut,
    MemberPage,
    MeOut,
    Named,
    TokenOut,
    WorkspaceOut,
    WorkspacePage,
)
from workspaces.api.tokens import KINDS
from workspaces.forms import WorkspaceForm
from workspaces.models import Invitation, Membership, Workspace
from workspaces.permissions import Permission, least
from workspaces.token_access import Caller

router = Router(tags=["Workspaces"])


class WorkspaceChange(Input):
    """What is to be another: its name, of at most 50 characters."""

    name: Text = None


@router.get("/me", auth=Anyone(), response=MeOut, url_name="me", operation_id="me")
def me(request: ApiRequest) -> MeOut:
    """Who acts with this token, and what it may do."""
    caller = request.caller
    token, membership = caller.token, caller.membership
    place = Named(id=membership.workspace.pk, name=membership.workspace.name) if membership else None
    return MeOut(
        email=caller.user.email,
        name=caller.user.name,
        token=TokenOut(
            name=token.name,
            kind=KINDS.get(token.kind, token.content_kind),
            beginning=token.beginning,
            role=membership.role if membership else token.role,
            expires_at=token.expires_at,
            workspace=place,
            limited_to=token.content_id,
        ),
    )


def _document(membership: Membership, caller: Caller) -> WorkspaceOut:
    workspace = membership.workspace
    return WorkspaceOut(
        id=workspace.pk,
        name=workspace.name,
        role=least(membership.role, caller.token.role),
        suspended=workspace.suspended_at is not None,
        created_at=workspace.created_at,
        url=f"{settings.BASE_URL}{workspace.url}",
    )


@router.get(
    "/workspaces",
    auth=Anyone(),
    response=WorkspacePage,
    url_name="workspaces",
    operation_id="list_workspaces",
)
def workspace_list(
    request: ApiRequest,
    name: str = Query("", max_length=64, description="Only those of this name, letter case aside."),
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> WorkspacePage:
    """The Workspaces that this token reaches, by name."""
    caller = request.caller
    rows = Membership.objects.filter(user=caller.user).select_related("workspace")
    if caller.token.workspace_id is not None:
        rows = rows.filter(workspace=caller.token.workspace_id)
    if name:
        rows = rows.filter(workspace__name__iexact=name)
    rows = rows.annotate(place=Lower("workspace__name")).order_by("place", "workspace_id")
    rows = rows.filter(cursors.after(cursor, ("place", str), ("workspace_id", UUID)))
    found, following = cursors.page(
        list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.place, str(row.workspace_id))
    )
    return WorkspacePage(items=[_document(row, caller) for row in found], next=following)


@router.get(
    "/workspaces/{uuid:workspace_id}",
    auth=InWorkspace(Permission.VIEW, limited=True),
    response=WorkspaceOut,
    url_name="workspace",
    operation_id="get_workspace",
)
def workspace(request: ApiRequest, workspace_id: UUID, response: HttpResponse) -> WorkspaceOut:
    """One Workspace. Its ETag is for If-Match of PATCH."""
    response["ETag"] = _etag(request.membership.workspace)
    return _document(request.membership, request.caller)


@router.patch(
    "/workspaces/{uuid:workspace_id}",
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response=WorkspaceOut,
    url_name="workspace",
    operation_id="update_workspace",
)
def update(
    request: ApiRequest, workspace_id: UUID, payload: WorkspaceChange, response: HttpResponse
) -> WorkspaceOut:
    """Rename the Workspace."""
    typed = form_data(payload, texts=("name",))
    with transaction.atomic():
        locked = lock(workspace_id)
        require_match(request, _etag(locked))
        form = WorkspaceForm({"name": locked.name, **typed.data})
        typed.refuse(form.errors)
        renamed = rename_workspace(workspace=locked, by=request.caller.user, name=form.cleaned_data["name"])
    request.membership.workspace = renamed
    response["ETag"] = _etag(renamed)
    return _document(request.membership, request.caller)


def _etag(row: Workspace) -> str:
    return etag(str(row.pk), row.name)


@router.get(
    "/workspaces/{uuid:workspace_id}/members",
    auth=InWorkspace(Permission.VIEW),
    response=MemberPage,
    url_name="members",
    operation_id="list_members",
)
def member_list(
    request: ApiRequest, workspace_id: UUID, limit: int = page_limit(), cursor: str = page_cursor()
) -> MemberPage:
    """Who belongs to the Workspace, by address."""
    rows = Membership.objects.filter(workspace=workspace_id).select_related("user").order_by("user__email")
    rows = rows.filter(cursors.after(cursor, ("user__email", str)))
    found, following = cursors.page(list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.user.email))
    members = [
        MemberOut(
            id=row.user_id, email=row.user.email, name=row.user.name, role=row.role, since=row.created_at
        )
        for row in found
    ]
    return MemberPage(items=members, next=following)


@router.get(
    "/workspaces/{uuid:workspace_id}/invitations",
    auth=InWorkspace(Permission.VIEW),
    response=Invitations,
    url_name="invitations",
    operation_id="list_invitations",
)
def invitation_list(request: ApiRequest, workspace_id: UUID) -> Invitations:
    """The invitations that are not used, by address. At most 100."""
    rows = Invitation.objects.open().with_inviter().filter(workspace=workspace_id)
    return Invitations(
        items=[
            InvitationOut(
                id=row.pk,
                email=row.email,
                role=row.role,
                invited_by=row.inviter_label,
                created_at=row.created_at,
                expires_at=row.expires_at,
                expired=row.is_expired,
                valid=row.is_backed and not row.is_expired,
            )
            for row in rows.order_by("email")
        ]
    )
