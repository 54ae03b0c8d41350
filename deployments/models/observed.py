"""What was observed of a Deployment: written by `status` and `steps` alone."""

from django.db import models
from django.db.models.functions import Now

from deployments.domain.states import ComponentState, Operation, StepState
from deployments.models.clusters import Cluster
from deployments.models.deployment import Deployment
from deployments.models.words import choices


class Step(models.Model):
    """One step of creating, changing or deleting, as the page shows it. `receipt` lists what a delete removed.
    `generation` is the Deployment's that the step works for: those of an earlier change say nothing of a later one."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="steps")
    operation = models.CharField(max_length=6, choices=choices(Operation))
    generation = models.PositiveIntegerField(default=0)
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=40)
    title = models.CharField(max_length=100)
    state = models.CharField(max_length=7, choices=choices(StepState), default=StepState.PENDING)
    sentence = models.CharField(max_length=1000, blank=True)
    receipt = models.JSONField(default=list)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["deployment", "operation", "position"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "operation", "key"], name="step_once_per_operation")
        ]

    def __str__(self) -> str:
        return f"{self.title}: {self.state}"


class StepTiming(models.Model):
    """How long one step took once, on one cluster: the source of what is usual."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+")
    operation = models.CharField(max_length=6, choices=choices(Operation))
    key = models.CharField(max_length=40)
    seconds = models.FloatField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["cluster", "operation", "key", "-at"], name="step_timing_recent")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}: {self.seconds:.1f} s"


class ComponentStatus(models.Model):
    """What was last observed of one component."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="components")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80)
    state = models.CharField(max_length=8, choices=choices(ComponentState))
    ready = models.PositiveSmallIntegerField()
    desired = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=1000, blank=True)
    last_line = models.CharField(max_length=1000, blank=True)
    restarts = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "component"
        ordering = ["deployment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "name"], name="component_once_per_deployment")
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class StatusChange(models.Model):
    """One change of status: the Deployment's time line, and the source of expected durations."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="status_changes")
    at = models.DateTimeField(db_default=Now())
    old = models.CharField(max_length=12)
    new = models.CharField(max_length=12)
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["deployment", "-at"]
        indexes = [models.Index(fields=["deployment", "-at"], name="status_change_by_time")]

    def __str__(self) -> str:
        return f"{self.old} -> {self.new}"
