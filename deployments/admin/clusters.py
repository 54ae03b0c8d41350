"""Clusters, the runtimes and the worker types that they offer."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from deployments import operator_actions
from deployments.models import Cluster, RuntimeRelease, WorkerType
from workspaces.operators import OperatorAdmin, button, export_csv, operator


class ClusterForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no parameters at run time
    """Who may use a cluster."""

    class Meta:
        model = Cluster
        fields = ("restricted", "workspaces")
        labels = {"restricted": "Restrict to the Workspaces below", "workspaces": "Allowed Workspaces"}
        help_texts = {
            "restricted": "Without this, every Workspace may create Deployments here.",
            "workspaces": "A restricted cluster is not offered to any other Workspace.",
        }

    def clean(self) -> dict[str, Any]:
        """Refuse in words while another Workspace has Deployments here. The action asks again under a lock."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("restricted"):
            allowed = [workspace.pk for workspace in cleaned.get("workspaces", [])]
            if sentence := operator_actions.refusal(self.instance, allowed):
                self.add_error("workspaces", sentence)
        return cleaned


@admin.register(Cluster)
class ClusterAdmin(OperatorAdmin):
    """Places where Airflow can run. Their sealed configuration is in no field here."""

    audited_as = "cluster"
    form = ClusterForm
    list_display = ("name", "kind", "restricted", "last_seen_at", "created_at")
    list_filter = ("kind", "restricted")
    date_hierarchy = "created_at"
    search_fields = ("name", "id")
    search_help_text = "Search by name or id."
    fields = ("name", "id", "kind", "created_at", "last_seen_at", "restricted", "workspaces")
    editable = ("restricted", "workspaces")
    autocomplete_fields = ("workspaces",)
    csv_fields = ("id", "name", "kind", "restricted", "created_at", "last_seen_at")
    actions = (export_csv,)

    def save_model(self, request: HttpRequest, obj: Cluster, form: Any, change: bool) -> None:
        """Through the action."""
        operator_actions.set_access(
            cluster=obj,
            by=operator(request),
            restricted=form.cleaned_data["restricted"],
            workspaces=form.cleaned_data["workspaces"],
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing is left to save."""


@admin.register(RuntimeRelease)
class RuntimeAdmin(OperatorAdmin):
    """The catalogue: what Deployments can run, and how long it is maintained."""

    audited_as = "runtime"
    list_display = ("version", "airflow_version", "channel", "released_on", "maintained_until", "offered")
    list_filter = ("channel", "yanked")
    date_hierarchy = "released_on"
    search_fields = ("version", "airflow_version")
    search_help_text = "Search by version of the runtime or of Airflow."
    fields = ("version", "airflow_version", "image", "channel", "released_on", "yanked", "maintained_until")
    editable = ("maintained_until",)
    csv_fields = ("version", "airflow_version", "channel", "released_on", "maintained_until", "yanked")
    actions = (
        button(
            "Mark deprecated",
            lambda runtime, by: operator_actions.deprecate(runtime=runtime, by=by),
            ask="Its maintenance ends: nobody can create a Deployment with it any more. Those that have it keep "
            "running. A later day in “Maintained until” takes this back.",
        ),
        button(
            "Mark yanked",
            lambda runtime, by: operator_actions.set_yanked(runtime=runtime, by=by, yanked=True),
            ask="It should never have been used: nobody can create a Deployment with it any more. Those that have "
            "it keep running.",
        ),
        button(
            "Mark not yanked",
            lambda runtime, by: operator_actions.set_yanked(runtime=runtime, by=by, yanked=False),
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
        """Through the action."""
        until = form.cleaned_data["maintained_until"]
        operator_actions.maintain(runtime=obj, by=operator(request), until=until)


@admin.register(WorkerType)
class WorkerTypeAdmin(OperatorAdmin):
    """Sizes of Celery workers. They come with the cluster: another size would restart what runs."""

    list_display = ("name", "cluster", "cpu_millis", "memory_mib", "position", "is_default")
    list_filter = (("cluster", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("cluster",)
    search_fields = ("name", "cluster__name")
    search_help_text = "Search by name or cluster."
    fields = ("name", "cluster", "cpu_millis", "memory_mib", "position", "is_default")
    csv_fields = ("cluster__name", "name", "cpu_millis", "memory_mib", "is_default")
    actions = (export_csv,)
