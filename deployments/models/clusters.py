"""Where Airflow can run, which Airflow, and on what sizes of worker."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from deployments.domain.spec import RuntimeSpec, Size
from workspaces.audited import Subject
from workspaces.models import Workspace

MISSING = "missing"  # the state of a check: something without which nothing can run there


class ClusterQuerySet(models.QuerySet["Cluster"]):
    """Clusters by what they may be used for."""

    def registered(self) -> "ClusterQuerySet":
        """Those that were not deregistered."""
        return self.filter(deregistered_at__isnull=True)

    def sound(self) -> "ClusterQuerySet":
        """Those on which something can run, as far as we looked: a Kubernetes cluster was checked, and misses
        nothing."""
        checked = models.Q(checked_at__isnull=False) & ~models.Q(checks__contains=[{"state": MISSING}])
        return self.registered().filter(models.Q(kind=Cluster.Kind.LOCAL) | checked)


SILENT_AFTER = timedelta(seconds=15)  # longer than between two heartbeats of an observer


class Cluster(models.Model):
    """A place where Airflow can run: this machine, or a registered Kubernetes cluster."""

    class Kind(models.TextChoices):
        """Which driver speaks to it."""

        LOCAL = "local", "This machine"
        KUBERNETES = "kubernetes", "Kubernetes"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=Kind)
    sealed_config = models.BinaryField()  # JSON, encrypted: database URL and driver settings
    restricted = models.BooleanField(default=False)  # open to `workspaces` only
    workspaces = models.ManyToManyField(Workspace, blank=True, related_name="clusters")
    created_at = models.DateTimeField(auto_now_add=True)
    deregistered_at = models.DateTimeField(null=True)  # then only the history of deleted Deployments names it
    last_seen_at = models.DateTimeField(null=True)  # the observer's heartbeat
    unreachable_reason = models.CharField(
        max_length=1000, blank=True
    )  # why the observer receives nothing, as one sentence
    checks = models.JSONField(default=list)  # what was found out about it, one entry per line of the page
    checked_at = models.DateTimeField(null=True)
    checking_since = models.DateTimeField(null=True)  # while a check runs
    breaker_retry_at = models.DateTimeField(null=True)  # it did not answer a pass: `trials`

    # Which observer leads: `leadership`.
    observer = models.CharField(max_length=100, blank=True)
    observer_until = models.DateTimeField(null=True)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(deregistered_at__isnull=True), name="cluster_name_once"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("cluster", self.pk, self.name)

    @property
    def silent_since(self) -> datetime | None:
        """Since when its observer receives nothing of it; None while it does, and for the seconds that a restart
        takes."""
        if (
            not self.unreachable_reason
            or self.last_seen_at is None
            or timezone.now() - self.last_seen_at < SILENT_AFTER
        ):
            return None
        return self.last_seen_at


class RuntimeRelease(models.Model):
    """One release of Airflow that we ship: the catalogue's row."""

    class Channel(models.TextChoices):
        """How long it is maintained."""

        STABLE = "stable", "Stable"
        LTS = "lts", "Long-term support"

    version = models.CharField(max_length=20, unique=True)  # "3.3-1"
    airflow_version = models.CharField(max_length=20)  # "3.3.2"
    image = models.CharField(max_length=255, blank=True)
    channel = models.CharField(max_length=6, choices=Channel, default=Channel.STABLE)
    released_on = models.DateField()
    maintained_until = models.DateField()
    yanked = models.BooleanField(default=False)

    class Meta:
        ordering = ["-released_on", "-version"]

    def __str__(self) -> str:
        return self.spec.label

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("runtime", self.pk, str(self))

    @property
    def spec(self) -> RuntimeSpec:
        """The value that a data plane receives."""
        return RuntimeSpec(self.version, self.airflow_version, self.image)

    @property
    def deprecated(self) -> bool:
        """Its maintenance has ended."""
        return self.maintained_until < timezone.now().date()

    @property
    def warning(self) -> str:
        """What the person who runs it should know; "" while it is maintained."""
        if self.yanked:
            return f"Runtime {self.version} was withdrawn: it has a fault that newer ones do not have. Upgrade soon."
        if self.deprecated:
            until = f"{self.maintained_until.day} {self.maintained_until:%B %Y}"
            return f"Runtime {self.version} has not been maintained since {until}: it gets no more fixes. Upgrade it."
        return ""

    @property
    def warning_label(self) -> str:
        """The same in two words for a row of a list."""
        if self.yanked:
            return "Withdrawn"
        until = f"{self.maintained_until.day} {self.maintained_until:%b %Y}"
        return f"Deprecated since {until}" if self.deprecated else ""


class WorkerType(models.Model):
    """A size of Celery worker that a cluster offers."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="worker_types")
    name = models.CharField(max_length=40)
    cpu_millis = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    position = models.PositiveSmallIntegerField(default=0)
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering = ["cluster", "position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "name"], name="worker_type_once_per_cluster"),
            models.UniqueConstraint(
                fields=["cluster"], condition=models.Q(is_default=True), name="one_default_worker_type"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.size.cpu_text} CPU, {self.size.memory_text} GiB)"

    @property
    def size(self) -> Size:
        """What one worker of this type gets."""
        return Size(self.cpu_millis, self.memory_mib)
