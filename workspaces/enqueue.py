"""Messages to workers about Workspaces, sent by the tasks' names. Each is a hint; see `console.kit.enqueue`."""

from uuid import UUID

from console.kit import enqueue

SEND_INVITATION = "workspaces.tasks.send_invitation"


def send_invitation(pk: UUID) -> bool:
    """Ask a worker to send the mail of an invitation now; whether it was asked."""
    return enqueue.send(SEND_INVITATION, pk)
