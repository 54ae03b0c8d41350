"""The filter bar of the list."""

from typing import Any

from django import forms

from deployments.domain.states import Executor
from deployments.models import Cluster
from deployments.queries.listing import SHOWN_STATUSES


class FilterForm(forms.Form):
    """The filter bar of the list. A value that is not offered filters nothing."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name or release name"}),
    )
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "Any"), *((s.value, s.label) for s in SHOWN_STATUSES)]
    )
    executor = forms.ChoiceField(
        label="Executor", required=False, choices=[("", "Any"), *((e.value, e.label) for e in Executor)]
    )
    cluster = forms.ChoiceField(label="Cluster", required=False)

    def __init__(self, data: Any, *, clusters: list[Cluster]) -> None:
        super().__init__(data)
        if len(clusters) < 2:  # nothing to choose from
            del self.fields["cluster"]
            return
        self.fields["cluster"].choices = [("", "Any"), *((str(c.pk), c.name) for c in clusters)]  # type: ignore[attr-defined]

    def values(self) -> dict[str, str]:
        """What to filter by: only what is valid and not empty."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}
