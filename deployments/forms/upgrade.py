"""Forms of what a whole Deployment is asked: another runtime, a schedule for its sleep, another Workspace."""

from collections.abc import Sequence
from typing import Any

from django import forms

from deployments.clusters.options import RUNTIME_NOT_OFFERED
from deployments.forms.fields import OfferedFieldsForm
from deployments.models import RuntimeRelease


class UpgradeForm(OfferedFieldsForm):
    """Which newer runtime. `newer` is what is offered, newest first."""

    def __init__(self, data: Any, *, newer: Sequence[RuntimeRelease]) -> None:
        super().__init__(data)
        self._newer = {release.version: release for release in newer}
        self.fields["runtime"] = forms.ChoiceField(
            label="Runtime",
            choices=[(release.version, str(release)) for release in newer],
            initial=newer[0].version if newer else None,
            error_messages=dict.fromkeys(("invalid_choice", "required"), RUNTIME_NOT_OFFERED),
        )

    def release(self) -> RuntimeRelease:
        """The chosen one, of a valid form."""
        return self._newer[self.cleaned_data["runtime"]]
