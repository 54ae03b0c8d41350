"""What people do to Deployments: desired state only. Atomic, explicit actor, audit event in the same transaction,
and a hint to the reconciler once it is committed."""

from deployments.actions.common import NotNow, changing
from deployments.actions.lifecycle import (
    Choices,
    ClusterClosed,
    NameTaken,
    QueueChoice,
    WorkspaceGone,
    create_deployment,
    delete_deployment,
    describe_deployment,
    retry_now,
    reveal_credential,
)

__all__ = [
    "Choices",
    "ClusterClosed",
    "NameTaken",
    "NotNow",
    "QueueChoice",
    "WorkspaceGone",
    "changing",
    "create_deployment",
    "delete_deployment",
    "describe_deployment",
    "retry_now",
    "reveal_credential",
]
