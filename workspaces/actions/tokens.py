"""API tokens: what Admins do to those of a Workspace, and people to their own. Atomic, explicit actor, audit event in
the same transaction. A value is known to the call that makes it, and nowhere later."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from console.kit import names
from console.kit.refusals import ActionRefused, InvalidInput
from workspaces import audit, hooks, token_values
from workspaces.actions.locks import lock_for
from workspaces.models import NOT_MAILED, ApiToken, ApiTokenQuerySet, User, Workspace
from workspaces.permissions import Permission, Role, least
from workspaces.token_access import SIGN_IN

PERSONAL = "u"  # the kind of a token that is mailed about once it has a value: it acts wherever its owner may
PER_SCOPE, PER_PERSON = 100, 20
NAME_LENGTH, DESCRIPTION_LENGTH = 256, 500
DAYS, DEFAULT_DAYS = (1, 3650), 90
CONTENT_ROLES = (Role.MEMBER, Role.EDITOR)  # of a token that is limited to one content
WRONG_ROLE = "Choose a role from the list; a token has at most the role of the person who makes it."
WRONG_DAYS = f"Enter a whole number of days from {DAYS[0]} to {DAYS[1]}, or leave it empty for never."
LISTED_AFTER_END = timedelta(days=30)


class TooManyTokens(ActionRefused):
    """The scope has as many live tokens as it may have."""

    code = "too_many_tokens"


class TokenGone(ActionRefused):
    """Revoked already, or another person's."""

    code, status = "token_gone", 404

    def __init__(self) -> None:
        super().__init__("This API token was revoked already.")


class NotRotated(ActionRefused):
    """A sign-in of the command line has no other value."""

    code = "not_rotated"

    def __init__(self) -> None:
        super().__init__("A sign-in of the command line is not rotated: run airdeck login there again.")


@dataclass(frozen=True)
class TokenWish:
    """A token as it is asked for. `days` until it expires, None for never."""

    name: str
    description: str
    role: Role
    days: int | None = DEFAULT_DAYS

    def problems(self, roles: tuple[Role, ...]) -> Mapping[str, str]:
        """What is wrong with it, by field."""
        found = {}
        try:
            names.clean(self.name, longest=NAME_LENGTH)
        except ValueError as error:
            found["name"] = str(error)
        if len(self.description) > DESCRIPTION_LENGTH:
            found["description"] = f"Enter at most {DESCRIPTION_LENGTH} characters."
        if self.role not in roles:
            found["role"] = WRONG_ROLE
        if self.days is not None and not DAYS[0] <= self.days <= DAYS[1]:
            found["days"] = WRONG_DAYS
        return found


@dataclass(frozen=True)
class MadeToken:
    """A token, and its value: the only time that it is known."""

    token: ApiToken
    value: str = field(repr=False)


@dataclass(frozen=True)
class Scope:
    """To what tokens belong: a Workspace, one content of it, or (neither) the person who acts."""

    workspace: Workspace | None = None
    content_kind: str = ""
    content: hooks.Content | None = None

    @property
    def letter(self) -> str:
        """The kind in a token's value."""
        if self.workspace is None:
            return PERSONAL
        return hooks.content_of(self.content_kind).token_letter if self.content else "w"

    def rows(self, by: User) -> ApiTokenQuerySet:
        """All of its tokens, also those that ended."""
        if self.workspace is None:
            return ApiToken.objects.filter(workspace__isnull=True, maker=by)
        pk = self.content.pk if self.content else None
        if pk is None:
            return ApiToken.objects.filter(workspace=self.workspace, content_id__isnull=True)
        return ApiToken.objects.filter(workspace=self.workspace, content_id=pk)

    def roles(self, own: str) -> tuple[Role, ...]:
        """What a token of it may be given by a person with the role `own`, smallest first."""
        offered = CONTENT_ROLES if self.content else tuple(Role)
        return tuple(role for role in offered if least(role, own) is role)


def listed(scope: Scope, by: User) -> ApiTokenQuerySet:
    """Those that a page shows: live ones, and those whose time ended within 30 days."""
    since = timezone.now() - LISTED_AFTER_END
    rows = scope.rows(by).filter(revoked_at__isnull=True).exclude(expires_at__lt=since)
    return rows.select_related("maker").order_by("-created_at")


@transaction.atomic
def make(*, scope: Scope, by: User, wish: TokenWish) -> MadeToken:
    """A new token. Raises InvalidInput, TooManyTokens, or as `locks.lock_for`."""
    own = _hold(scope, by)
    if problems := wish.problems(scope.roles(own)):
        raise InvalidInput(problems)
    limit = PER_PERSON if scope.workspace is None else PER_SCOPE
    if scope.rows(by).live().exclude(kind=SIGN_IN).count() >= limit:
        raise TooManyTokens(f"There are {limit} API tokens already. Revoke one first.")
    return record_token(
        scope=scope,
        kind=scope.letter,
        by=by,
        name=names.clean(wish.name, longest=NAME_LENGTH),
        description=wish.description.strip(),
        role=wish.role,
        expires_at=_end(wish.days),
    )


