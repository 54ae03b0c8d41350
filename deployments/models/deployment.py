"""A Deployment and what is generated for it: desired state, observed state, and when it is looked at next."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone

from deployments.domain.durations import StepProgress
from deployments.domain.spec import Size, au_size
from deployments.domain.states import Executor, Status
from deployments.models.clusters import Cluster, RuntimeRelease, WorkerType
from deployments.models.words import choices
from workspaces.audited import Subject
from workspaces.models import User, Workspace

UNKNOWN_AFTER = timedelta(seconds=120)  # no data for two minutes is Unknown, never the last value


class ReleaseName(models.Model):
    """Every release name ever minted, so that a deleted one is never given again."""

    name = models.CharField(max_length=63, primary_key=True)
    minted_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """One Airflow: what is desired of it, what was observed of it, and when it is looked at next."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="deployments")
    release_name = models.CharField(max_length=63, unique=True)
    idempotency_key = models.UUIDField()  # the same create form posted twice makes one Deployment

    # Desired state.
    name = models.CharField(max_length=64)
    name_key = models.CharField(max_length=256)  # `names.name_key(name)`: unique while it lives
    description = models.CharField(max_length=1000, blank=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="deployments")
    runtime = models.ForeignKey(RuntimeRelease, on_delete=models.PROTECT, related_name="deployments")
    executor = models.CharField(max_length=10, choices=choices(Executor))
    scheduler_au = models.PositiveSmallIntegerField()
    scheduler_replicas = models.PositiveSmallIntegerField()
    hibernating = models.BooleanField(default=False)
    hibernation_cause = models.CharField(
        max_length=100, blank=True
    )  # who or what asked: "Bob", "its schedule"
    wakes_on_open = models.BooleanField(default=False)  # a member who opens its Airflow wakes it
    # While an upgrade is on its way: what to go back to when its migration fails.
    upgrade_from = models.ForeignKey(
        RuntimeRelease, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    upgrade_error = models.CharField(max_length=1000, blank=True)  # why the last upgrade was given up
    # The deployed version that is to be active; both empty until the first deploy. Written by `reconciler.deploys`.
    code_version = models.CharField(max_length=40, blank=True)
    code_manifest = models.CharField(max_length=64, blank=True)
    code_plugins = models.CharField(max_length=64, blank=True)  # `CodeVersion.plugins`
    code_requirements = models.CharField(max_length=64, blank=True)  # names its PackageSets; "" for none
    # The deploy whose code and image are to be active, None until the first one; an image of its own by its digest, ""
    # for the runtime's. Written by `reconciler.deploys`.
    deploy_number = models.PositiveIntegerField(null=True)
    image = models.CharField(max_length=500, blank=True)
    # Where an image of its own is pulled from: host and user name, "" without a login. Its password is sealed.
    registry_host = models.CharField(max_length=255, blank=True)
    registry_user = models.CharField(max_length=255, blank=True)
    registry_mark = models.CharField(max_length=32, blank=True)  # changes with the password
    generation = models.PositiveIntegerField(default=1)
    delete_requested_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    # Observed state: `status.py` only.
    status = models.CharField(max_length=12, choices=choices(Status), default=Status.CREATING)
    status_reason = models.CharField(max_length=1000, blank=True)
    changed_at = models.DateTimeField(db_default=Now())  # of status, reason, a step or a component
    status_since = models.DateTimeField(db_default=Now())
    observed_at = models.DateTimeField(db_default=Now())
    observed_generation = models.PositiveIntegerField(default=0)
    first_healthy_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    airflow_url = models.CharField(max_length=255, blank=True)
    signs_in = models.BooleanField(default=False)  # its API server takes people from the console
    plane_details = models.JSONField(default=dict)  # facts of the data plane for the page, by label

    # For pages: how the step at work does. Not stored; put here by `stalled.attach`.
    step_progress: StepProgress | None = None
    phase: str = ""  # "Stopping" or "Waking up": what Deploying means now
    failing: bool = False  # a component fails while something is under way
    strip: str = ""  # its runs of the last 24 hours, drawn; put here by `presenters.strips`
    strip_words: str = ""

    # The reconciler's own: when to look next, who is looking now.
    due_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    lease_epoch = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # passes in a row that made no progress for an error
    # Who may come in, as last written for Airflow, and when; "" until then. `reconciler.people` only.
    people_digest = models.CharField(max_length=32, blank=True)
    people_written_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "Deployment"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name_key"],
                condition=models.Q(deleted_at__isnull=True),
                name="deployment_name_once_per_workspace",
            ),
            models.UniqueConstraint(fields=["workspace", "idempotency_key"], name="one_deployment_per_form"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(deleted_at__isnull=True), name="deployment_due"
            ),
            models.Index(fields=["workspace", "changed_at"], name="deployment_changes"),
            models.Index("workspace", Lower("name"), name="deployment_list"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.release_name})"

    def get_absolute_url(self) -> str:
        """The address of its page, under the name that Django and its admin look for."""
        return self.url

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("deployment", self.pk, self.name, self.workspace_id)

    @property
    def executor_label(self) -> str:
        """The executor's word."""
        return Executor(self.executor).label

    @property
    def scheduler_size(self) -> Size:
        """What one scheduler gets."""
        return au_size(self.scheduler_au)

    @property
    def updated_by_label(self) -> str:
        """Who last changed it, as a name."""
        return self.updated_by.label if self.updated_by else "a former member"

    @property
    def is_deleting(self) -> bool:
        """A person asked for it to go, and it may not be gone yet."""
        return self.delete_requested_at is not None

    @property
    def shown_status(self) -> Status:
        """The status that is true now: a last value older than two minutes is no longer known.

        The observer's heartbeat for the whole cluster counts as news of each quiet Deployment on it.
        """
        if self.deleted_at is not None:
            return Status.DELETED
        status = Status(self.status)
        if status is Status.DELETING or timezone.now() - self.fresh_at <= UNKNOWN_AFTER:
            return status
        return Status.UNKNOWN

    @staticmethod
    def shown_status_in_sql() -> models.Case:
        """`shown_status` of rows that are not gone, for a query: a list filters by the word that it shows."""
        stale = timezone.now() - UNKNOWN_AFTER
        overdue = models.Q(due_at__lt=stale)
        watched = models.Q(observed_at__gte=stale) | ~overdue & models.Q(cluster__last_seen_at__gte=stale)
        return models.Case(
            models.When(models.Q(status=Status.DELETING) | watched, then=models.F("status")),
            default=models.Value(Status.UNKNOWN.value),
        )

    @property
    def shown_label(self) -> str:
        """The word on the badge."""
        return self.phase or self.shown_status.label

    @property
    def reason(self) -> str:
        """The sentence beside the status; empty when Healthy."""
        if self.shown_status is Status.UNKNOWN:
            advice = (
                self.cluster.unreachable_reason
                or "Check that it runs and that the observer and a worker run."
            )
            return (
                f"No answer from cluster {self.cluster.name} since {self.fresh_at:%Y-%m-%d %H:%M:%S} UTC. "
                f"{advice}"
            )
        if self.shown_status is Status.HIBERNATING:
            return self.asleep_sentence
        return self.status_reason

    @property
    def asleep_sentence(self) -> str:
        """Who put it to sleep, and when it wakes. One query."""
        asked = f"Hibernated by {self.hibernation_cause}." if self.hibernation_cause else "Hibernating."
        schedule = getattr(self, "schedule", None)
        if schedule is None or not schedule.enabled or schedule.next_wake_at is None:
            return f"{asked} It stays hibernated until someone wakes it; no data is lost."
        at = schedule.local(schedule.next_wake_at)
        return f"{asked} It wakes up on {at:%A}, {at.day} {at:%B at %H:%M} ({schedule.time_zone}); no data is lost."

    def url_for(self, name: str, *more: object) -> str:
        """The address of one of its pages, by its name in urls.py; `more` is what the address holds beside it."""
        return reverse(f"deployments:{name}", args=[self.release_name, *more])

    @property
    def url(self) -> str:
        """Its page."""
        return self.url_for("detail")

    @property
    def badge_url(self) -> str:
        """Its badge alone."""
        return self.url_for("badge")

    @property
    def live_url(self) -> str:
        """The part of its page that moves."""
        return self.url_for("live")

    @property
    def fresh_at(self) -> datetime:
        """The time of the last news of it. The observer's word that its cluster is quiet counts for it only while
        the reconciler keeps up: a row long overdue is not quiet, it is not looked at."""
        if self.due_at < timezone.now() - UNKNOWN_AFTER:  # something may have changed, and no one has looked
            return self.observed_at
        return max(self.observed_at, self.cluster.last_seen_at or self.observed_at)


class WorkerQueue(models.Model):
    """A named group of Celery workers. `default` always exists under the Celery executor."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="queues")
    name = models.CharField(max_length=63)
    worker_type = models.ForeignKey(WorkerType, on_delete=models.PROTECT, related_name="+")
    min_workers = models.PositiveSmallIntegerField()
    max_workers = models.PositiveSmallIntegerField()
    concurrency = models.PositiveSmallIntegerField()

    # The scaler's: how many workers are desired, and since when fewer would do.
    desired_workers = models.PositiveSmallIntegerField()
    scale_down_since = models.DateTimeField(null=True)
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    live_workers = models.PositiveSmallIntegerField(default=0)
    draining = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["deployment", "name"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "name"], name="queue_once_per_deployment"),
            models.CheckConstraint(
                condition=models.Q(min_workers__lte=models.F("max_workers")), name="queue_min_at_most_max"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.deployment}"


class DeploymentSecret(models.Model):
    """One generated secret of a Deployment, encrypted."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=40)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "name"], name="secret_once_per_deployment")
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.deployment_id}"
