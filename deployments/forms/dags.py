"""The filter bar over a list of DAGs."""

from typing import Self

from django import forms
from django.http import QueryDict

STATES = [
    ("", "Any"),
    ("failed", "Last run failed"),
    ("running", "Running or queued"),
    ("succeeded", "Last run succeeded"),
    ("never", "Never ran"),
    ("paused", "Paused"),
    ("broken", "File does not import"),
]


class DagFilterForm(forms.Form):
    """What a list of DAGs is narrowed by. A value that is not offered filters nothing."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, DAG id or file"}),
    )
    state = forms.ChoiceField(label="State", required=False, choices=STATES)

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        """The bar as it stands for this query string, without what is not offered."""
        form = cls(query)
        form.is_valid()
        return cls(form.cleaned_data)