def record_token(
    *, scope: Scope, kind: str, by: User, name: str, description: str, role: Role, expires_at: datetime | None
) -> MadeToken:
    """The row and its audit event, for actions that have judged. In their transaction."""
    value = token_values.mint(kind)
    token = ApiToken.objects.create(
        kind=kind,
        workspace=scope.workspace,
        content_kind=scope.content_kind if scope.content else "",
        content_id=scope.content.pk if scope.content else None,
        maker=by,
        maker_label=by.email,
        name=name,
        description=description,
        role=role,
        expires_at=expires_at,
        warned_days=NOT_MAILED if kind == PERSONAL else None,
        **_secret(value),
    )
    audit.record(token, by, "created", new={"role": token.role, "expires": _day(token.expires_at)})
    return MadeToken(token, value)


@transaction.atomic
def rotate(*, scope: Scope, by: User, pk: UUID) -> MadeToken:
    """A new value; the old one dies with this transaction, and the person who rotates it is its maker from now on. It
    lasts as long again as it was to last. Raises TokenGone, NotRotated, and as `make`."""
    own = _hold(scope, by)
    token = _locked(scope, by, pk)
    if token.kind == SIGN_IN:
        raise NotRotated
    value = token_values.mint(scope.letter)
    lasted = token.expires_at - (token.rotated_at or token.created_at) if token.expires_at else None
    now = timezone.now()
    for name, each in _secret(value).items():
        setattr(token, name, each)
    token.role = least(token.role, own)
    token.maker, token.maker_label, token.rotated_at = by, by.email, now
    token.expires_at = now + lasted if lasted else None
    token.warned_days = NOT_MAILED if token.kind == PERSONAL else None
    token.save()
    audit.record(token, by, "rotated", new={"expires": _day(token.expires_at)})
    return MadeToken(token, value)


@transaction.atomic
def revoke(*, scope: Scope, by: User, pk: UUID) -> ApiToken:
    """It is refused from the next request on. Raises TokenGone, and as `locks.lock_for`."""
    _hold(scope, by)
    token = _locked(scope, by, pk)
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    audit.record(token, by, "revoked", old={"role": token.role})
    return token


@transaction.atomic
def revoke_exposed(value: str) -> bool:
    """A token stood where logs and histories keep it: revoke it. Whether it was live. Airdeck itself acts."""
    digest = token_values.digest(value)
    token = ApiToken.objects.select_for_update().filter(digest=digest, revoked_at__isnull=True).first()
    if token is None:
        return False
    token.revoked_at = timezone.now()
    token.revoked_reason = "It stood in the address of a request, where logs keep it."
    token.save(update_fields=["revoked_at", "revoked_reason"])
    audit.record(token, None, "revoked", new={"reason": token.revoked_reason})
    return True


@transaction.atomic
def sign_out(*, token: ApiToken, by: User) -> None:
    """A token ends itself, whatever kind it is: who has it can do no harm with that. A repeat does nothing."""
    rows = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True)
    if rows.update(revoked_at=timezone.now(), revoked_reason="It was signed out."):
        audit.record(token, by, "revoked", old={"role": token.role})


def personal_die(user: User) -> None:
    """Those of a person end with the account. Inside the transaction that deletes it."""
    ApiToken.objects.filter(workspace__isnull=True, maker=user).delete()


def made_by(workspace: Workspace, user_id: int) -> int:
    """How many live tokens of the Workspace a person made: they rest when that person leaves."""
    return ApiToken.objects.live().filter(workspace=workspace, maker_id=user_id).count()


def _hold(scope: Scope, by: User) -> str:
    """Lock what is changed; the role of the actor."""
    if scope.workspace is None:
        User.objects.select_for_update().get(pk=by.pk)
        return Role.ADMIN  # of one's own everything that one has: the maker's role caps it at use
    lock_for(scope.workspace.pk, by, Permission.MANAGE_TOKENS)
    return Role.ADMIN  # who may manage tokens is Admin


def _locked(scope: Scope, by: User, pk: UUID) -> ApiToken:
    token = scope.rows(by).select_for_update(of=("self",)).filter(pk=pk, revoked_at__isnull=True).first()
    if token is None:
        raise TokenGone
    return token


def _secret(value: str) -> dict[str, str]:
    return {"digest": token_values.digest(value), "beginning": value[: token_values.SHOWN]}


def _end(days: int | None) -> datetime | None:
    return timezone.now() + timedelta(days=days) if days is not None else None


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"
