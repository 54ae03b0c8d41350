"""Putting stored secrets under the newest key. Row by row, each write for itself: killed half way, it is run again."""

from console.kit import crypto
from deployments.models import Cluster, DeploymentSecret


def rotate_all() -> int:
    """Re-encrypt every secret with the first of ENCRYPTION_KEYS; how many there are.

    A row that changed meanwhile is left alone: whoever changed it used the first key already. Raises
    cryptography's InvalidToken when no configured key opens a secret; what was done before stays done.
    """
    count = 0
    for secret in DeploymentSecret.objects.only("pk", "sealed").iterator(chunk_size=500):
        DeploymentSecret.objects.filter(pk=secret.pk, sealed=secret.sealed).update(
            sealed=crypto.rotate(secret.sealed)
        )
        count += 1
    for cluster in Cluster.objects.only("pk", "sealed_config"):
        Cluster.objects.filter(pk=cluster.pk, sealed_config=cluster.sealed_config).update(
            sealed_config=crypto.rotate(cluster.sealed_config)
        )
        count += 1
    return count
