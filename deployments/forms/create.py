"""Forms of Deployments. Every limit and choice comes from the cluster's options."""

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from deployments.actions import Choices, QueueChoice
from deployments.clusters.options import RUNTIME_NOT_OFFERED, Options
from deployments.domain.states import Executor
from deployments.forms.fields import (
    NameField,
    OfferedFieldsForm,
    SizedForm,
    description_field,
    executor_field,
    scheduler_fields,
    worker_fields,
)
from deployments.models import Cluster, RuntimeRelease


class NameForm(OfferedFieldsForm):
    """The name alone, as it is checked when its field is left."""

    name = NameField()

    def clean(self) -> dict[str, Any]:
        """The other fields come along; only the name is judged."""
        return self.cleaned_data


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
        if data is None and not initial:
            self.fields["name"].widget.attrs["autofocus"] = True
        self.fields["executor"] = executor_field(options)
        self.fields.update(worker_fields(options, "The size of each Celery worker of the default queue."))
        self.fields.update(scheduler_fields(options))

    @staticmethod
    def _basics(options: Options, clusters: list[Cluster]) -> Mapping[str, forms.Field]:
        return {
            "idempotency_key": forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4),
            "name": NameField(),
            "description": description_field(),
            "runtime": forms.ChoiceField(
                label="Runtime",
                choices=[(r.version, str(r)) for r in options.runtimes],
                initial=options.runtimes[0].version if options.runtimes else None,
                error_messages={"invalid_choice": RUNTIME_NOT_OFFERED},
            ),
            "cluster": forms.ChoiceField(
                label="Cluster",
                choices=[(str(c.pk), c.name) for c in clusters],
                initial=str(options.cluster.pk),
                help_text="Where it runs. This cannot be changed later.",
                error_messages={"invalid_choice": "Choose a cluster that is open to this Workspace."},
            ),
        }

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
