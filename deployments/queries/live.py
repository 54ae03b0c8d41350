"""Asking a data plane while a person waits: answered or explained within five seconds.

Each cluster has a few threads for this, so that one that hangs does not hold up the others.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from uuid import UUID

from django.db import connection

from console.kit.turns import outside
from deployments.clusters import connections
from deployments.dataplane.contract import DataPlaneUnreachable, Driver, Ref
from deployments.models import Deployment

SECONDS = 4.0  # with what else a page takes, five
AT_ONCE = 4  # questions to one cluster from one web process


@cache
def _threads(cluster_id: UUID) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"asking-{cluster_id}")


def begin[T](deployment: Deployment, question: Callable[[Driver, Ref], T]) -> Future[T]:
    """Start the call on the cluster's threads; `finish` waits for it. Raises DataPlaneError when the cluster cannot
    be asked at all. `question` gets the driver, and runs on another thread: it must not use the database."""
    driver, ref = connections.driver_and_ref(deployment)
    return _threads(deployment.cluster_id).submit(question, driver, ref)


def ask[T](deployment: Deployment, question: Callable[[Driver, Ref], T]) -> T:
    """The answer, or a DataPlaneError whose sentence a person can act on, within SECONDS."""
    return finish(deployment, begin(deployment, question), SECONDS)


def finish[T](deployment: Deployment, asked: Future[T], seconds: float) -> T:
    """The answer to a question put before, waited for that long. Raises DataPlaneError. The request's database
    connection goes back to the pool in the meantime, and its turn to others: a silent cluster must not use them up."""
    if not connection.in_atomic_block:
        connection.close()
    try:
        with outside():
            return asked.result(max(0.0, seconds))
    except TimeoutError:
        asked.cancel()
        raise DataPlaneUnreachable(timeout_sentence(deployment)) from None


def timeout_sentence(deployment: Deployment) -> str:
    """The sentence shown when no answer came in time."""
    return f"Cluster {deployment.cluster.name} did not answer within {SECONDS:.0f} s. Try again in a moment."
