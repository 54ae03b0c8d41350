"""Workspaces, who belongs to which as what, and who is invited."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone

from workspaces.audited import Subject
from workspaces.models.users import User
from workspaces.permissions import Permission, Role, roles_with


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

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("workspace", self.pk, self.name, self.pk)

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
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("member", self.user_id, self.user.email, self.workspace_id)

    @property
    def role_label(self) -> str:
        """The role's word."""
        return Role(self.role).label


def _inviter_may() -> models.Exists:
    inviters = Membership.objects.filter(
        workspace=models.OuterRef("workspace"),
        user=models.OuterRef("invited_by"),
        user__is_active=True,
        role__in=roles_with(Permission.MANAGE_MEMBERS),
    )
    return models.Exists(inviters)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def open(self) -> "InvitationQuerySet":
        """Neither used nor revoked; maybe expired."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True)

    def with_inviter(self) -> "InvitationQuerySet":
        """Each row knows by `is_backed` whether who sent it may still invite people there. An invitation counts no
        longer than that: it would be a door that a person left open who was shown out."""
        known = {
            "is_backed": _inviter_may()
        }  # as mypy's plugin does not see it: the model has that attribute
        return self.select_related("invited_by").annotate(**known)

    def usable(self) -> "InvitationQuerySet":
        """Those by which a person may join now."""
        return self.open().with_inviter().filter(_inviter_may(), expires_at__gt=timezone.now())


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
    # Who sent the present links: their right to invite is what they stand on.
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
    is_backed: bool  # of rows that were read `with_inviter`

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
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("invitation", self.pk, self.email, self.workspace_id)

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
