"""How accounts behave: allauth's hooks, each a line over our actions."""

import smtplib
from collections.abc import Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as allauth_context
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.models import Client
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from console.kit import crypto
from console.kit.http import see_other
from console.kit.turns import outside
from workspaces import hooks
from workspaces.actions import sessions, workspaces
from workspaces.email_addresses import normalize_email
from workspaces.invitation_lookup import followed_link
from workspaces.models import User
from workspaces.sign_in import known_browsers, limits, ways
from workspaces.sign_in.onward import onward

logger = structlog.get_logger(__name__)

LINK_SENT = "account/messages/email_confirmation_sent.txt"
KEPT_HERE = (
    "No mail server is set, so the link stays on this machine: a site administrator finds it at /mail/."
)


@cache
def say_that_proxies_differ() -> None:
    """Once in each process: a stranger may send such a header, too."""
    logger.warning(
        "proxies_differ",
        problem="X-Forwarded-For does not name as many addresses as TRUSTED_PROXY_COUNT says, so limits of sign-in "
        "count the proxy's address for everybody.",
    )


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """One identity per normalised address; a new account gets its personal Workspace in the same transaction."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Sign-up can be closed by configuration; an invitation, and the very first account, open it all the same."""
        if settings.OIDC_ONLY:
            return False
        return settings.OPEN_SIGNUP or followed_link(request) is not None or not User.objects.exists()

    def get_client_ip(self, request: HttpRequest) -> str:
        """Behind as many proxies as are trusted; else the peer's, as of a request that came past one. Where the
        settings count one too many, allauth would let no one sign in."""
        try:
            return str(super().get_client_ip(request))
        except (ImproperlyConfigured, PermissionDenied):
            say_that_proxies_differ()
            peer = str(request.META.get("REMOTE_ADDR", ""))
            if not peer:
                raise PermissionDenied("The request names no address.") from None
            return peer

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Who comes by the link in an invitation's mail has proved to read it. The link that an Admin copied proves
        nothing."""
        found = followed_link(request)
        proved = found is not None and found.proves_address and found.invitation.email == email
        return proved or super().is_email_verified(request, email)

    def clean_email(self, email: str) -> str:
        """The address as the identity that it is."""
        return normalize_email(super().clean_email(email))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """The account and its personal Workspace, or neither. Raises SignupClosed."""
        with transaction.atomic():
            workspaces.admit(invited=followed_link(request) is not None)
            saved: User = super().save_user(request, user, form, commit)
            if commit:
                workspaces.welcome(user=saved)
        return saved

    def get_login_stages(self) -> list[str]:
        """allauth's, with ours in place of its own about the address."""
        theirs = "allauth.account.stages.EmailVerificationStage"
        return [
            "workspaces.sign_in.stages.ConfirmFirst" if s == theirs else s for s in super().get_login_stages()
        ]

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the try; see `sign_in.limits`."""
        if settings.OIDC_ONLY:
            raise self.validation_error("invalid_login")
        counted = limits.count(request, str(credentials.get("email", "")))
        if counted is None:
            raise self.validation_error("too_many_login_attempts")
        self._login_failed_rl_usage = counted  # allauth rolls it back when the password is right

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """allauth calls it after a reset by mail."""
        limits.forgive(request, str(credentials.get("email", "")))

    def pre_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse | None:
        """Where the company account is the only way in, no other one is: neither passwords nor passkeys."""
        if settings.OIDC_ONLY and not getattr(request, "by_company_account", False):
            messages.error(request, f"Sign in with {settings.OIDC_NAME}. There is no other way in here.")
            return see_other(reverse("account_login"))
        response: HttpResponse | None = super().pre_login(request, user, **more)
        return response

    def post_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse:
        """Signed in: this browser is known from now on."""
        response = onward(request, super().post_login(request, user, **more))
        known_browsers.remember(request, response, user)
        return response

    def logout(self, request: HttpRequest) -> None:
        """Sign out here, and of every Airflow that was opened from here."""
        user = request.user
        super().logout(request)
        if isinstance(user, User):
            hooks.signed_out(user)

    def set_password(self, user: User, password: str) -> None:
        """A person who knew the one before is out, here and in every Airflow; the browser that sets the new is not."""
        session = getattr(allauth_context.request, "session", None)
        with transaction.atomic():
            super().set_password(user, password)
            sessions.end_all(user=user, but=(session and session.session_key) or "")

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """allauth's sentences, but no one is sent to a mailbox where mail stays on this machine: who signs up there is
        in already, and others are led to where it is."""
        if message_template == LINK_SENT and settings.MAIL_IS_KEPT:
            if request.path == reverse("account_signup"):
                return
            message = KEPT_HERE
        super().add_message(request, level, message_template, message_context, extra_tags, message)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send, with links to BASE_URL; a mail server that is away costs the mail and a sentence, never the page."""
        try:
            with outside():  # a mail server that hangs keeps no other person waiting
                super().send_mail(template_prefix, email, _at_base_url(context))
        except (OSError, smtplib.SMTPException) as error:
            logger.warning("account_mail_failed", template=template_prefix, error=type(error).__name__)
            if allauth_context.request is not None:
                messages.warning(
                    allauth_context.request,
                    "The mail server does not answer, so no mail was sent. Try again later.",
                )


