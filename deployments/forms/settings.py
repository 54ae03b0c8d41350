"""Forms that change what runs. Each carries what its reader was shown, signed, and whether they have seen what the
change does: so nothing is overwritten silently and nothing restarts unannounced."""

import json
from dataclasses import replace
from typing import Any

from django import forms
from django.core import signing
from django.http import QueryDict

from deployments.actions.settings import OWN, WORKERS
from deployments.clusters.options import (
    EXECUTORS,
    QUEUE_NAME,
    QUEUE_NAME_LENGTH,
    QUEUE_NAME_SENTENCE,
    Options,
)
from deployments.domain.field_values import FieldValues
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor
from deployments.forms.fields import (
    NameField,
    SizedForm,
    description_field,
    executor_field,
    scheduler_fields,
    worker_fields,
)
from deployments.forms.seen_values import ShownForm
from deployments.models import Deployment, WorkerQueue
from deployments.queries.releases import queue_spec


class ReviewedForm(ShownForm, SizedForm):
    """A form over stored settings. `settings` are those of now; `about` names what they belong to, so that a form of
    one Deployment says nothing about another."""

    names: tuple[str, ...] = WORKERS

    def __init__(
        self, data: QueryDict | None, *, options: Options, settings: FieldValues, about: str
    ) -> None:
        super().__init__(data, initial=dict(settings))
        self.options = options
        self.settings = settings
        self.carry(settings, about)
        self.fields["reviewed"], self.fields["again"] = self.hidden(), self.hidden()

    @property
    def desired(self) -> FieldValues:
        """What a valid form asks for. A text that differs in its line ends alone is the one that was shown."""
        names = self.names if self.celery else [name for name in self.names if name not in WORKERS]
        desired: FieldValues = {name: self.cleaned_data[name] for name in names}
        before = self.shown.get("description")
        if "description" in desired and _lines(before) == _lines(desired["description"]):
            desired["description"] = before or ""
        return desired

    @property
    def going_back(self) -> bool:
        """Whether the reader wants to change something more before saving."""
        return bool(self.data.get("again"))

    @property
    def is_reviewed(self) -> bool:
        """Whether exactly this change was shown with its consequences."""
        return str(self.cleaned_data["reviewed"]) == self._review_mark()

    def for_review(self) -> None:
        """From now on the hidden fields say that this change was shown with its consequences."""
        self.refill(reviewed=self._review_mark(), again="")

    def for_editing(self) -> None:
        """Show the fields again, as they were filled in."""
        self.refill(reviewed="", again="")

    def merge(self, now: FieldValues) -> None:
        """What is stored has changed to `now`: take it, but for the fields that this reader has changed."""
        super().merge(now)
        self.refill(reviewed="", again="")

    def _review_mark(self) -> str:
        text = json.dumps([self.shown, self.desired], sort_keys=True)
        return signing.Signer(salt=f"{self._salt}.reviewed").signature(text)


class EditForm(ReviewedForm):
    """Everything about a Deployment that can be changed after it was created."""

    names = (*OWN, *WORKERS)

    def __init__(
        self,
        data: QueryDict | None,
        *,
        options: Options,
        deployment: Deployment,
        settings: FieldValues,
        queues: list[WorkerQueue],
    ) -> None:
        super().__init__(data, options=options, settings=settings, about=str(deployment.pk))
        self.others = tuple(queue_spec(queue) for queue in queues if queue.name != DEFAULT_QUEUE)
        self.fields["name"] = NameField()
        self.fields["name"].help_text = "Your team sees it."
        self.fields["description"] = description_field()
        offered = {option.value: option for option in options.executors}
        kept = EXECUTORS[Executor(deployment.executor)]  # also when the cluster offers it no more
        everything = replace(options, executors=tuple({**offered, kept.value: kept}.values()))
        self.fields["executor"] = executor_field(everything)
        self.fields.update(worker_fields(options, "The size of each worker of the default queue."))
        self.fields.update(scheduler_fields(options))


class QueueForm(ReviewedForm):
    """A worker queue that exists, or with `adding` a new one: only then it has a name to choose."""

    def __init__(
        self,
        data: QueryDict | None,
        *,
        options: Options,
        settings: FieldValues,
        about: str,
        adding: bool = False,
    ) -> None:
        super().__init__(data, options=options, settings=settings, about=about)
        if adding:
            self.fields["name"] = forms.RegexField(
                QUEUE_NAME,
                label="Name",
                help_text="Tasks select it with the argument queue. The name cannot be changed later.",
                widget=forms.TextInput(
                    attrs={
                        "maxlength": QUEUE_NAME_LENGTH,
                        "autocomplete": "off",
                        "autocapitalize": "none",
                        "spellcheck": "false",
                    }
                ),
                error_messages=dict.fromkeys(("required", "invalid"), QUEUE_NAME_SENTENCE),
            )
        self.fields.update(worker_fields(options, "The size of each worker of this queue."))


def _lines(text: Any) -> str:
    """A text as a browser gives it back: without regard to line ends, and trimmed."""
    return str(text or "").replace("\r\n", "\n").replace("\r", "\n").strip()
