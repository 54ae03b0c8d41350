"""API tokens: of a Workspace, of what is in one, and of a person."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from workspaces.audited import Subject
from workspaces.models.users import User
from workspaces.models.workspaces import Workspace
from workspaces.permissions import Role

NOT_MAILED = 1000  # in `warned_days`, and more than any: no mail was sent yet about its new value


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Reads of API tokens."""

    def live(self) -> "ApiTokenQuerySet":
        """Neither revoked nor expired."""
        unexpired = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at__isnull=True)


class ApiToken(models.Model):
    """A program's way in: it acts as the person who made it, and never beyond that person's present role. Only the
    SHA-256 of its value is stored. One of a Workspace may be limited to one content of it (`hooks.WorkspaceContent`);
    one without a Workspace is a person's own, for all Workspaces of that person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=1)  # the letter in its value: u person, w Workspace, or the content's
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, related_name="tokens")
    content_kind = models.CharField(max_length=20, blank=True)
    content_id = models.UUIDField(null=True)
    maker = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="tokens")
    maker_label = models.CharField(max_length=254)  # the address, also when the account is gone
    name = models.CharField(max_length=256)
    description = models.CharField(max_length=500, blank=True)
    role = models.CharField(max_length=6, choices=[(role.value, role.label) for role in Role])
    digest = models.CharField(max_length=64, unique=True)
    beginning = models.CharField(max_length=12)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=200, blank=True)
    last_used_at = models.DateTimeField(null=True)  # to the minute
    last_used_ip = models.CharField(max_length=45, blank=True)

    # Mail about it: how many days before its end the last mail was sent, or NOT_MAILED; and when the next try is due.
    warned_days = models.PositiveSmallIntegerField(null=True)
    mail_due_at = models.DateTimeField(db_default=Now())

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=list(Role)), name="token_role_known"),
            models.CheckConstraint(
                condition=models.Q(content_id__isnull=True, content_kind="")
                | models.Q(content_id__isnull=False, workspace__isnull=False) & ~models.Q(content_kind=""),
                name="token_content_in_workspace",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "content_id", "-created_at"], name="token_by_scope"),
            models.Index(
                fields=["expires_at"], condition=models.Q(revoked_at__isnull=True), name="token_by_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.beginning}…)"

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("token", self.pk, self.name, self.workspace_id)

    @property
    def is_expired(self) -> bool:
        """Its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def role_label(self) -> str:
        """The role's word."""
        return Role(self.role).label
