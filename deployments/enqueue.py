"""Messages to workers about Deployments and clusters, sent by the tasks' names: what asks for work imports nothing
of what does it. Each is a hint; see `console.kit.enqueue`."""

from collections.abc import Sequence
from uuid import UUID

from console.kit import enqueue

RECONCILE = "deployments.tasks.reconcile"
CHECK_CLUSTER = "deployments.tasks.check_cluster"
CHECK_GIT = "deployments.tasks.check_git"
SEND_ALERT = "deployments.tasks.send_alert"
PASSES = "passes"  # the queue of RECONCILE (CELERY_TASK_ROUTES)
WAITING_TURNS = 50  # three passes a second of each of some workers, while a message is good for 30 s


def reconcile(pk: UUID) -> bool:
    """Ask a worker to run passes over a Deployment now; whether it was asked."""
    return enqueue.send(RECONCILE, pk)


def reconcile_first(pks: Sequence[UUID]) -> int:
    """Ask for passes over the first of these, as many as messages are of use now; how many that were. A message is a
    turn, good for whatever row is next: beyond what workers take in a few seconds they would only expire."""
    asked = pks[: max(0, WAITING_TURNS - enqueue.waiting(PASSES))] if pks else ()
    for pk in asked:
        reconcile(pk)
    return len(asked)


def check_cluster(pk: UUID) -> bool:
    """Ask a worker to check a cluster now; whether it was asked."""
    return enqueue.send(CHECK_CLUSTER, pk)


def check_git(pk: UUID) -> bool:
    """Ask a worker to look at a Deployment's Git repository now; whether it was asked."""
    return enqueue.send(CHECK_GIT, pk)


def send_alert(pk: UUID) -> bool:
    """Ask a worker to send one message of an alert now; whether it was asked."""
    return enqueue.send(SEND_ALERT, pk)
