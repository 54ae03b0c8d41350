"""Signing a person out of where they, or another person as them, are signed in."""

from allauth.idp.oidc.models import Token as IdentityToken
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from workspaces import audit, hooks
from workspaces.models import ApiToken, User
from workspaces.sign_in import ways

NOT_THEIRS = "It was created before the address of its account was confirmed."


@transaction.atomic
def end_all(*, user: User, but: str = "") -> None:
    """End every session of this person, except the one with the key `but`, those in every Airflow, and what they said
    yes to for a command line or another tool that has not fetched it. The rows go, not only their worth: pages that are
    open now lose their stream with them, and no later change brings one back."""
    rows = UserSession.objects.filter(user=user).exclude(session_key=but)
    Session.objects.filter(session_key__in=list(rows.values_list("session_key", flat=True))).delete()
    rows.delete()
    ways.end_unfetched(user)
    hooks.signed_out(user)


@transaction.atomic
def forget_ways_in(*, user: User) -> None:
    """A person has proved that the address of this account is theirs, which had never been confirmed: another person
    may have made it, and kept a way in. Passkeys and second factors go, and so do API tokens, sign-ins of the command
    line and what other tools were given; password and sessions are for who calls this."""
    User.objects.select_for_update().get(pk=user.pk)  # a sign-in that is being fetched is there to be ended
    ways.end_unfetched(user)
    Authenticator.objects.filter(user=user).delete()
    IdentityToken.objects.filter(user=user).delete()
    live = ApiToken.objects.filter(maker=user, revoked_at__isnull=True)
    live.update(revoked_at=timezone.now(), revoked_reason=NOT_THEIRS)
    audit.record(user, None, "ended every earlier way in of")
