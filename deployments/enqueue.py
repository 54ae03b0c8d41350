"""Messages to workers about Deployments and clusters, sent by the tasks' names: what asks for work imports nothing
of what does it. Each is a hint; see `console.kit.enqueue`."""

from uuid import UUID

from console.kit import enqueue

RECONCILE = "deployments.tasks.reconcile"
CHECK_CLUSTER = "deployments.tasks.check_cluster"
CHECK_GIT = "deployments.tasks.check_git"
SEND_ALERT = "deployments.tasks.send_alert"


def reconcile(pk: UUID) -> bool:
    """Ask a worker to run passes over a Deployment now; whether it was asked."""
    return enqueue.send(RECONCILE, pk)


def check_cluster(pk: UUID) -> bool:
    """Ask a worker to check a cluster now; whether it was asked."""
    return enqueue.send(CHECK_CLUSTER, pk)


def check_git(pk: UUID) -> bool:
    """Ask a worker to look at a Deployment's Git repository now; whether it was asked."""
    return enqueue.send(CHECK_GIT, pk)


def send_alert(pk: UUID) -> bool:
    """Ask a worker to send one message of an alert now; whether it was asked."""
    return enqueue.send(SEND_ALERT, pk)
