"""A cluster that did not answer a pass is tried by one pass at a time, until one is answered: workers are few, and each
that waits for it is missing elsewhere. (A circuit breaker, half open.)

`Cluster.trial_at` is empty while it answers; else the next pass may try it from that moment on.
"""

from datetime import timedelta

from django.db.models.functions import Now

from deployments.models import Cluster

BREAKER_RETRY_SECONDS = (
    60.0  # the trial of a worker that died is over; a pass is bounded by three calls of 15 s
)


def begin(cluster: Cluster) -> bool:
    """Whether a pass may ask this cluster now: always while it answers, else one at a time."""
    if cluster.breaker_retry_at is None:
        return True
    free = Cluster.objects.filter(pk=cluster.pk, breaker_retry_at__lte=Now())
    return bool(free.update(breaker_retry_at=Now() + timedelta(seconds=BREAKER_RETRY_SECONDS)))


def end(cluster: Cluster, *, answered: bool) -> None:
    """Record whether the cluster answered. Writes only on a change."""
    if not answered:
        Cluster.objects.filter(pk=cluster.pk).update(breaker_retry_at=Now())
    elif cluster.breaker_retry_at is not None:
        Cluster.objects.filter(pk=cluster.pk).update(breaker_retry_at=None)
