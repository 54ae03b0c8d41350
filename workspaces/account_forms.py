"""allauth's forms of an account, in our words: labels in sentence case, no placeholder that repeats its label, one
sentence about what a password must be."""

from typing import Any

from allauth.account import forms
from django.forms import Field

LABELS = {"oldpassword": "Current password", "password1": "New password", "password2": "New password again"}
PASSWORD_HELP = "At least 8 characters. Longer is better."  # noqa: S105 - a sentence


class InOurWords:
    """Put before a form of allauth's. The placeholders are its own: ours are examples."""

    fields: dict[str, Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)
        if "password1" in self.fields:
            self.fields["password1"].help_text = PASSWORD_HELP


class ChangePasswordForm(InOurWords, forms.ChangePasswordForm):  # type: ignore[misc]
    """Change the password; asks for the present one."""


class SetPasswordForm(InOurWords, forms.SetPasswordForm):  # type: ignore[misc]
    """The first password of an account that had none."""


class ResetPasswordForm(InOurWords, forms.ResetPasswordForm):  # type: ignore[misc]
    """Ask for a link."""


class ResetPasswordKeyForm(InOurWords, forms.ResetPasswordKeyForm):  # type: ignore[misc]
    """Follow that link."""


class AddEmailForm(InOurWords, forms.AddEmailForm):  # type: ignore[misc]
    """Add an email address to the account."""


class ReauthenticateForm(InOurWords, forms.ReauthenticateForm):  # type: ignore[misc]
    """To show who it is."""
