"""The way in for programs: from the value of an API token to who acts, with which role, and where.

Every request asks the row: a revoked token is refused on the next one. A token never has more than its maker has now.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404
from django.utils import timezone

from console.kit.refusals import ActionRefused
from workspaces import hooks, token_values
from workspaces.access import MissingPermission, WorkspaceSuspended, membership_of, require
from workspaces.acting import ActingToken
from workspaces.models import ApiToken, Membership, User
from workspaces.permissions import NEVER_BY_TOKEN, ONLY_WITH_ITS_PERSON, Permission, least

USED_EVERY = timedelta(minutes=1)  # how exactly it is known when a token was last used
SIGN_IN = "s"  # the kind of token that the command line gets when a person signs it in
# For so long after that the person counts as being there, as after typing the password in the browser.
PRESENT = timedelta(minutes=5)

SUSPENDED = (
    "The site administrator suspended this Workspace: everything in it can be seen and keeps running, but nothing can "
    "be changed. Ask the site administrator to resume it."
)


class NotAuthenticated(ActionRefused):
    """No token, or one that is not valid any more. Each says by its own code why."""

    code, status = "not_authenticated", 401

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class NotByToken(ActionRefused):
    """Something that no token may do, or not this one. Each says by its own code why."""

    code, status = "not_by_token", 403

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


_NEVER = {
    Permission.MANAGE_MEMBERS: "Members and invitations",
    Permission.TRANSFER_DEPLOYMENT: "Transfers",
    Permission.DELETE_WORKSPACE: "Deleting a Workspace",
    Permission.REVEAL_CREDENTIAL: "Passwords",
}


@dataclass(frozen=True)
class Caller:
    """Who asks with a token. `membership` is loaded for a token of a Workspace, with the role that counts now."""

    token: ApiToken
    user: User
    membership: Membership | None

    @property
    def acting(self) -> ActingToken:
        """The token as it is named."""
        return ActingToken(self.token.pk, self.token.name)

    @property
    def content_id(self) -> UUID | None:
        """The only content that it may reach; None for all."""
        return self.token.content_id

    def membership_in(self, workspace_id: UUID) -> Membership:
        """The maker's membership there, with the role that counts for this token. Raises Http404 where it may not
        look."""
        if self.membership is not None:
            if self.membership.workspace_id != workspace_id:
                raise Http404
            return self.membership
        return _capped(self.token, membership_of(self.user, workspace_id))

    def require_presence(self) -> None:
        """API tokens are managed by people: in the console, or with a command line that they signed in just now.
        Raises NotByToken."""
        if self.token.kind != SIGN_IN:
            raise NotByToken(
                "never_by_token",
                "API tokens cannot be managed with an API token. Sign in to the console and do it there, or with "
                "airdeck login.",
            )
        if timezone.now() - self.token.created_at > PRESENT:
            raise NotByToken(
                "sign_in_again",
                f"Managing API tokens needs a sign-in within the last {PRESENT.seconds // 60} minutes. "
                "Run: airdeck login",
            )

    def require(self, membership: Membership, permission: Permission) -> None:
        """Raises NotByToken for what this token may not do, and as `access.require`. What tokens may do at all is said
        in `permissions`."""
        if permission in NEVER_BY_TOKEN:
            what = _NEVER[permission]
            raise NotByToken(
                "never_by_token",
                f"{what} cannot be managed with an API token. Sign in to the console and do it there.",
            )
        if permission in ONLY_WITH_ITS_PERSON and self.token.kind != SIGN_IN:
            self.require_presence()
        require(membership, permission)
        if permission in ONLY_WITH_ITS_PERSON:
            self.require_presence()


def denial(error: PermissionDenied) -> tuple[str, str]:
    """The code and the sentence of a 403."""
    if isinstance(error, MissingPermission):
        who = " or ".join(error.who())
        can = f" {who} can grant it." if who else ""
        return "missing_right", f"This needs the role {error.needed_role.label} in this Workspace.{can}"
    if isinstance(error, WorkspaceSuspended):
        return "workspace_suspended", SUSPENDED
    return "not_allowed", "This is not allowed."


def authenticate(value: str) -> Caller:
    """Who has this token. Two queries for one of a Workspace, one for a person's own; none for what is no token. Raises
    NotAuthenticated, and NotByToken when its maker left."""
    if not token_values.is_sound(value):
        raise NotAuthenticated(
            "token_malformed",
            "This is not an API token of Airdeck, or a part of it is missing. Copy it again.",
        )
    found = ApiToken.objects.select_related("maker").filter(digest=token_values.digest(value)).first()
    if found is None:
        raise NotAuthenticated(
            "token_unknown", "This API token is unknown here. Check that it is of this console."
        )
    user = _usable(found)
    if found.workspace_id is None:
        return Caller(found, user, None)
    members = Membership.objects.select_related("workspace")
    membership = members.filter(workspace=found.workspace_id, user=user).first()
    if membership is None:
        raise _maker_left()
    return Caller(found, user, _capped(found, membership))


def _usable(token: ApiToken) -> User:
    if token.revoked_at is not None:
        why = f" {token.revoked_reason}" if token.revoked_reason else ""
        raise NotAuthenticated("token_revoked", f"This API token was revoked.{why} Make a new one.")
    if token.is_expired:
        raise NotAuthenticated("token_expired", "This API token has expired. Rotate it, or make a new one.")
    if token.maker is None:
        raise _maker_left()
    if not token.maker.is_active:
        raise NotAuthenticated(
            "account_blocked", "The account behind this API token is blocked. Ask a site administrator."
        )
    return token.maker


def _maker_left() -> NotByToken:
    return NotByToken(
        "maker_left",
        "The person who created this API token has left the Workspace. An Admin can take it over by rotating it.",
    )


def _capped(token: ApiToken, membership: Membership) -> Membership:
    """Of the token's role and its maker's the smaller one counts. Not saved."""
    membership.role = least(token.role, membership.role)
    return membership


def content_gone(token: ApiToken) -> NotAuthenticated:
    """Why a token of something that was deleted, or moved to another Workspace, is worth nothing."""
    label = hooks.content_of(token.content_kind).label
    return NotAuthenticated(
        "content_gone",
        f"The {label} of this API token was deleted, or moved to another Workspace. Create a token for what there is.",
    )


def is_content_there(token: ApiToken) -> bool:
    """Whether what the token is limited to is still in its Workspace; True without a limit. One query."""
    if token.content_id is None or token.workspace_id is None:
        return True
    return hooks.content_of(token.content_kind).find(token.workspace_id, token.content_id) is not None


def note_use(caller: Caller, ip: str) -> None:
    """Remember that the token was used, at most once a minute. One query, or none."""
    last = caller.token.last_used_at
    if last is not None and timezone.now() - last < USED_EVERY:
        return
    rows = ApiToken.objects.filter(pk=caller.token.pk).filter(
        Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - USED_EVERY)
    )
    rows.update(last_used_at=Now(), last_used_ip=ip[:45])
