"""Alerts: what is watched for, where it is sent, what is open, and what was sent. Rules and channels are written by
`actions`; alerts and deliveries by `reconciler.alerts` and `reconciler.alert_delivery`."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.wording import rough
from deployments.domain import alert_rules
from deployments.domain.alert_life import Standing, Window
from deployments.domain.alert_rules import KINDS, ChannelKind, RuleKind
from deployments.domain.alert_words import Message
from deployments.models.deployment import Deployment
from deployments.models.words import choices
from workspaces.audited import Subject
from workspaces.models import User, Workspace


class AlertChannel(models.Model):
    """Where alerts of a Workspace are sent. The address of a webhook opens it, so it is sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_channels")
    kind = models.CharField(max_length=8, choices=choices(ChannelKind))
    name = models.CharField(max_length=alert_rules.CHANNEL_NAME_LENGTH)
    addresses = models.JSONField(default=list)  # of mailboxes; empty for the Admins, who are looked up
    sealed_url = models.BinaryField(null=True)
    shown_url = models.CharField(max_length=300, blank=True)  # what pages show of it
    sealed_secret = models.BinaryField(null=True)  # with which a webhook is signed
    retry_key = models.UUIDField(null=True)  # of the request that made it, or its secret
    retry_until = models.DateTimeField(null=True)  # until then the same key is answered the secret again
    created_at = models.DateTimeField(db_default=Now())
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["workspace", "name"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="alert_channel_name_once"),
            models.UniqueConstraint(
                fields=["workspace"],
                condition=models.Q(kind=ChannelKind.ADMINS.value),
                name="one_channel_to_admins",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("alert channel", self.pk, self.name, self.workspace_id)

    @property
    def word(self) -> ChannelKind:
        """Its kind as the word it is."""
        return ChannelKind(self.kind)

    @property
    def leads_to(self) -> str:
        """For pages: the mailboxes, or where the webhook is."""
        if self.word is ChannelKind.ADMINS:
            return "Every Admin of the Workspace"
        return ", ".join(self.addresses) if self.word.is_mail else self.shown_url


class AlertRule(models.Model):
    """What is watched for: in every Deployment of a Workspace, or in one. The one of a Deployment counts in place of
    the Workspace's of the same kind and DAG, also when it is off (ADR 32)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, null=True, blank=True, related_name="alert_rules"
    )
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, null=True, blank=True, related_name="alert_rules"
    )
    kind = models.CharField(max_length=20, choices=choices(RuleKind))
    amount = models.PositiveIntegerField(null=True)  # of the kind's unit
    dag = models.CharField(max_length=alert_rules.DAG_LENGTH, blank=True)
    enabled = models.BooleanField(default=True)
    since = models.DateTimeField(db_default=Now())  # switched on; what failed before is no news
    channels = models.ManyToManyField(AlertChannel, blank=True, related_name="rules")
    created_at = models.DateTimeField(db_default=Now())
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    # How many of its events were sent by themselves since when: `alert_life.spend`.
    window_since = models.DateTimeField(null=True)
    window_used = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["kind", "dag"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(workspace__isnull=True, deployment__isnull=False)
                | models.Q(workspace__isnull=False, deployment__isnull=True),
                name="alert_rule_of_one_place",
            ),
            models.UniqueConstraint(
                fields=["workspace", "kind", "dag"], name="alert_rule_once_per_workspace"
            ),
            models.UniqueConstraint(
                fields=["deployment", "kind", "dag"], name="alert_rule_once_per_deployment"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def word(self) -> RuleKind:
        """Its kind as the word it is."""
        return RuleKind(self.kind)

    @property
    def about(self) -> alert_rules.RuleDescription:
        """What pages say of its kind."""
        return KINDS[self.word]

    @property
    def title(self) -> str:
        """In words: "Unhealthy for 5 minutes"."""
        return alert_rules.title(self.word, self.amount, self.dag)

    @property
    def window(self) -> Window:
        """What it has sent lately."""
        return Window(self.window_since, self.window_used)


class Alert(models.Model):
    """One thing that a rule saw, from its beginning to its end. Per rule, Deployment and subject one is open."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alerts")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, null=True, related_name="alerts")
    kind = models.CharField(max_length=20, choices=choices(RuleKind))
    subject = models.CharField(max_length=300, blank=True)  # a DAG, a queue, a token: what distinguishes two
    headline = models.CharField(max_length=400)
    sentence = models.CharField(max_length=1000, blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    reminders = models.PositiveSmallIntegerField(default=0)
    resolved_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=200, blank=True)  # why it ended, when not by itself
    silenced_until = models.DateTimeField(null=True)
    silenced_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "deployment", "subject"],
                condition=models.Q(resolved_at__isnull=True),
                nulls_distinct=False,
                name="one_open_alert",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-opened_at"], name="alert_by_workspace"),
            models.Index(
                fields=["workspace"], condition=models.Q(resolved_at__isnull=True), name="alert_open"
            ),
        ]

    def __str__(self) -> str:
        return self.headline

    @property
    def went_away(self) -> bool:
        """Whether its Deployment was transferred since: what that is called now, and its own rules, are another
        Workspace's."""
        return self.deployment is not None and self.deployment.workspace_id != self.workspace_id

    @property
    def standing(self) -> Standing:
        """What its life depends on."""
        return Standing(self.opened_at, self.reminders, self.silenced_until)

    @property
    def lasted(self) -> str:
        """How long it was open, in words; "" while it is."""
        return rough((self.resolved_at - self.opened_at).total_seconds()) if self.resolved_at else ""

    @property
    def is_silenced(self) -> bool:
        """Whether a person silenced it, and that time is not over."""
        return self.silenced_until is not None and self.silenced_until > timezone.now()


class AlertSilence(models.Model):
    """A Deployment of which nothing is sent until a time: before work that people expect."""

    deployment = models.OneToOneField(
        Deployment, on_delete=models.CASCADE, related_name="alert_silence", primary_key=True
    )
    until = models.DateTimeField()
    by = models.CharField(max_length=254)

    def __str__(self) -> str:
        return f"silence of {self.deployment_id}"


class AlertDelivery(models.Model):
    """One message to one mailbox or webhook: the outbox, and what came back."""

    class State(models.TextChoices):
        """How far it is."""

        QUEUED = "queued", "On its way"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"
        HELD = "held", "Waits for the digest"
        DIGESTED = "digested", "In a digest"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_deliveries")
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, null=True, related_name="alert_deliveries"
    )
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="deliveries")
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="deliveries")
    alert = models.ForeignKey(Alert, on_delete=models.SET_NULL, null=True, related_name="deliveries")
    event = models.CharField(max_length=10)
    address = models.CharField(max_length=300)  # the mailbox, or what is shown of the webhook
    content = models.JSONField()  # `Message.stored`
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    tried_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)  # HTTP's
    answer = models.CharField(max_length=300, blank=True)  # the first line that came back, or why none did

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "alert deliveries"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="queued"), name="alert_delivery_due"),
            models.Index(fields=["rule"], condition=models.Q(state="held"), name="alert_delivery_held"),
            models.Index(fields=["workspace", "-created_at"], name="alert_delivery_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.address}"

    @property
    def message(self) -> Message:
        """What it says."""
        return Message.read(self.content)
