"""Forms that ask for a name to be typed before something goes."""

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from console.kit import names
from deployments.forms.fields import OfferedFieldsForm
from deployments.models import Deployment


class DeleteForm(OfferedFieldsForm):
    """Typing the name is the confirmation."""

    confirm = forms.CharField(strip=True, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: MultiValueDict[str, Any] | None, *, deployment: Deployment) -> None:
        super().__init__(data)
        self.deployment = deployment
        self.fields["confirm"].label = f"Type {deployment.name} to confirm"
        self.fields["confirm"].error_messages["required"] = f"Type {deployment.name} to confirm."

    def clean_confirm(self) -> str:
        """The name as it is shown."""
        typed: str = self.cleaned_data["confirm"]
        if not names.same(typed, self.deployment.name):
            raise forms.ValidationError(f"This is not its name. Type {self.deployment.name} to confirm.")
        return typed


class DeleteQueueForm(OfferedFieldsForm):
    """Typing the queue's name is the confirmation."""

    confirm = forms.CharField(strip=True, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: QueryDict | None, *, name: str) -> None:
        super().__init__(data)
        self.name = name
        self.fields["confirm"].label = f"Type {name} to confirm"
        self.fields["confirm"].error_messages["required"] = f"Type {name} to confirm."

    def clean_confirm(self) -> str:
        """Exactly the name."""
        typed: str = self.cleaned_data["confirm"]
        if typed != self.name:
            raise forms.ValidationError(f"This is not its name. Type {self.name} to confirm.")
        return typed
