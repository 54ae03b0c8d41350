"""The catalogue: runtimes, and the sizes of worker that clusters offer."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from deployments.actions import catalogue, operators
from deployments.models import Cluster, RuntimeRelease, WorkerType
from workspaces.operator_site import OperatorAdmin, button, export_csv, operator


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no parameters at run time
    """A form whose rules are the action's."""

    def validate_constraints(self) -> None:
        """The action keeps them, with sentences."""

    def complain(self, errors: dict[str, str]) -> None:
        """Put each sentence beside its field, or on top when it is not on this page."""
        for name, sentence in errors.items():
            self.add_error(name if name in self.fields else None, sentence)


class RuntimeForm(ActionForm):
    """A release of Airflow."""

    class Meta:
        model = RuntimeRelease
        fields = ("version", "airflow_version", "image", "channel", "released_on", "maintained_until")
        help_texts = {
            "version": "The minor release and a number of ours: 3.3-2.",
            "airflow_version": "In full: 3.3.2.",
            "image": "What Kubernetes clusters run: apache/airflow:3.3.2, or your own with your DAGs and packages.",
            "maintained_until": "The last day on which it is offered.",
        }

    def clean(self) -> dict[str, Any]:
        """The rules of the catalogue."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance._state.adding:
            if not self.errors:
                self.complain(catalogue.runtime_errors(catalogue.Runtime(**cleaned)))
        elif "image" in self.changed_data and "image" in cleaned:
            used = catalogue.is_in_use(self.instance)
            reason = catalogue.image_error(cleaned["image"])
            reason = reason or (catalogue.in_use(self.instance) if used else "")
            self.complain({"image": reason} if reason else {})
        return cleaned


@admin.register(RuntimeRelease)
class RuntimeAdmin(OperatorAdmin):
    """The catalogue: what Deployments can run, and how long it is maintained."""

    audited_as = "runtime"
    form = RuntimeForm
    list_display = ("version", "airflow_version", "channel", "released_on", "maintained_until", "offered")
    list_filter = ("channel", "yanked")
    date_hierarchy = "released_on"
    search_fields = ("version", "airflow_version")
    search_help_text = "Search by version of the runtime or of Airflow."
    fields = ("version", "airflow_version", "image", "channel", "released_on", "yanked", "maintained_until")
    editable = ("image", "maintained_until")
    addable = ("version", "airflow_version", "image", "channel", "released_on", "maintained_until")
    csv_fields = ("version", "airflow_version", "channel", "released_on", "maintained_until", "yanked")
    actions = (
        button(
            "Mark deprecated",
            lambda runtime, by: operators.deprecate(runtime=runtime, by=by),
            ask="Its maintenance ends: no Deployment can be created with it any more. Those that have it keep "
            "running. A later day in “Maintained until” takes this back.",
        ),
        button(
            "Mark yanked",
            lambda runtime, by: operators.set_yanked(runtime=runtime, by=by, yanked=True),
            ask="It should never have been used: no Deployment can be created with it any more. Those that have "
            "it keep running.",
        ),
        button(
            "Mark not yanked",
            lambda runtime, by: operators.set_yanked(runtime=runtime, by=by, yanked=False),
        ),
        export_csv,
    )

    @admin.display(description="State")
    def offered(self, runtime: RuntimeRelease) -> str:
        """Whether it may be chosen, in a word. Of several patches of a minor release only the newest is."""
        if runtime.yanked:
            return "Yanked"
        return "Deprecated" if runtime.maintained_until < timezone.now().date() else "Maintained"

    def save_model(self, request: HttpRequest, obj: RuntimeRelease, form: Any, change: bool) -> None:
        """Through the actions."""
        cleaned, by = form.cleaned_data, operator(request)
        if not change:
            obj.pk = catalogue.add_runtime(runtime=catalogue.Runtime(**cleaned), by=by).pk
            return
        catalogue.set_image(runtime=obj, by=by, image=cleaned["image"])
        operators.maintain(runtime=obj, by=by, until=cleaned["maintained_until"])


class WorkerTypeForm(ActionForm):
    """A size of worker."""

    class Meta:
        model = WorkerType
        fields = ("name", "cluster", "cpu_millis", "memory_mib", "position", "is_default")
        labels = {
            "cpu_millis": "CPU (thousandths)",
            "memory_mib": "Memory (MiB)",
            "is_default": "Preselected",
        }
        help_texts = {
            "cpu_millis": "1000 is one core.",
            "memory_mib": "2048 is 2 GiB. Of one worker, with all tasks that it runs at once.",
            "position": "Smaller numbers come first in the form.",
        }

    def clean(self) -> dict[str, Any]:
        """The rules of the catalogue."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            self.complain(catalogue.type_errors(self.desired))
        return cleaned

    @property
    def desired(self) -> catalogue.Type:
        """What the form says."""
        return catalogue.Type(**{k: v for k, v in self.cleaned_data.items() if k != "cluster"})


@admin.register(WorkerType)
class WorkerTypeAdmin(OperatorAdmin):
    """Sizes of Celery workers, per cluster. One that worker queues have keeps its size: another would restart them."""

    audited_as = "worker type"
    form = WorkerTypeForm
    list_display = ("name", "cluster", "cpu_millis", "memory_mib", "position", "is_default")
    list_filter = (("cluster", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("cluster",)
    search_fields = ("name", "cluster__name")
    search_help_text = "Search by name or cluster."
    fields = ("name", "cluster", "cpu_millis", "memory_mib", "position", "is_default")
    addable = fields
    editable = ("name", "cpu_millis", "memory_mib", "position", "is_default")
    csv_fields = ("cluster__name", "name", "cpu_millis", "memory_mib", "is_default")
    actions = (
        button(
            "Remove",
            lambda row, by: catalogue.remove_type(worker_type=row, by=by),
            ask="It is no longer offered. It is refused while worker queues have it.",
        ),
        export_csv,
    )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Registered clusters alone."""
        if db_field.name == "cluster":
            kwargs["queryset"] = Cluster.objects.registered()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: WorkerType, form: Any, change: bool) -> None:
        """Through the actions."""
        by = operator(request)
        if change:
            catalogue.change_type(worker_type=obj, desired=form.desired, by=by)
        else:
            obj.pk = catalogue.add_type(cluster=obj.cluster, desired=form.desired, by=by).pk
