"""Where a Deployment's code comes from by itself: a branch of a Git repository. `actions.git_sources` writes what is
desired; `reconciler.git_sources` what was found."""

from django.db import models
from django.utils import timezone

from deployments.domain.git_address import SSH, GitAddress, parse
from deployments.models.deployment import Deployment
from workspaces.models import User


class GitSource(models.Model):
    """A branch that is followed. Its token, its private key and the secret of its webhook are sealed
    (`secrets.vault`)."""

    deployment = models.OneToOneField(
        Deployment, on_delete=models.CASCADE, related_name="git_source", primary_key=True
    )
    # What is desired.
    address = models.CharField(max_length=600)  # `GitAddress.text`
    branch = models.CharField(max_length=250)
    subfolder = models.CharField(max_length=500, blank=True)
    every_minutes = models.PositiveSmallIntegerField(null=True)  # None: only by webhook or a click
    automatic = models.BooleanField(default=True)  # a newer commit is deployed without a click
    token_user = models.CharField(max_length=100)
    has_token = models.BooleanField(default=False)
    public_key = models.CharField(max_length=300, blank=True)  # of the pair that Airdeck made, for ssh
    host_key = models.CharField(max_length=2000, blank=True)  # the server's, once a person confirmed it
    has_hook = models.BooleanField(default=False)
    hook_key = models.UUIDField(null=True)  # of the request that made the secret of the webhook
    hook_key_until = models.DateTimeField(null=True)  # until then the same key is answered that secret again
    asked_at = models.DateTimeField(null=True)  # a person asked for the newest commit to be deployed
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    revision = models.PositiveIntegerField(default=1)  # grows with every change of the above but `asked_…`
    updated_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    # Who looks, and when.
    due_at = models.DateTimeField(null=True)  # None: not until a person asks
    lease_until = models.DateTimeField(null=True)
    lease_epoch = models.PositiveIntegerField(default=0)

    # What was found.
    tried_at = models.DateTimeField(null=True)  # the last look began
    checked_at = models.DateTimeField(null=True)  # the last look that learned where the branch stands
    head = models.CharField(max_length=64, blank=True)  # the newest commit that was seen
    handled = models.CharField(max_length=64, blank=True)  # the commit that was last deployed, or found unfit
    handled_at = models.DateTimeField(null=True)
    handled_note = models.CharField(max_length=1000, blank=True)  # why no deploy came of that commit
    same_code = models.BooleanField(
        default=False, db_default=False
    )  # the note: the Deployment has it already
    failures = models.PositiveSmallIntegerField(default=0)  # looks in a row
    problem = models.CharField(max_length=1000, blank=True)  # why the last look led to nothing
    offered_host_key = models.CharField(max_length=2000, blank=True)  # what the server shows, not confirmed

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="git_source_due")]

    def __str__(self) -> str:
        return f"Git source of {self.deployment_id}"

    def forget_findings(self) -> None:
        """What was found of another repository or branch says nothing of this one. Not saved."""
        self.head = self.handled = self.handled_note = ""
        self.same_code = False

    @property
    def parsed(self) -> GitAddress:
        """The address in its parts."""
        return parse(self.address)

    @property
    def is_ssh(self) -> bool:
        """Whether it is read over ssh, with a deploy key and a host key."""
        return self.parsed.scheme == SSH

    @property
    def is_looked_at(self) -> bool:
        """Whether a worker looks right now, or is about to."""
        now = timezone.now()
        under_way = self.lease_until is not None and self.lease_until > now
        return under_way or (self.due_at is not None and self.due_at <= now)

    @property
    def is_newer(self) -> bool:
        """Whether there is a commit that was neither deployed nor found unfit."""
        return bool(self.head) and self.head != self.handled
