"""How accounts behave: allauth's hooks, each a line over our actions."""

import smtplib
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as allauth_context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest

from console.kit import crypto
from workspaces.actions import workspaces
from workspaces.invitation_lookup import followed_link
from workspaces.models import User, normalise_email

logger = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """One identity per normalised address; a new account gets its personal Workspace in the same transaction."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Sign-up can be closed by configuration; an invitation, and the very first account, open it all the same."""
        return settings.OPEN_SIGNUP or followed_link(request) is not None or not User.objects.exists()

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Who comes by the link in an invitation's mail has proved to read it. The link that an Admin copied proves
        nothing."""
        found = followed_link(request)
        proved = found is not None and found.proves_address and found.invitation.email == email
        return proved or super().is_email_verified(request, email)

    def clean_email(self, email: str) -> str:
        """The address as the identity that it is."""
        return normalise_email(super().clean_email(email))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """The account and its personal Workspace, or neither."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit)
            if commit:
                workspaces.welcome(user=saved)
        return saved

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send; a mail server that is away costs the mail and a sentence, never the page."""
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, smtplib.SMTPException) as error:
            logger.warning("account_mail_failed", template=template_prefix, error=type(error).__name__)
            if allauth_context.request is not None:
                messages.warning(
                    allauth_context.request,
                    "The mail server does not answer, so no mail was sent. Try again later.",
                )


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors at rest are encrypted with the console's keys."""

    def encrypt(self, text: str) -> str:
        """Seal the secret of an authenticator app, or the seed of recovery codes."""
        return crypto.encrypt(text, context="second-factor").decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open it again. Raises crypto.DecryptionError."""
        return crypto.decrypt(encrypted_text.encode(), context="second-factor")
