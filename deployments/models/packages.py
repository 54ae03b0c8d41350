"""What requirements.txt files come to. `actions.deploys` asks; `reconciler.packages` writes down what is found."""

import zlib

from django.db import models

from deployments.domain.code_packages import PackageLock
from deployments.domain.deploy_states import PackagesState
from deployments.models.deployment import Deployment
from deployments.models.words import choices


class PackageSet(models.Model):
    """What the lines of a requirements.txt come to on one runtime: resolved once, so that going back and deploying the
    same lines again give the same packages."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="package_sets")
    requirements = models.CharField(max_length=64)  # `requirements_digest` of the lines
    runtime = models.CharField(max_length=20)  # its version
    lines = models.JSONField()
    state = models.CharField(max_length=9, choices=choices(PackagesState), default=PackagesState.RESOLVING)
    sentence = models.CharField(max_length=1000, blank=True)  # what is waited for, or why it was refused
    digest = models.CharField(max_length=64, blank=True)  # `PackageLock.digest`
    packages = models.JSONField(default=dict)  # versions by name
    packed = models.BinaryField(default=b"")  # `PackageLock.text`, with zlib
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "requirements", "runtime"], name="packages_found_out_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.requirements[:12]} on {self.runtime}: {self.state}"

    @property
    def is_resolved(self) -> bool:
        """Its packages are known."""
        return self.state == PackagesState.RESOLVED

    def opened(self) -> PackageLock:
        """The lock itself, of a resolved set."""
        return PackageLock(self.runtime, zlib.decompress(self.packed).decode() if self.packed else "")
