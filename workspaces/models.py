"""Users, Workspaces, who belongs to which, and what was done. Rows are written by `actions` and `audit` only."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone

from workspaces.email_addresses import normalize_email
from workspaces.permissions import Role


class UserManager(BaseUserManager["User"]):
    """Makes users by email address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user with a usable password, or none."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """An operator: `manage.py createsuperuser`."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """By address, however it was typed."""
        return self.get(email=normalize_email(username or ""))


class Theme(models.TextChoices):
    """Which colours a user wants."""

    SYSTEM = "system", "Match system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Identified by email address, stored normalised."""

    email = models.EmailField("email", unique=True)
    name = models.CharField(max_length=100, blank=True)
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    time_zone = models.CharField(max_length=64, default="UTC")
    is_staff = models.BooleanField("site administrator", default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """How pages call this person."""
        return self.name or self.email

    def get_full_name(self) -> str:
        """For Django admin."""
        return self.label


class Workspace(models.Model):
    """A named set of Deployments and the people who may reach them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=50)
    created_at = models.DateTimeField(auto_now_add=True)
    suspended_at = models.DateTimeField(null=True)  # by an operator: all can be seen, nothing changed
    first_steps_done_at = models.DateTimeField(
        null=True
    )  # what to do with a first Deployment is no longer offered
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")

    class Meta:
        verbose_name = "Workspace"
        ordering = [Lower("name"), "id"]

    def __str__(self) -> str:
        return self.name

    def url_for(self, name: str, *more: object) -> str:
        """The address of one of its pages, by the name of the URL pattern; `more` is what the address holds beside
        it."""
        return reverse(name, args=[self.pk, *more])

    @property
    def url(self) -> str:
        """Its first page."""
        return self.url_for(settings.WORKSPACE_HOME)


class Membership(models.Model):
    """One person's role in one Workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=6, choices=[(role.value, role.label) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="one_membership_per_person"),
            models.CheckConstraint(condition=models.Q(role__in=list(Role)), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.workspace}"

    @property
    def role_label(self) -> str:
        """The role's word."""
        return Role(self.role).label


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def open(self) -> "InvitationQuerySet":
        """Neither used nor revoked; maybe expired."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True)


class Invitation(models.Model):
    """An address that may join a Workspace once. Two links open it: one is mailed, one an Admin copies. Only their
    hashes are stored; `nonce` makes both again, and only together with SECRET_KEY (see `tokens`)."""

    class Mail(models.TextChoices):
        """Where the mail of the present link is."""

        QUEUED = "queued", "On its way"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("email")  # normalised
    role = models.CharField(max_length=6, choices=[(role.value, role.label) for role in Role])
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)  # a person with the expired link wants a new one

    nonce = models.CharField(max_length=43)
    mailed_hash = models.CharField(max_length=64, unique=True)
    copied_hash = models.CharField(max_length=64, unique=True)
    last_sent_at = models.DateTimeField()  # when the present links were made: a new one at most once a minute

    # The mail is sent by a task; the row decides when, and says how it went.
    mail_state = models.CharField(max_length=6, choices=Mail, default=Mail.QUEUED)
    mail_sentence = models.CharField(max_length=300, blank=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mail_due_at = models.DateTimeField(db_default=Now())

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "email"],
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="one_open_invitation_per_address",
            ),
            models.CheckConstraint(condition=models.Q(role__in=list(Role)), name="invitation_role_known"),
        ]
        indexes = [
            models.Index(
                fields=["email"],
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_by_address",
            ),
            models.Index(
                fields=["mail_due_at"], condition=models.Q(mail_state="queued"), name="invitation_mail_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace}"

    @property
    def is_open(self) -> bool:
        """Neither used nor revoked."""
        return self.accepted_at is None and self.revoked_at is None

    @property
    def is_expired(self) -> bool:
        """Its time is over."""
        return self.expires_at <= timezone.now()

    @property
    def role_label(self) -> str:
        """The role's word."""
        return Role(self.role).label

    @property
    def inviter_label(self) -> str:
        """Who invited, as a name."""
        return self.invited_by.label if self.invited_by else "a former member"


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

    # Mail about it: how many days before its end the last mail was sent, and when the next try is due.
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
    def is_expired(self) -> bool:
        """Its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_live(self) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and not self.is_expired

    @property
    def is_personal(self) -> bool:
        """A person's own."""
        return self.workspace_id is None

    @property
    def role_label(self) -> str:
        """The role's word."""
        return Role(self.role).label


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
        """Refused."""
        raise TypeError("Audit events are append-only.")
