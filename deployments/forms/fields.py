"""Fields that several forms share. Every limit and choice comes from the cluster's options."""

from collections.abc import Mapping
from typing import Any

from django import forms

from console.kit.refusals import ActionRefused
from deployments.clusters.options import (
    DESCRIPTION_LENGTH,
    DESCRIPTION_TOO_LONG,
    EXECUTOR_NOT_OFFERED,
    WORKER_TYPE_NOT_OFFERED,
    Options,
    Range,
    order_problem,
)
from deployments.domain.names import NAME_LENGTH, clean_name
from deployments.domain.spec import QueueSpec
from deployments.domain.states import Executor
from deployments.models import WorkerType


def number_field(label: str, bounds: Range, help_text: str = "") -> forms.IntegerField:
    """A whole number within `bounds`; its error names the field, and says the bounds."""
    sentence = f"{label}: {bounds.sentence[:1].lower()}{bounds.sentence[1:]}"
    return forms.IntegerField(
        label=label,
        min_value=bounds.minimum,
        max_value=bounds.maximum,
        initial=bounds.default,
        help_text=help_text,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), sentence),
    )


class NameField(forms.CharField):
    """A Deployment's name; `clean_name` is the rule. The length is checked there, with the count in the sentence."""

    def __init__(self) -> None:
        super().__init__(
            label="Name",
            strip=False,
            help_text="Your team sees it. You can change it later.",
            widget=forms.TextInput(
                attrs={"maxlength": NAME_LENGTH, "autocomplete": "off", "placeholder": "Analytics"}
            ),
        )
        self.error_messages["required"] = "Enter a name."

    def to_python(self, value: Any) -> str:
        """The trimmed name."""
        text = super().to_python(value) or ""
        try:
            return clean_name(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


def description_field() -> forms.CharField:
    """Free text about a Deployment."""
    return forms.CharField(
        label="Description",
        required=False,
        max_length=DESCRIPTION_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": DESCRIPTION_LENGTH}),
        error_messages={"max_length": DESCRIPTION_TOO_LONG},
    )


class OfferedFieldsForm(forms.Form):
    """A form that refuses fields which its page does not offer: no one sets a status or a Workspace by hand."""

    always_offered = frozenset({"csrfmiddlewaretoken"})

    def refuse(self, refusal: ActionRefused) -> None:
        """Show what an action refused beside the fields that it is about."""
        for field, sentence in refusal.problems.items():
            self.add_error(field if field in self.fields else None, sentence)

    def clean(self) -> dict[str, Any]:
        """Refuse what was posted beyond the form's own fields."""
        cleaned = super().clean() or self.cleaned_data
        strange = sorted(set(self.data) - set(self.fields) - self.always_offered)
        if strange:
            names = ", ".join(f"“{name[:40]}”" for name in strange[:5])
            self.add_error(None, f"This form has no field {names}. Reload the page and try again.")
        return cleaned


def executor_field(options: Options) -> forms.ChoiceField:
    """The executors that the cluster offers, as cards."""
    return forms.ChoiceField(
        label="Executor",
        choices=[(e.value.value, f"{e.value.label}\n{e.sentence}") for e in options.executors],
        initial=options.executors[0].value.value,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": EXECUTOR_NOT_OFFERED},
    )


def worker_fields(options: Options, help_text: str) -> Mapping[str, forms.Field]:
    """What one worker queue is made of."""
    return {
        "worker_type": forms.ChoiceField(
            label="Worker type",
            choices=[(t.name, str(t)) for t in options.worker_types],
            initial=options.default_worker_type.name if options.default_worker_type else None,
            help_text=help_text,
            error_messages={"invalid_choice": WORKER_TYPE_NOT_OFFERED},
        ),
        "min_workers": number_field("Min workers", options.min_workers),
        "max_workers": number_field("Max workers", options.max_workers),
        "concurrency": number_field(
            "Concurrency", options.concurrency, "Tasks that one worker runs at once."
        ),
    }


def scheduler_fields(options: Options) -> Mapping[str, forms.Field]:
    """Size and number of schedulers."""
    return {
        "scheduler_au": number_field(
            "Scheduler AU", options.scheduler_au, "1 AU is 0.1 CPU and 0.375 GiB of memory."
        ),
        "scheduler_replicas": number_field(
            "Scheduler replicas",
            options.scheduler_replicas,
            "Use two or more to keep scheduling if one fails.",
        ),
    }


class SizedForm(OfferedFieldsForm):
    """A form with fields of `worker_fields`, and perhaps those of `executor_field` and `scheduler_fields`."""

    options: Options
    others: tuple[QueueSpec, ...] = ()  # worker queues that this form does not change, for the summary

    @property
    def celery(self) -> bool:
        """Whether worker queues matter: under another executor their fields are not looked at."""
        return "executor" not in self.fields or bool(self["executor"].value() == Executor.CELERY)

    def clean(self) -> dict[str, Any]:
        """min <= max; and without Celery no worker field can be wrong."""
        cleaned = super().clean()
        if not self.celery:
            for name in ("worker_type", "min_workers", "max_workers", "concurrency"):
                self.errors.pop(name, None)
            return cleaned
        if message := order_problem(cleaned.get("min_workers"), cleaned.get("max_workers")):
            self.add_error("min_workers", message)
        return cleaned

    def worker_type(self) -> WorkerType:
        """The chosen worker type. Raises StopIteration when it is not offered: ask a valid form only."""
        return next(t for t in self.options.worker_types if t.name == self.cleaned_data["worker_type"])
