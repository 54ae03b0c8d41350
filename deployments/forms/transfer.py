"""The form that chooses another Workspace."""

from collections.abc import Sequence
from typing import Any

from django import forms

from deployments.forms.fields import OfferedFieldsForm
from workspaces.models import Workspace


class TransferForm(OfferedFieldsForm):
    """Which Workspace. `offered` are those in which the actor may create Deployments on its cluster."""

    def __init__(self, data: Any, *, offered: Sequence[Workspace]) -> None:
        super().__init__(data)
        self._offered = {str(workspace.pk): workspace for workspace in offered}
        self.fields["workspace"] = forms.ChoiceField(
            label="Move it to",
            choices=[("", "Choose a Workspace"), *((str(each.pk), each.name) for each in offered)],
            help_text="Workspaces in which you are Editor or Admin, and to which its cluster is open.",
            error_messages=dict.fromkeys(
                ("invalid_choice", "required"), "Choose one of the Workspaces in the list."
            ),
        )

    def workspace(self) -> Workspace:
        """The chosen one, of a valid form."""
        return self._offered[self.cleaned_data["workspace"]]
