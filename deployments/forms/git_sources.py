"""The form of a Git source. It judges the shape; the rules are `domain.git_rules`', asked by the action. A token that
was typed is never sent back, not even beside an error."""

from typing import Any

from django import forms

from deployments.actions.git_sources import GitSourceWish
from deployments.domain import git_rules
from deployments.domain.git_address import ADDRESS_LENGTH
from deployments.forms.fields import OfferedFieldsForm
from deployments.models import GitSource

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "class": "mono"}
_LOW, _HIGH = git_rules.EVERY_MINUTES
_EVERY = f"Enter {_LOW} to {_HIGH:,} minutes, or nothing for never."
_AGAIN = "Enter the token again: a secret is never sent back."


def _text(length: int, example: str) -> forms.TextInput:
    return forms.TextInput(attrs={**_PLAIN, "maxlength": length, "placeholder": example})


class GitSourceForm(OfferedFieldsForm):
    """Which branch is followed, and how."""

    address = forms.CharField(
        label="Address",
        help_text="As your Git host shows it for cloning: https://…, ssh://… or git@host:path.",
        widget=_text(ADDRESS_LENGTH, "https://github.com/acme/dags.git"),
        error_messages={"required": "Enter the address of the repository."},
    )
    branch = forms.CharField(
        label="Branch",
        initial="main",
        widget=_text(git_rules.BRANCH_LENGTH, "main"),
        error_messages={"required": "Enter a branch, for instance main."},
    )
    subfolder = forms.CharField(
        label="Subfolder",
        required=False,
        help_text="The folder whose content is the DAGs folder. Empty for the whole repository.",
        widget=_text(git_rules.SUBFOLDER_LENGTH, "dags"),
    )
    token = forms.CharField(
        label="Token",
        required=False,
        help_text="For a private repository over https://. A token that may read this one repository is enough.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "mono"}),
    )
    token_user = forms.CharField(
        label="User name beside the token",
        initial=git_rules.TOKEN_USER,
        help_text="GitHub, GitLab, Gitea and Forgejo take any; Bitbucket wants x-token-auth.",
        widget=_text(100, git_rules.TOKEN_USER),
        error_messages={
            "required": "Enter the user name that your Git host wants beside a token, usually git."
        },
    )
    remove_token = forms.BooleanField(label="Remove the token that is stored", required=False)
    every_minutes = forms.IntegerField(
        label="Look every … minutes",
        required=False,
        initial=git_rules.EVERY_DEFAULT,
        min_value=_LOW,
        max_value=_HIGH,
        help_text=f"{_LOW} to {_HIGH:,}. Empty for never: then only a webhook or a click makes Airdeck look.",
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), _EVERY),
    )
    automatic = forms.BooleanField(
        label="Deploy newer commits automatically",
        required=False,
        initial=True,
        help_text="Otherwise the page says that there is one, and a person deploys it with a click.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, source: GitSource | None) -> None:
        super().__init__(data, initial=_shown(source) if source else None)
        if source is None or not source.has_token:
            del self.fields["remove_token"]
        else:
            token = self.fields["token"]
            token.help_text = (
                "One is stored for this repository. Enter another one to replace it; empty keeps it."
            )

    def wish(self) -> GitSourceWish:
        """What is asked for, of a valid form."""
        cleaned = self.cleaned_data
        token = "" if cleaned.get("remove_token") else cleaned["token"] or None
        return GitSourceWish(
            address=cleaned["address"],
            branch=cleaned["branch"],
            subfolder=cleaned["subfolder"],
            every_minutes=cleaned["every_minutes"],
            automatic=cleaned["automatic"],
            token=token,
            token_user=cleaned["token_user"],
        )

    def ask_again(self) -> None:
        """Say that a token that was typed beside another mistake is gone."""
        if self.errors and self.data.get("token") and "token" not in self.errors:
            self.add_error("token", _AGAIN)


def typed_again(form: GitSourceForm, source: GitSource | None) -> GitSourceForm:
    """What a person typed, for the Git source as another person has saved it since: sent once more, it counts."""
    data = {**dict(form.data.items()), "seen": source.revision if source else ""}
    again = GitSourceForm(data, source=source)
    if data.get("token"):
        again.add_error("token", _AGAIN)
    return again


class FingerprintForm(OfferedFieldsForm):
    """Which host key is confirmed."""

    fingerprint = forms.CharField(max_length=100)


def _shown(source: GitSource) -> dict[str, Any]:
    names = ("address", "branch", "subfolder", "token_user", "every_minutes", "automatic")
    return {**{name: getattr(source, name) for name in names}, "seen": source.revision}
