"""How accounts behave: allauth's hooks, each a line over our actions."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from workspaces import actions
from workspaces.models import User, normalise_email


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """One identity per normalised address; a new account gets its personal Workspace in the same transaction."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Sign-up can be closed by configuration; the very first account can always be made."""
        return settings.OPEN_SIGNUP or not User.objects.exists()

    def clean_email(self, email: str) -> str:
        """The address as the identity that it is."""
        return normalise_email(super().clean_email(email))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """The account and its personal Workspace, or neither."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit)
            if commit:
                actions.welcome(user=saved)
        return saved
