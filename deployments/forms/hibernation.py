"""The form of a hibernation schedule."""

from typing import Any

from django import forms

from deployments.actions.hibernation import SCHEDULE
from deployments.domain import schedules
from deployments.domain.field_values import FieldValues
from deployments.forms.seen_values import ShownForm
from deployments.models import Deployment

TIMES = ("hibernate_cron", "wake_cron")


class CronField(forms.CharField):
    """A cron expression; `schedules.clean_cron` is the rule. Empty means never."""

    def __init__(self, label: str, help_text: str, example: str) -> None:
        attrs = {
            "maxlength": schedules.LONGEST,
            "autocomplete": "off",
            "spellcheck": "false",
            "class": "mono",
            "placeholder": example,
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
    hibernate_cron = CronField(
        "Hibernate at", "Minute, hour, day of the month, month, day of the week.", "0 20 * * 1-5"
    )
    wake_cron = CronField("Wake at", "Leave it empty to wake it manually.", "0 7 * * 1-5")
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=[(zone, zone.replace("_", " ")) for zone in schedules.zones()],
        initial="UTC",
        error_messages={"invalid_choice": schedules.UNKNOWN_ZONE},
    )
    enabled = forms.BooleanField(label="Schedule on", required=False, initial=True)
    back_hibernate_cron = ShownForm.hidden()  # the times whose place a preset took
    back_wake_cron = ShownForm.hidden()

    def __init__(
        self, data: Any, *, deployment: Deployment, settings: FieldValues, suggested: str = ""
    ) -> None:
        super().__init__(data, initial={**settings, **_suggestion(suggested)})
        self.carry(settings, f"schedule.{deployment.pk}")

    def suggest(self, key: str) -> bool:
        """Fill a bound form with that preset, or, where there is none of that name, with the times that were sent to
        go back to; keep everything else, and the times whose place they took. Whether there are any to go back to."""
        filled = _suggestion(key) or {name: self.data.get(f"back_{name}", "") for name in TIMES}
        replaced = {f"back_{name}": str(self.data.get(name, "")) for name in TIMES}
        self.refill(**{name: str(value) for name, value in filled.items()}, **replaced)
        return any(replaced.values()) and list(replaced.values()) != list(filled.values())

    def clean(self) -> dict[str, Any]:
        """A schedule that is followed says at least when to hibernate or to wake."""
        cleaned = super().clean()
        if not self.errors:
            for name, sentence in schedules.problems(cleaned).items():
                self.add_error(name, sentence)
        return cleaned


def _suggestion(key: str) -> FieldValues:
    """The suggestion that was clicked, to be put into the form."""
    return {
        name: value
        for each in schedules.SUGGESTIONS
        if each.key == key
        for name, value in zip(TIMES, (each.hibernate_cron, each.wake_cron), strict=True)
    }
