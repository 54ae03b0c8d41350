"""Forms of accounts and Workspaces."""

import zoneinfo
from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms

from workspaces.models import Theme


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """allauth's sign-up with our words. E-mail and one password field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = "At least 8 characters. Longer is better."
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class WorkspaceForm(forms.Form):
    """A Workspace's name."""

    name = forms.CharField(
        label="Name",
        max_length=50,
        help_text="Your team sees it. You can change it later.",
        error_messages={
            "required": "Enter a name.",
            "max_length": "Enter a name of at most 50 characters; this one has %(show_value)d.",
        },
    )


class AccountForm(forms.Form):
    """A person's own settings."""

    name = forms.CharField(
        label="Name", max_length=100, required=False, help_text="How your teammates see you."
    )
    theme = forms.ChoiceField(label="Theme", choices=Theme.choices)
    time_zone = forms.ChoiceField(
        label="Time zone", choices=[(zone, zone) for zone in sorted(zoneinfo.available_timezones())]
    )
