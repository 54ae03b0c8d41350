"""Signing a person out of where they, or another person as them, are signed in."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction

from workspaces import hooks
from workspaces.models import User


@transaction.atomic
def end_all(*, user: User, but: str = "") -> None:
    """End every session of this person, except the one with the key `but`, and those in every Airflow. The rows go,
    not only their worth: pages that are open now lose their stream with them, and no later change brings one back."""
    rows = UserSession.objects.filter(user=user).exclude(session_key=but)
    Session.objects.filter(session_key__in=list(rows.values_list("session_key", flat=True))).delete()
    rows.delete()
    hooks.signed_out(user)
