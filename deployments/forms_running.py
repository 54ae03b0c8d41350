"""Forms of what a whole Deployment is asked: another runtime, a schedule for its sleep, another Workspace."""

from collections.abc import Sequence
from typing import Any

from django import forms

from deployments import schedules
from deployments.actions.editing import Settings
from deployments.actions.running import SCHEDULE
from deployments.forms import OfferedFieldsForm
from deployments.forms_shown import ShownForm
from deployments.models import Deployment, RuntimeRelease
from workspaces.models import Workspace


class UpgradeForm(OfferedFieldsForm):
    """Which newer runtime. `newer` is what is offered, newest first."""

    def __init__(self, data: Any, *, newer: Sequence[RuntimeRelease]) -> None:
        super().__init__(data)
        self._newer = {release.version: release for release in newer}
        self.fields["runtime"] = forms.ChoiceField(
            label="Runtime",
            choices=[(release.version, str(release)) for release in newer],
            initial=newer[0].version if newer else None,
            error_messages=dict.fromkeys(
                ("invalid_choice", "required"), "Choose a runtime from the list; this one is not offered."
            ),
        )

    def release(self) -> RuntimeRelease:
        """The chosen one, of a valid form."""
        return self._newer[self.cleaned_data["runtime"]]

    def not_offered(self) -> None:
        """Say that an operator took it out of the offer meanwhile."""
        self.add_error("runtime", self.fields["runtime"].error_messages["invalid_choice"])


class CronField(forms.CharField):
    """A cron expression; `schedules.clean_cron` is the rule. Empty means never."""

    def __init__(self, label: str, help_text: str) -> None:
        attrs = {
            "maxlength": schedules.LONGEST,
            "autocomplete": "off",
            "spellcheck": "false",
            "class": "mono",
        }
        super().__init__(
            label=label,
            help_text=help_text,
            required=False,
            max_length=schedules.LONGEST,
            widget=forms.TextInput(attrs=attrs),
            error_messages={"max_length": f"Enter at most {schedules.LONGEST} characters."},
        )

    def clean(self, value: Any) -> str:
        """The expression with single spaces."""
        text = str(super().clean(value))
        try:
            return schedules.clean_cron(text) if text else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class ScheduleForm(ShownForm):
    """When it sleeps and wakes by itself."""

    names = SCHEDULE
    hibernate_cron = CronField("Hibernate at", "Minute, hour, day of the month, month, day of the week.")
    wake_cron = CronField("Wake at", "Leave it empty to wake it by hand.")
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=[(zone, zone.replace("_", " ")) for zone in schedules.zones()],
        initial="UTC",
        error_messages={"invalid_choice": "Choose a time zone from the list."},
    )
    enabled = forms.BooleanField(label="Follow this schedule", required=False, initial=True)

    def __init__(self, data: Any, *, deployment: Deployment, settings: Settings, suggested: str = "") -> None:
        super().__init__(data, initial={**settings, **_suggestion(suggested)})
        self.carry(settings, f"schedule.{deployment.pk}")

    def clean(self) -> dict[str, Any]:
        """A schedule that is followed says at least when to hibernate or to wake."""
        cleaned = super().clean()
        silent = not any(cleaned.get(name) for name in ("hibernate_cron", "wake_cron"))
        if cleaned.get("enabled") and silent and not self.errors:
            self.add_error("hibernate_cron", "Enter when to hibernate, or when to wake, or do not follow it.")
        return cleaned


def _suggestion(key: str) -> Settings:
    """The suggestion that was clicked, to be put into the form."""
    return {
        name: value
        for each in schedules.SUGGESTIONS
        if each.key == key
        for name, value in (("hibernate_cron", each.hibernate_cron), ("wake_cron", each.wake_cron))
    }


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
