"""allauth's forms of second factors, in which a code works once, and which speak our words."""

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as base
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.conf import settings
from django.core.cache import cache

from workspaces.account_forms import InOurWords
from workspaces.models import User

PERIOD_SECONDS = 30  # RFC 6238, and allauth's default
# As long as a code is taken: its own half minute, and those around it. allauth forgets it after the first.
CODE_SECONDS = PERIOD_SECONDS * (2 * settings.MFA_TOTP_TOLERANCE + 1)


def use(user: User, code: str) -> None:
    """Use a code up. Raises ValidationError, as for a wrong one, when it was used before."""
    digits = normalize_user_code(code)
    if not cache.add(f"second-factor:{user.pk}:{digits}", value=True, timeout=CODE_SECONDS):
        raise get_adapter().validation_error("incorrect_code")


class ActivateTOTPForm(InOurWords, totp.ActivateTOTPForm):  # type: ignore[misc]
    """The code that switches an authenticator app on signs no one in."""

    def clean_code(self) -> str:
        """The right code, used up."""
        code = str(super().clean_code())
        use(self.user, code)
        return code


class _UsedOnce:
    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        """The right code, used up when it came from an app; recovery codes are used up by allauth."""
        code = str(super().clean_code())  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            use(self.user, code)
        return code


class AuthenticateForm(_UsedOnce, InOurWords, base.AuthenticateForm):  # type: ignore[misc]
    """The code asked for at sign-in; each counts once."""


class AddPasskeyForm(webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """A passkey or a security key, in our words."""

    passwordless = forms.BooleanField(
        label="Sign in without a password",
        required=False,
        help_text="It then signs you in by itself, and asks for your fingerprint, your face or a PIN.",
    )


class ReauthenticateForm(_UsedOnce, InOurWords, base.ReauthenticateForm):  # type: ignore[misc]
    """To show who it is."""
