"""Clusters: who may use them, what was found out about them, how they are reached."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path

from deployments.actions import clusters, operators
from deployments.admin import cluster_connection
from deployments.models import Cluster
from deployments.models.clusters import MISSING
from workspaces.operator_site import OperatorAdmin, button, export_csv, operator


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
            if sentence := operators.refusal(self.instance, allowed):
                self.add_error("workspaces", sentence)
        return cleaned


@admin.register(Cluster)
class ClusterAdmin(OperatorAdmin):
    """Places where Airflow can run. Their sealed configuration is in no field here."""

    audited_as = "cluster"
    form = ClusterForm
    change_form_template = "admin/cluster.html"
    list_display = ("name", "kind", "state", "restricted", "last_seen_at", "created_at")
    list_filter = ("kind", "restricted")
    date_hierarchy = "created_at"
    search_fields = ("name", "id")
    search_help_text = "Search by name or id."
    fieldsets = (
        (
            None,
            {"fields": ("name", "id", "kind", "state", "created_at", "last_seen_at", "unreachable_reason")},
        ),
        ("Who may use it", {"fields": ("restricted", "workspaces")}),
    )
    editable = ("restricted", "workspaces")
    autocomplete_fields = ("workspaces",)
    csv_fields = ("id", "name", "kind", "restricted", "created_at", "last_seen_at")
    actions = (
        button("Check again", lambda cluster, by: clusters.check_again(cluster=cluster, by=by)),
        button(
            "Deregister",
            lambda cluster, by: clusters.deregister(cluster=cluster, by=by),
            ask="Airdeck forgets how to reach it, and no longer offers it. Nothing in the cluster is touched. It is "
            "refused while Deployments are on it.",
        ),
        export_csv,
    )

    @admin.display(description="State")
    def state(self, cluster: Cluster) -> str:
        """Whether people can create Deployments on it, in a word."""
        if cluster.deregistered_at is not None:
            return f"Deregistered on {cluster.deregistered_at:%Y-%m-%d}"
        if since := cluster.silent_since:
            return f"Unreachable since {since:%Y-%m-%d %H:%M:%S} UTC"
        if cluster.kind == Cluster.Kind.LOCAL:
            return "Ready"
        if cluster.checked_at is None:
            return "Not checked yet: not offered"
        missing = sum(check["state"] == MISSING for check in cluster.checks)
        return f"{missing} missing: not offered" if missing else "Ready"

    def get_urls(self) -> list[Any]:
        """And the page on which an operator says how it is reached."""
        reach = self.admin_site.admin_view(self.reach_view)
        own = path("<path:object_id>/reach/", reach, name="deployments_cluster_reach")
        return [own, *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Kubernetes clusters are registered here."""
        return self.admin_site.has_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form that registers one."""
        return cluster_connection.page(self, request, None)

    def reach_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form that changes how it is reached. Anything but a registered Kubernetes cluster has none."""
        cluster = self.get_object(request, object_id)
        if cluster is None or cluster.kind != Cluster.Kind.KUBERNETES or cluster.deregistered_at is not None:
            raise Http404
        return cluster_connection.page(self, request, cluster)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With the checks, one line each. Right after they were asked for, the page follows them by itself."""
        cluster = self.get_object(request, object_id)
        context = {
            "shown": cluster,
            "reachable": cluster is not None and cluster.deregistered_at is None,
            "show_save_and_add_another": False,
        }
        answer = super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})
        if "watch" in request.GET and cluster is not None and cluster.checking_since is not None:
            answer["Refresh"] = "3"
        return answer

    def save_model(self, request: HttpRequest, obj: Cluster, form: Any, change: bool) -> None:
        """Through the action."""
        operators.set_access(
            cluster=obj,
            by=operator(request),
            restricted=form.cleaned_data["restricted"],
            workspaces=form.cleaned_data["workspaces"],
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing is left to save."""
