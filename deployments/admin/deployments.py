"""Deployments with their parts, steps and changes of status: all observed, nothing to type."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from deployments.actions import operators
from deployments.domain.states import Status
from deployments.models import ComponentStatus, Deployment, StatusChange, Step, WorkerQueue
from deployments.templatetags import states
from workspaces.models import AuditEvent
from workspaces.operator_site import OperatorAdmin, OperatorInline, button, export_csv, list_link


class QueueInline(OperatorInline):
    """Worker queues."""

    model = WorkerQueue
    fields = (
        "worker_type",
        "min_workers",
        "max_workers",
        "concurrency",
        "desired_workers",
        "queued",
        "running",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerQueue]:
        """With their worker types."""
        rows: QuerySet[WorkerQueue] = super().get_queryset(request).select_related("worker_type")
        return rows


class StepInline(OperatorInline):
    """Steps of creating, changing and deleting."""

    model = Step
    fields = ("operation", "sentence", "started_at", "finished_at")
    readonly_fields = fields


class ComponentInline(OperatorInline):
    """What was last observed of each component."""

    model = ComponentStatus
    fields = ("ready", "desired", "restarts", "reason", "last_line")
    readonly_fields = fields


@admin.register(Deployment)
class DeploymentAdmin(OperatorAdmin):
    """What is desired, what was observed, who works on it now."""

    audited_as = "deployment"
    list_display = (
        "name",
        "release_name",
        "workspace",
        "status_now",
        "cluster",
        "runtime__version",
        "due_at",
        "failures",
    )
    list_filter = ("status", ("cluster", admin.RelatedOnlyFieldListFilter), "executor")
    list_select_related = ("workspace", "cluster", "runtime")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "pk")
    search_fields = ("name", "release_name", "id", "workspace__name")
    search_help_text = "Search by name, release name, id or Workspace."
    fieldsets = (
        (None, {"fields": ("status_now", "reason", "time_line", "audit")}),
        (
            "Desired",
            {
                "fields": (
                    "name",
                    "release_name",
                    "id",
                    "workspace",
                    "description",
                    "cluster",
                    "runtime",
                    "executor",
                    "scheduler_size",
                    "scheduler_replicas",
                    "generation",
                    "created_at",
                    "created_by",
                    "updated_at",
                    "updated_by",
                    "delete_requested_at",
                )
            },
        ),
        (
            "Observed",
            {
                "fields": (
                    "observed_generation",
                    "observed_at",
                    "status_since",
                    "first_healthy_at",
                    "deleted_at",
                    "airflow_url",
                    "plane_details",
                )
            },
        ),
        ("Reconciler", {"fields": ("due_at", "failures", "lease", "lease_epoch")}),
    )
    inlines = (QueueInline, ComponentInline, StepInline)
    csv_fields = (
        "id",
        "name",
        "release_name",
        "workspace__name",
        "status",
        "status_reason",
        "cluster__name",
        "runtime__version",
        "executor",
        "created_at",
        "deleted_at",
    )
    actions = (
        button(
            "Reconcile now",
            lambda deployment, by: operators.reconcile_now(deployment=deployment, by=by),
        ),
        button(
            "Release the lease",
            lambda deployment, by: operators.release_lease(deployment=deployment, by=by),
            ask="For a pass that hangs. What that pass still wants to record is refused, and another pass starts "
            "at once; every step may safely run twice. A lease ends by itself after a minute.",
        ),
        export_csv,
    )

    @admin.display(description="Status", ordering="status")
    def status_now(self, deployment: Deployment) -> SafeString:
        """The status that is true now, as people see it."""
        return states.badge(deployment.shown_status)

    @admin.display(description="Scheduler AU", ordering="scheduler_au")
    def scheduler_size(self, deployment: Deployment) -> int:
        """The size of each scheduler."""
        return deployment.scheduler_au

    @admin.display(description="Lease")
    def lease(self, deployment: Deployment) -> str:
        """Whether a pass holds the row."""
        if deployment.lease_until is None or deployment.lease_until <= timezone.now():
            return "No pass works on it."
        return f"A pass works on it, until {deployment.lease_until:%H:%M:%S} UTC at most."

    @admin.display(description="Status history")
    def time_line(self, deployment: Deployment) -> SafeString:
        """A link to its changes of status."""
        return list_link(StatusChange, "Changes of status", deployment__id__exact=deployment.pk)

    @admin.display(description="Audit")
    def audit(self, deployment: Deployment) -> SafeString:
        """A link to what people did to it."""
        return list_link(
            AuditEvent, "Audit log", object_type__exact="deployment", object_id__exact=deployment.pk
        )


@admin.register(Step)
class StepAdmin(OperatorAdmin):
    """Steps of all Deployments: which ones fail, where."""

    list_display = ("deployment", "operation", "title", "state_now", "started_at", "finished_at")
    list_filter = ("state", "operation")
    list_select_related = ("deployment",)
    date_hierarchy = "started_at"
    ordering = ("-pk",)
    search_fields = ("deployment__name", "deployment__release_name", "title", "sentence")
    search_help_text = "Search by Deployment, title or sentence."
    fields = ("deployment", "operation", "title", "state", "sentence", "receipt", "started_at", "finished_at")
    csv_fields = (
        "deployment__release_name",
        "operation",
        "title",
        "state",
        "sentence",
        "started_at",
        "finished_at",
    )
    actions = (export_csv,)

    @admin.display(description="State", ordering="state")
    def state_now(self, step: Step) -> SafeString:
        """Its state as the pages draw it."""
        return states.step_badge(step.state)


@admin.register(ComponentStatus)
class ComponentAdmin(OperatorAdmin):
    """Components of all Deployments: what fails, where."""

    list_display = ("deployment", "name", "state_now", "ready", "desired", "restarts", "reason")
    list_filter = ("state",)
    list_select_related = ("deployment",)
    ordering = ("-pk",)
    search_fields = ("deployment__name", "deployment__release_name", "name", "reason")
    search_help_text = "Search by Deployment, component or reason."
    fields = ("deployment", "name", "state", "ready", "desired", "restarts", "reason", "last_line")
    csv_fields = ("deployment__release_name", "name", "state", "ready", "desired", "restarts", "reason")
    actions = (export_csv,)

    @admin.display(description="State", ordering="state")
    def state_now(self, component: ComponentStatus) -> SafeString:
        """Its state as the pages draw it."""
        return states.component_badge(component.state)


def _drawn(status: str) -> str:
    """A status of the past as a badge; a word that is none any more stays a word."""
    return states.badge(status) if status in list(Status) else status


@admin.register(StatusChange)
class StatusChangeAdmin(OperatorAdmin):
    """Every change of status."""

    list_display = ("at", "deployment", "was", "became", "reason")
    list_filter = ("new",)
    list_select_related = ("deployment",)
    date_hierarchy = "at"
    ordering = ("-at", "-pk")
    search_fields = ("deployment__name", "deployment__release_name", "reason")
    search_help_text = "Search by Deployment or reason."
    fields = ("at", "deployment", "old", "new", "reason")
    csv_fields = ("at", "deployment__release_name", "old", "new", "reason")
    actions = (export_csv,)

    @admin.display(description="Old", ordering="old")
    def was(self, change: StatusChange) -> str:
        """The status before it."""
        return _drawn(change.old)

    @admin.display(description="New", ordering="new")
    def became(self, change: StatusChange) -> str:
        """The status after it."""
        return _drawn(change.new)
