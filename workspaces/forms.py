"""Forms of accounts, Workspaces and their people."""

import re
import zoneinfo
from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.kit import names
from workspaces.account_forms import InOurWords
from workspaces.actions.workspaces import (
    NAME_LENGTH,
    PERSON_NAME_LENGTH,
    WRONG_THEME,
    WRONG_ZONE,
    SignupClosed,
    person_name,
)
from workspaces.email_addresses import normalize_email
from workspaces.invitation_lookup import followed_link
from workspaces.models import Theme
from workspaces.permissions import ROLES, Role


class SignupForm(InOurWords, AllauthSignupForm):  # type: ignore[misc]
    """allauth's sign-up with our words. Email and one password field. Who follows an invitation signs up with the
    address that was invited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = "Password"
        found = followed_link(context.request)
        self.invited = found.invitation.email if found else None
        if self.invited:
            self.fields["email"].initial = self.invited
            self.fields["email"].widget.attrs["readonly"] = True

    def clean_email(self) -> str:
        """The address; of an invitation, the one that was invited."""
        email = normalize_email(self.cleaned_data["email"])
        if self.invited and email != self.invited:
            raise ValidationError(f"This invitation is for {self.invited}. Sign up with that address.")
        return str(super().clean_email())

    def try_save(self, request: HttpRequest) -> tuple[Any, HttpResponse | None]:
        """allauth's, for who was too late by an instant: another person made the first account in the meantime."""
        try:
            return super().try_save(request)  # type: ignore[no-any-return]
        except SignupClosed:
            return None, render(request, "account/signup_closed.html")


class LoginForm(InOurWords, AllauthLoginForm):  # type: ignore[misc]
    """allauth's sign-in, by the address as the identity that it is, however it is typed. Its page offers sign-up only
    to whom it would let in."""

    def clean_login(self) -> str:
        """The address as it is stored."""
        return normalize_email(super().clean_login())

    @property
    def signup_is_open(self) -> bool:
        """Whether the person who looks at this form may make an account."""
        return bool(get_adapter().is_open_for_signup(context.request))


class NameField(forms.CharField):
    """A name by the rule for all names (`console.kit.names`), which also says the length."""

    def __init__(self, *, longest: int, **settings: Any) -> None:
        super().__init__(label="Name", strip=False, **settings)
        self.longest = longest
        self.widget.attrs["maxlength"] = longest

    def to_python(self, value: Any) -> str:
        """The name as it is stored; "" of nothing."""
        text = super().to_python(value) or ""
        if not text.strip():
            return ""
        try:
            return names.clean(text, longest=self.longest)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class WorkspaceForm(forms.Form):
    """A Workspace's name."""

    name = NameField(
        longest=NAME_LENGTH,
        help_text="Your team sees it. You can change it later.",
        error_messages={"required": names.EMPTY},
    )


class AccountForm(forms.Form):
    """A person's own settings."""

    name = NameField(longest=PERSON_NAME_LENGTH, required=False, help_text="How your teammates see you.")
    theme = forms.ChoiceField(
        label="Theme", choices=Theme.choices, error_messages={"invalid_choice": WRONG_THEME}
    )
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=[(zone, zone) for zone in sorted(zoneinfo.available_timezones())],
        error_messages={"invalid_choice": WRONG_ZONE},
    )

    def clean_name(self) -> str:
        """The name, by the rule of the action."""
        try:
            return person_name(self.cleaned_data["name"])
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ConfirmForm(forms.Form):
    """Typing something to show that it is meant."""

    confirm = forms.CharField(
        required=False, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )

    def __init__(self, data: Mapping[str, Any] | None, *, label: str, expected: str, sentence: str) -> None:
        super().__init__(data)
        self.fields["confirm"].label = label
        self.expected, self.sentence = expected, sentence

    def clean_confirm(self) -> str:
        """What is shown, however its blanks and letters are composed."""
        text = str(self.cleaned_data["confirm"])
        if not names.same(text, self.expected):
            raise ValidationError(self.sentence)
        return text


class MemberFilterForm(forms.Form):
    """The filter bar over members."""

    q = forms.CharField(
        label="Name or email",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    role = forms.ChoiceField(
        label="Role", required=False, choices=[("", "Any"), *((r.value, r.label) for r in Role)]
    )

    def values(self) -> dict[str, str]:
        """What is asked for; what is not valid asks for nothing."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=[(r.value, r.label) for r in Role])


ADDRESSES_PER_FORM = 50  # as many as one page can answer for, one by one


class InviteForm(forms.Form):
    """Several addresses and one role."""

    addresses = forms.CharField(
        label="Email addresses",
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text=f"One on each line, or with commas between them. At most {ADDRESSES_PER_FORM} at once.",
        error_messages={"required": "Enter at least one email address."},
    )
    role = forms.ChoiceField(
        label="Role",
        initial=Role.MEMBER.value,
        widget=forms.RadioSelect,
        choices=[(r.value, f"{r.label}\n{about.sentence}") for r, about in ROLES.items()],
        error_messages={"required": "Choose a role.", "invalid_choice": "Choose a role from the list."},
    )

    def clean_addresses(self) -> list[str]:
        """Normalised addresses, each once, in the order given. "Ada <ada@example.org>" is taken apart."""
        parts = [part.strip() for part in re.split(r"[\n,;]+", self.cleaned_data["addresses"])]
        found = {part: normalize_email(parseaddr(part)[1] if "<" in part else part) for part in parts if part}
        addresses = list(dict.fromkeys(found.values()))
        wrong = [part for part, address in found.items() if not _is_address(address)]
        if wrong:
            shown = ", ".join(f"“{part[:60]}”" for part in wrong[:5])
            raise ValidationError(f"Check {shown}: enter addresses like name@example.org.")
        if not addresses:
            raise ValidationError("Enter at least one email address.")
        if len(addresses) > ADDRESSES_PER_FORM:
            raise ValidationError(
                f"Enter at most {ADDRESSES_PER_FORM} addresses; these are {len(addresses)}."
            )
        return addresses


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254
