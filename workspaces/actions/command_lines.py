"""Sign-ins of the command line: a person's own API tokens of a kind of their own. They act as that person, end after 30
days, and for five minutes after the person agreed they may manage API tokens, as the person may in the browser."""

from datetime import datetime, timedelta

from allauth.idp.oidc.models import Client
from django.db import transaction
from django.utils import timezone

from workspaces.actions.tokens import MadeToken, Scope, record_token
from workspaces.models import ApiToken, User
from workspaces.permissions import Role
from workspaces.sign_in.devices import CLIENT
from workspaces.token_access import SIGN_IN

LASTS = timedelta(days=30)
AT_ONCE = 20
MANY = f"There may be {AT_ONCE} sign-ins of the command line at once, and a newer one took its place."


def known() -> None:
    """The command line is a client of our own provider. Made when it is first needed: rows of a migration would be
    gone after the first restored backup without them."""
    Client.objects.get_or_create(
        pk=CLIENT,
        defaults={
            "name": "airdeck, the command line",
            "type": Client.Type.PUBLIC,
            "grant_types": Client.GrantType.DEVICE_CODE.value,
            "scopes": "airdeck",
            "default_scopes": "airdeck",
            "response_types": "none",
        },
    )


@transaction.atomic
def sign_in(*, by: User, device: str, address: str, agreed_at: datetime | None = None) -> MadeToken:
    """Sign in the command line on `device` as this person, who agreed in the console, by default just now: from then on
    count the minutes in which it may manage API tokens. The one before the last 20 ends for it."""
    User.objects.select_for_update().get(pk=by.pk)
    now = timezone.now()
    mine = ApiToken.objects.live().filter(maker=by, kind=SIGN_IN).order_by("-created_at")
    older = list(mine.values_list("pk", flat=True)[AT_ONCE - 1 :])
    ApiToken.objects.filter(pk__in=older).update(revoked_at=now, revoked_reason=MANY)
    made = record_token(
        scope=Scope(None),
        kind=SIGN_IN,
        by=by,
        name=f"airdeck on {device}",
        description=f"The command line, signed in from {address}." if address else "The command line.",
        role=Role.ADMIN,
        expires_at=now + LASTS,
    )
    if agreed_at is not None:
        made.token.created_at = agreed_at
        made.token.save(update_fields=["created_at"])
    return made
