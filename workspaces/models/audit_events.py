"""What was done, by whom. Append-only."""

from typing import Any

from django.db import models


class AuditEvent(models.Model):
    """Who did what to what, and when. Append-only; texts in place of foreign keys, so it never blocks a delete."""

    at = models.DateTimeField(auto_now_add=True)
    workspace_id = models.UUIDField(null=True, db_index=False)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=254)
    token_id = models.UUIDField(null=True)  # the API token with which the actor acted
    verb = models.CharField(max_length=40)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=254)
    old = models.JSONField(default=dict)
    new = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    ip = models.CharField(max_length=45, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace_id", "-at"], name="audit_by_workspace"),
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.verb} {self.object_type} {self.object_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; an existing event cannot be changed."""
        if not self._state.adding:
            raise TypeError("Audit events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises TypeError: audit events are append-only."""
        raise TypeError("Audit events are append-only.")
