"""The form that chooses another Workspace."""

from collections.abc import Sequence
from typing import Any

from django import forms

from deployments.forms.fields import OfferedFieldsForm
from deployments.models import Deployment
from workspaces.models import Workspace


class TransferForm(OfferedFieldsForm):
    """Which Workspace. `offered` are those in which the actor may create Deployments on its cluster."""

    def __init__(self, data: Any, *, deployment: Deployment, offered: Sequence[Workspace]) -> None:
        super().__init__(data)
        self._offered = {str(workspace.pk): workspace for workspace in offered}
        self._name = deployment.name
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

    def name_taken(self) -> None:
        """Say that the target has a Deployment of this name."""
        self.add_error(
            "workspace",
            f"That Workspace has a Deployment named {self._name} already. Rename one of both, or choose another.",
        )

    def closed(self) -> None:
        """Say that it was in the list, and is not any more."""
        self.add_error("workspace", "This Workspace cannot take it any more. Choose another one.")
