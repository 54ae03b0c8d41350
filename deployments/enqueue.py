"""Messages to workers about Deployments and clusters, sent by the tasks' names: what asks for work imports nothing
of what does it. Each is a hint; see `console.kit.enqueue`."""

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


def turns_left() -> int:
    """How many more messages about Deployments are of use now. Each is a turn, good for whatever row is next: beyond
    what workers take in a few seconds they would only expire."""
    return max(0, WAITING_TURNS - enqueue.waiting(PASSES))


def check_cluster(pk: UUID) -> bool:
    """Ask a worker to check a cluster now; whether it was asked."""
    return enqueue.send(CHECK_CLUSTER, pk)


def check_git(pk: UUID) -> bool:
    """Ask a worker to look at a Deployment's Git repository now; whether it was asked."""
    return enqueue.send(CHECK_GIT, pk)


def send_alert(pk: UUID) -> bool:
    """Ask a worker to send one message of an alert now; whether it was asked."""
    return enqueue.send(SEND_ALERT, pk)
