"""The company account: sign-in by one OpenID Connect provider that an operator names. allauth speaks to it; here is
what we ask of it. Imported only where there is one, for allauth's tables of such accounts are there only then."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.openid_connect import views
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from requests import RequestException

from console.kit.refusals import ActionRefused
from console.kit.turns import outside
from workspaces.actions import operators, sessions, workspaces
from workspaces.email_addresses import normalize_email
from workspaces.models import User

logger = structlog.get_logger(__name__)


class CompanyAccountAway(ActionRefused):
    """The provider did not answer, or not as it should."""

    code, status = "company_account_away", 503


class CompanyAccountRefused(ActionRefused):
    """The provider answered, and what it says is not enough."""

    code, status = "company_account_refused", 403


class CompanyAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Accounts are joined by a verified address alone, and new ones get what every new account gets."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raises CompanyAccountRefused for a person without a verified address, and for a blocked account."""
        addresses = [each for each in sociallogin.email_addresses if each.verified]
        if not addresses:
            raise CompanyAccountRefused(
                f"{settings.OIDC_NAME} names no verified email address of yours, and Airdeck knows people by that. "
                "Ask its operator to send the claims email and email_verified."
            )
        blocked = User.objects.filter(email=normalize_email(addresses[0].email), is_active=False)
        if blocked.exists() or (sociallogin.is_existing and not sociallogin.user.is_active):
            raise CompanyAccountRefused("This account is blocked. Ask the site administrator.")
        request.by_company_account = True  # type: ignore[attr-defined]  # for `AccountAdapter.pre_login`
        if _joins_unconfirmed(sociallogin):  # allauth ends its password and its sessions
            sessions.forget_ways_in(user=sociallogin.user)
        if sociallogin.is_existing:
            _follow_group(sociallogin.user, sociallogin)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Everybody whom the provider lets in belongs here."""
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """The account and its personal Workspace, or neither."""
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            workspaces.welcome(user=user)
            _follow_group(user, sociallogin)
        return user

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Mapping[str, Any]) -> User:
        """The name as the provider has it."""
        user: User = super().populate_user(request, sociallogin, data)
        user.email = normalize_email(user.email)
        user.name = str(data.get("name") or "")[:100]
        return user

    def on_authentication_error(
        self, request: HttpRequest, provider: object, error: object = None, **more: object
    ) -> None:
        """Raises the sentence for what allauth found wrong."""
        exception = more.get("exception")
        logger.warning("company_account_failed", error=str(error), exception=type(exception).__name__)
        if isinstance(exception, RequestException):
            raise _away()
        raise CompanyAccountRefused(f"The sign-in with {settings.OIDC_NAME} was not finished. Try again.")


def _joins_unconfirmed(sociallogin: SocialLogin) -> bool:
    """Whether this sign-in is about to join an account that was found by an address which it never confirmed."""
    email = sociallogin._did_authenticate_by_email
    if not email or sociallogin.state.get("process") != AuthProcess.LOGIN:
        return False
    return not EmailAddress.objects.filter(user=sociallogin.user, email__iexact=email, verified=True).exists()


def _follow_group(user: User, sociallogin: SocialLogin) -> None:
    """Site administration as the provider's group says, where an operator named one."""
    if not settings.OIDC_ADMIN_GROUP:
        return
    claim, data = settings.OIDC_GROUPS_CLAIM, sociallogin.account.extra_data
    parts = [part for part in (data.get("userinfo"), data.get("id_token")) if isinstance(part, dict)]
    groups: Any = next((part[claim] for part in parts if claim in part), [])
    names = [groups] if isinstance(groups, str) else list(groups or ())
    operators.follow_group(user=user, belongs=settings.OIDC_ADMIN_GROUP in names)


def _away() -> CompanyAccountAway:
    other = "" if settings.OIDC_ONLY else " You can sign in with your password until it does."
    return CompanyAccountAway(f"{settings.OIDC_NAME} does not answer. Try again in a minute.{other}")


def _guarded(view: Callable[..., HttpResponse], request: HttpRequest, provider_id: str) -> HttpResponse:
    try:
        with outside():  # a provider that hangs keeps no one else waiting
            return view(request, provider_id)
    except (RequestException, KeyError, ValueError, TypeError) as error:
        logger.warning("company_account_failed", exception=type(error).__name__)
        raise _away() from error


def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the person to the provider."""
    return _guarded(views.login, request, provider_id)


def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """The provider sends the person back to here."""
    return _guarded(views.callback, request, provider_id)
