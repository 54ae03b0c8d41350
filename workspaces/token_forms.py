"""The form of a new API token. The rules are those of `actions.tokens`."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from console.kit.refusals import ActionRefused
from workspaces.actions.tokens import (
    DAYS,
    DEFAULT_DAYS,
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    WRONG_DAYS,
    WRONG_ROLE,
    TokenWish,
)
from workspaces.forms import NameField
from workspaces.permissions import Role

MAY = {
    Role.MEMBER: "Reads everything except secret values.",
    Role.EDITOR: "Also changes what people with this role may change: settings, variables, queues, code.",
    Role.ADMIN: "Also what Admins may do, except members, API tokens, transfers and deleting the Workspace.",
}


class TokenForm(forms.Form):
    """What a token is for, what it may do and how long."""

    name = NameField(
        longest=NAME_LENGTH,
        help_text="Where it is used, for example GitHub Actions. The Activity names it.",
        error_messages={"required": "Enter a name."},
    )
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=DESCRIPTION_LENGTH,
        widget=forms.TextInput(attrs={"maxlength": DESCRIPTION_LENGTH, "autocomplete": "off"}),
        error_messages={"max_length": f"Enter at most {DESCRIPTION_LENGTH} characters."},
    )
    role = forms.ChoiceField(
        label="Role",
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), WRONG_ROLE),
    )
    days = forms.IntegerField(
        label="Days until it expires",
        required=False,
        min_value=DAYS[0],
        max_value=DAYS[1],
        initial=DEFAULT_DAYS,
        help_text="Leave it empty for a token that never expires.",
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), WRONG_DAYS),
    )

    def __init__(self, data: Mapping[str, Any] | None, *, roles: Sequence[Role]) -> None:
        super().__init__(data)
        field = self.fields["role"]
        field.choices = [(role.value, f"{role.label}\n{MAY[role]}") for role in roles]  # type: ignore[attr-defined]
        field.initial = Role.EDITOR.value if Role.EDITOR in roles else roles[0].value

    def wish(self) -> TokenWish:
        """What a valid form asks for."""
        cleaned = self.cleaned_data
        return TokenWish(cleaned["name"], cleaned["description"], Role(cleaned["role"]), cleaned["days"])

    def refuse(self, refusal: ActionRefused) -> None:
        """Show what the action refused beside the fields that it is about."""
        for field, sentence in refusal.problems.items():
            self.add_error(field if field in self.fields else None, sentence)
