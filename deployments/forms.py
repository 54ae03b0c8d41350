"""Forms of Deployments. Every limit and choice comes from the cluster's options."""

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from deployments.actions import Choices, QueueChoice
from deployments.models import Cluster, Deployment, RuntimeRelease, WorkerType
from deployments.options import DESCRIPTION_LENGTH, NAME_LENGTH, Options, Range, clean_name
from deployments.queries import SHOWN_STATUSES
from deployments.spec import QueueSpec
from deployments.states import Executor

NAME_TAKEN = "Enter a name that no other Deployment in this Workspace uses."


def number_field(label: str, bounds: Range, help_text: str = "") -> forms.IntegerField:
    """A whole number within `bounds`; its error says the bounds."""
    sentence = f"Enter a whole number from {bounds.minimum} to {bounds.maximum}."
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
            widget=forms.TextInput(attrs={"maxlength": NAME_LENGTH, "autocomplete": "off"}),
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
        error_messages={"max_length": f"Enter at most {DESCRIPTION_LENGTH} characters."},
    )


class OfferedFieldsForm(forms.Form):
    """A form that refuses fields which its page does not offer: nobody sets a status or a Workspace by hand."""

    always_offered = frozenset({"csrfmiddlewaretoken"})

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
        error_messages={"invalid_choice": "Choose an executor that this cluster offers."},
    )


def worker_fields(options: Options, help_text: str) -> Mapping[str, forms.Field]:
    """What one worker queue is made of."""
    return {
        "worker_type": forms.ChoiceField(
            label="Worker Type",
            choices=[(t.name, str(t)) for t in options.worker_types],
            initial=options.default_worker_type.name if options.default_worker_type else None,
            help_text=help_text,
            error_messages={"invalid_choice": "Choose a worker type that this cluster offers."},
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
            "Scheduler replicas", options.scheduler_replicas, "Two or more keep scheduling when one fails."
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
        low, high = cleaned.get("min_workers"), cleaned.get("max_workers")
        if low is not None and high is not None and low > high:
            self.add_error("min_workers", f"Enter a number that is at most the {high} of Max workers.")
        return cleaned

    def worker_type(self) -> WorkerType:
        """The chosen worker type. Raises StopIteration when it is not offered: ask a valid form only."""
        return next(t for t in self.options.worker_types if t.name == self.cleaned_data["worker_type"])


class CreateForm(SizedForm):
    """Everything about a new Deployment. Only Name has no default."""

    def __init__(
        self,
        data: MultiValueDict[str, Any] | None,
        *,
        options: Options,
        clusters: list[Cluster],
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.options = options
        self.fields.update(self._basics(options, clusters))
        self.fields["executor"] = executor_field(options)
        self.fields.update(worker_fields(options, "The size of each Celery worker of the default queue."))
        self.fields.update(scheduler_fields(options))

    @staticmethod
    def _basics(options: Options, clusters: list[Cluster]) -> Mapping[str, forms.Field]:
        return {
            "form_key": forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4),
            "name": NameField(),
            "description": description_field(),
            "runtime": forms.ChoiceField(
                label="Runtime",
                choices=[(r.version, str(r)) for r in options.runtimes],
                initial=options.runtimes[0].version if options.runtimes else None,
                error_messages={"invalid_choice": "Choose a runtime from the list; this one is not offered."},
            ),
            "cluster": forms.ChoiceField(
                label="Cluster",
                choices=[(str(c.pk), c.name) for c in clusters],
                initial=str(options.cluster.pk),
                help_text="Where it runs. This cannot be changed later.",
                error_messages={"invalid_choice": "Choose a cluster that is open to this Workspace."},
            ),
        }

    def name_taken(self) -> None:
        """Say that another Deployment has this name."""
        self.add_error("name", NAME_TAKEN)

    def cluster_closed(self) -> None:
        """Say that the chosen cluster is not open to the Workspace any more."""
        self.add_error("cluster", self.fields["cluster"].error_messages["invalid_choice"])

    def choices(self) -> Choices:
        """What a valid form decided."""
        cleaned = self.cleaned_data
        runtime: RuntimeRelease = next(r for r in self.options.runtimes if r.version == cleaned["runtime"])
        return Choices(
            name=cleaned["name"],
            description=cleaned["description"],
            cluster=self.options.cluster,
            runtime=runtime,
            executor=Executor(cleaned["executor"]),
            scheduler_au=cleaned["scheduler_au"],
            scheduler_replicas=cleaned["scheduler_replicas"],
            queue=self._queue() if self.celery else None,
        )

    def _queue(self) -> QueueChoice:
        cleaned = self.cleaned_data
        return QueueChoice(
            worker_type=self.worker_type(),
            min_workers=cleaned["min_workers"],
            max_workers=cleaned["max_workers"],
            concurrency=cleaned["concurrency"],
        )


class DeleteForm(OfferedFieldsForm):
    """Typing the name is the confirmation."""

    confirm = forms.CharField(strip=True, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: MultiValueDict[str, Any] | None, *, deployment: Deployment) -> None:
        super().__init__(data)
        self.deployment = deployment
        self.fields["confirm"].label = f"Type {deployment.name} to confirm"
        self.fields["confirm"].error_messages["required"] = f"Type {deployment.name} to confirm."

    def clean_confirm(self) -> str:
        """Exactly the name."""
        typed: str = self.cleaned_data["confirm"]
        if typed != self.deployment.name:
            raise forms.ValidationError(f"This is not its name. Type {self.deployment.name} to confirm.")
        return typed


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
        self.fields["cluster"].choices = [("", "Any"), *((str(c.pk), c.name) for c in clusters)]  # type: ignore[attr-defined]

    def values(self) -> dict[str, str]:
        """What to filter by: only what is valid and not empty."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}