def _at_base_url(context: dict[str, Any]) -> dict[str, Any]:
    """What a mail is rendered with, its links led to our own address: allauth makes them of the request's Host, which
    the person who asks for the mail chooses."""
    request = allauth_context.request
    found = {
        **context,
        "current_site": SimpleNamespace(name="Airdeck", domain=urlsplit(settings.BASE_URL).netloc),
    }
    if request is not None:
        asked = request.get_host()
        for name, value in context.items():
            parts = urlsplit(value) if isinstance(value, str) and "://" in value else None
            if parts is not None and parts.netloc == asked:
                found[name] = urljoin(f"{settings.BASE_URL}/", urlunsplit(("", "", *parts[2:])).lstrip("/"))
    return found


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    """Ending a session on the page of sessions."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """Also in every Airflow that was opened from it; a command line or a tool that was agreed to in it and has not
        fetched that yet is not signed in."""
        ended = list(sessions)
        super().end_sessions(ended)
        for user in {session.user for session in ended}:
            ways.end_unfetched(user)
            hooks.signed_out(user)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors at rest are encrypted with the console's keys."""

    def encrypt(self, text: str) -> str:
        """Seal the secret of an authenticator app, or the seed of recovery codes."""
        return crypto.encrypt(text, context="second-factor").decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """What a new key is called until its owner names it."""
        return f"Key {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def decrypt(self, encrypted_text: str) -> str:
        """Open it again. Raises crypto.DecryptionError."""
        return crypto.decrypt(encrypted_text.encode(), context="second-factor")


class ProviderAdapter(DefaultOIDCAdapter):  # type: ignore[misc]
    """The console as an OpenID provider."""

    def get_issuer(self) -> str:
        """Our own address, whatever Host a request names."""
        return str(settings.BASE_URL)

    def get_claims(
        self, purpose: str, user: User, client: Client, scopes: Iterable[str], **more: Any
    ) -> dict[str, Any]:
        """allauth's, with the one name and the one address that people have here."""
        claims: dict[str, Any] = super().get_claims(purpose, user, client, scopes, **more)
        if "profile" in scopes and user.name:
            claims["name"] = user.name
        if "email" in scopes and "email" not in claims:  # an account that an operator made by command
            claims |= {"email": user.email, "email_verified": False}
        return claims

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        """What we do: codes alone, and no signing out by other tools."""
        data.pop("end_session_endpoint", None)
        data["response_types_supported"] = ["code"]
        data["grant_types_supported"] = ["authorization_code", "refresh_token"]
