"""What people do to Deployments: desired state only. Atomic, explicit actor, audit event in the same transaction,
and a hint to the reconciler once it is committed."""

from deployments.actions.common import NotNow, changing, refuse_unless_settled
from deployments.actions.lifecycle import (
    Choices,
    ClusterClosed,
    NameTaken,
    QueueChoice,
    WorkspaceGone,
    create_deployment,
    delete_deployment,
    retry_now,
    reveal_credential,
)
from deployments.actions.queues import QueueExists, QueueGone, add_queue, delete_queue, edit_queue
from deployments.actions.settings import ChangedMeanwhile, edit_deployment

__all__ = [
    "ChangedMeanwhile",
    "Choices",
    "ClusterClosed",
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
    "refuse_unless_settled",
    "retry_now",
    "reveal_credential",
]
