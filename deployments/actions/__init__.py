"""What people do to Deployments: desired state only. Atomic, explicit actor, audit event in the same transaction,
and a hint to the reconciler once it is committed."""

from deployments.actions.common import changing, refuse_unless_editable
from deployments.actions.lifecycle import (
    Choices,
    QueueChoice,
    create_deployment,
    delete_deployment,
    retry_now,
    reveal_credential,
)
from deployments.actions.queues import add_queue, delete_queue, edit_queue
from deployments.actions.refusals import (
    ClusterClosed,
    EditConflict,
    NameTaken,
    NotNow,
    QueueExists,
    QueueGone,
    WorkspaceGone,
)
from deployments.actions.settings import edit_deployment

__all__ = [
    "Choices",
    "ClusterClosed",
    "EditConflict",
    "NameTaken",
    "NotNow",
    "QueueChoice",
    "QueueExists",
    "QueueGone",
    "WorkspaceGone",
    "add_queue",
    "changing",
    "create_deployment",
    "delete_deployment",
    "delete_queue",
    "edit_deployment",
    "edit_queue",
    "refuse_unless_editable",
    "retry_now",
    "reveal_credential",
]
