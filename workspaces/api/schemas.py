"""What endpoints of people and Workspaces answer. A field is added, never taken away or narrowed."""

from datetime import datetime
from uuid import UUID

from ninja import Schema


class Named(Schema):
    """A thing by its id and its name."""

    id: UUID
    name: str


class WorkspaceOut(Named):
    """A Workspace. `role` is what this token may do in it now."""

    role: str
    suspended: bool
    created_at: datetime
    url: str


class WorkspacePage(Schema):
    """A page of a list."""

    items: list[WorkspaceOut]
    next: str | None


class TokenOut(Schema):
    """The token that asks."""

    name: str
    kind: str
    beginning: str
    role: str
    expires_at: datetime | None
    workspace: Named | None
    limited_to: UUID | None


class MeOut(Schema):
    """Who acts."""

    email: str
    name: str
    token: TokenOut


class MemberOut(Schema):
    """A member of a Workspace."""

    id: int
    email: str
    name: str
    role: str
    since: datetime


class MemberPage(Schema):
    """A page of a list."""

    items: list[MemberOut]
    next: str | None


class InvitationOut(Schema):
    """An invitation that is still open, or has expired and may be sent again. It is not `valid` either when who sent
    it may no longer invite people."""

    id: UUID
    email: str
    role: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    expired: bool
    valid: bool


class Invitations(Schema):
    """All pending invitations: at most 100."""

    items: list[InvitationOut]


class TokenRow(Schema):
    """An API token as lists have it: never its value."""

    id: UUID
    name: str
    description: str
    beginning: str
    role: str
    kind: str
    made_by: str
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None
    expired: bool


class TokenList(Schema):
    """All of them: at most a few hundred."""

    items: list[TokenRow]


class MadeToken(Schema):
    """A new token, and its value: no one can ask for that again."""

    token: TokenRow
    value: str
