"""Putting stored secrets under the newest key. Row by row, each write for itself: killed half way, it is run again."""

from allauth.mfa.models import Authenticator

from console.kit import crypto
from deployments.models import AlertChannel, Cluster, DeploymentSecret, EnvironmentVariable, VariableRevision

SEALED_PARTS = ("secret", "seed")  # of a second factor: the app's secret, the recovery codes' seed


def rotate_all() -> int:
    """Re-encrypt every secret with the first of ENCRYPTION_KEYS; how many there are.

    A row that changed in the meantime is left alone: the person who changed it used the first key already. Raises
    cryptography's InvalidToken when no configured key opens a secret; what was done before stays done.
    """
    return _deployments() + _clusters() + _alert_channels() + _second_factors()


def _deployments() -> int:
    count = 0
    for model in (DeploymentSecret, EnvironmentVariable, VariableRevision):
        sealed = model.objects.filter(sealed__isnull=False).values_list("pk", "sealed")
        for pk, token in sealed.iterator(chunk_size=500):
            assert token is not None  # noqa: S101 - filtered
            model.objects.filter(pk=pk, sealed=token).update(sealed=crypto.rotate(token))
            count += 1
    return count


def _clusters() -> int:
    count = 0
    for cluster in Cluster.objects.registered().only("pk", "sealed_config"):
        same = Cluster.objects.filter(pk=cluster.pk, sealed_config=cluster.sealed_config)
        same.update(sealed_config=crypto.rotate(cluster.sealed_config))
        count += 1
    return count


def _alert_channels() -> int:
    count = 0
    for name in ("sealed_url", "sealed_secret"):
        sealed = AlertChannel.objects.exclude(**{f"{name}__isnull": True}).values_list("pk", name)
        for pk, token in sealed.iterator(chunk_size=500):
            AlertChannel.objects.filter(pk=pk, **{name: token}).update(**{name: crypto.rotate(token)})
            count += 1
    return count


def _second_factors() -> int:
    count = 0
    for factor in Authenticator.objects.only("pk", "data").iterator(chunk_size=500):
        sealed = {part: factor.data[part] for part in SEALED_PARTS if part in factor.data}
        if sealed:
            fresh = {part: crypto.rotate(text.encode()).decode() for part, text in sealed.items()}
            same = Authenticator.objects.filter(pk=factor.pk, data=factor.data)
            same.update(data={**factor.data, **fresh})
            count += 1
    return count
