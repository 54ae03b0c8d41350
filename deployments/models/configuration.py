"""What people configure beside the Deployment's own columns: environment variables and sleep."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import models

from deployments.models.deployment import Deployment
from workspaces.models import User


class EnvironmentVariable(models.Model):
    """One variable that the user sets. A secret's value is in `sealed` alone; `mark` changes with it."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="variables")
    key = models.CharField(max_length=255)
    value = models.TextField(blank=True)  # empty when secret
    is_secret = models.BooleanField(default=False)
    sealed = models.BinaryField(null=True)
    secret_digest = models.CharField(max_length=64, blank=True)
    updated_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["deployment", "key"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "key"], name="variable_once_per_deployment")
        ]

    def __str__(self) -> str:
        return self.key


class VariableRevision(models.Model):
    """All variables of a Deployment as one change left them, encrypted, so that they can be applied again.

    `changes` names what differed from the revision before: {"added": [keys], "changed": [keys], "removed": [keys]}.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="variable_revisions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    changes = models.JSONField(default=dict)
    sealed = models.BinaryField()

    class Meta:
        ordering = ["deployment", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="revision_once_per_deployment")
        ]

    def __str__(self) -> str:
        return f"Revision {self.number}"


class HibernationSchedule(models.Model):
    """When a Deployment goes to sleep and wakes by itself: cron expressions in a time zone; either may be empty."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="schedule")
    hibernate_cron = models.CharField(max_length=100, blank=True)
    wake_cron = models.CharField(max_length=100, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    enabled = models.BooleanField(default=True)
    next_hibernate_at = models.DateTimeField(null=True)
    next_wake_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Schedule of {self.deployment_id}"

    def local(self, moment: datetime) -> datetime:
        """A moment as the clocks of the schedule's time zone show it."""
        return moment.astimezone(ZoneInfo(self.time_zone))
