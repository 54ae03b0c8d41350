"""What was deployed to a Deployment. `actions.deploys` makes the rows; `reconciler.deploys` moves them on."""

import uuid
import zlib
from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from deployments.domain.code_manifest import CodeVersion, Manifest
from deployments.domain.deploy_states import UNDER_WAY, WAITING, DeploySource, DeployStatus
from deployments.domain.import_words import not_imported
from deployments.domain.states import StepState
from deployments.models.deployment import Deployment
from deployments.models.words import choices
from workspaces.models import User

UPLOAD_LIFE = timedelta(minutes=60)  # how long an upload waits for its Deploy button


class CodeManifest(models.Model):
    """The files of one version by path and SHA-256. Equal content is one row. The contents are in the data plane."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="code_manifests")
    digest = models.CharField(max_length=64)
    packed = models.BinaryField()  # `Manifest.document`, with zlib
    files = models.PositiveIntegerField()
    python_files = models.PositiveIntegerField()
    size = models.PositiveBigIntegerField()  # bytes of all files

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "digest"], name="manifest_once_per_deployment")
        ]

    def __str__(self) -> str:
        return self.digest[:12]

    def opened(self) -> Manifest:
        """The manifest itself."""
        return Manifest.read(zlib.decompress(self.packed).decode())


class CodeUpload(models.Model):
    """Code that was received and that no one has deployed yet: its difference is shown, and its key makes one deploy of
    however many clicks. `base` is the digest of what it was compared with, "" for nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="code_uploads")
    by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    manifest = models.ForeignKey(CodeManifest, on_delete=models.CASCADE, related_name="+")
    base = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200)  # of the file that was uploaded
    packed_size = models.PositiveBigIntegerField()
    left_out = models.PositiveIntegerField()
    notes = models.JSONField(default=list)  # sentences that the person who deploys it should read
    requirements = models.CharField(max_length=64, blank=True)  # as in Deploy
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} for {self.deployment_id}"


class Deploy(models.Model):
    """One deploy: what code, by whom, and how far it is."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="deploys")
    number = models.PositiveIntegerField()  # within the Deployment, from 1
    idempotency_key = models.UUIDField()  # the same form posted twice is one deploy
    source = models.CharField(max_length=10, choices=choices(DeploySource))
    origin = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")  # gone back to
    description = models.CharField(max_length=500, blank=True)
    git = models.JSONField(default=dict)  # remote, branch, sha, author, subject, link, notes
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=254)  # who, also when the account is gone
    created_at = models.DateTimeField(db_default=Now())

    # The code. `manifest` is None once it is no longer kept; digest and version are "" where there is none but what the
    # image holds.
    manifest = models.ForeignKey(CodeManifest, on_delete=models.SET_NULL, null=True, related_name="deploys")
    digest = models.CharField(max_length=64, blank=True)
    version = models.CharField(max_length=40, blank=True)  # its name in Airflow
    files = models.PositiveIntegerField()
    python_files = models.PositiveIntegerField()
    size = models.PositiveBigIntegerField()
    requirements = models.CharField(max_length=64, blank=True)  # names its PackageSets; "" for none
    packages = models.JSONField(null=True)  # versions by name; None until they are known

    # The image that it runs with: as a person wrote it, and by its digest once it was looked at; both "" for that of
    # the runtime. `changes_image`: it was another one before.
    image = models.CharField(max_length=500, blank=True)
    image_pinned = models.CharField(max_length=500, blank=True)
    changes_image = models.BooleanField(default=False)
    rollout_until = models.DateTimeField(null=True)  # until then every component must run with it

    # How far it is.
    status = models.CharField(max_length=10, choices=choices(DeployStatus), default=DeployStatus.RECEIVED)
    sentence = models.CharField(max_length=1000, blank=True)  # why it failed, or what took its place
    despite_syntax = models.BooleanField(default=False)  # deployed by choice although files do not compile
    checked_files = models.PositiveIntegerField(default=0)  # of the Python files, so far
    syntax_count = models.PositiveIntegerField(default=0)
    syntax_problems = models.JSONField(default=list)  # path, line, error of at most 50
    tries = models.PositiveSmallIntegerField(default=0)  # of the step at work, that failed
    next_try_at = models.DateTimeField(null=True)
    activated_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)  # deployed, failed or superseded
    watch_until = models.DateTimeField(null=True)  # until then what Airflow says of it is looked at often
    watched = models.BooleanField(default=False)  # that time is over
    problem_count = models.PositiveIntegerField(default=0)  # files that Airflow cannot import
    problems = models.JSONField(default=list)  # path and last line of at most 50

    class Meta:
        ordering = ["deployment", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="deploy_number_once"),
            models.UniqueConstraint(fields=["deployment", "idempotency_key"], name="one_deploy_per_form"),
            models.UniqueConstraint(
                fields=["deployment"],
                condition=models.Q(status__in=[each.value for each in WAITING]),
                name="one_deploy_waits",
            ),
            models.UniqueConstraint(
                fields=["deployment"],
                condition=models.Q(status=DeployStatus.ACTIVATING.value),
                name="one_deploy_is_activating",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[each.value for each in UNDER_WAY], finished_at__isnull=True)
                | ~models.Q(status__in=[each.value for each in UNDER_WAY])
                & models.Q(finished_at__isnull=False),
                name="deploy_is_under_way_or_finished",
            ),
        ]

    def __str__(self) -> str:
        return f"deploy {self.number} of {self.deployment_id}"

    @property
    def state(self) -> DeployStatus:
        """Its status as the word it is."""
        return DeployStatus(self.status)

    @property
    def is_under_way(self) -> bool:
        """Something of it is still to be done before it is active, or will never be."""
        return self.state in UNDER_WAY

    @property
    def source_label(self) -> str:
        """Where its code came from."""
        return DeploySource(self.source).label

    @property
    def code(self) -> CodeVersion:
        """As the Release names it."""
        return CodeVersion(self.version, self.digest)

    @property
    def is_kept(self) -> bool:
        """One can go back to it: its code is kept, or it has none."""
        return self.manifest_id is not None or not self.digest

    @property
    def url(self) -> str:
        """Its page. Needs the Deployment loaded."""
        return self.deployment.url_for("deploy", self.number)

    @property
    def problem_sentence(self) -> str:
        """ "3 of 41 files do not import." or ""."""
        if not self.problem_count:
            return ""
        return f"{not_imported(self.problem_count, f'{self.python_files} Python files')}."


class DeployStep(models.Model):
    """One step of a deploy, as its page shows it."""

    deploy = models.ForeignKey(Deploy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=20)
    title = models.CharField(max_length=60)
    state = models.CharField(max_length=7, choices=choices(StepState), default=StepState.PENDING)
    sentence = models.CharField(max_length=1000, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["deploy", "position"]
        constraints = [models.UniqueConstraint(fields=["deploy", "key"], name="step_once_per_deploy")]

    def __str__(self) -> str:
        return f"{self.title}: {self.state}"
