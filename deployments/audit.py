"""Audit events about Deployments."""

from typing import Any

from deployments.models import Deployment
from workspaces import audit
from workspaces.models import AuditEvent, User


def record_deployment(
    deployment: Deployment, by: User | None, verb: str, **values: dict[str, Any]
) -> AuditEvent:
    """One event about a Deployment; `values` are `old` and `new`. `by` is None when Airdeck itself acted. Inside the
    transaction of the change."""
    return audit.record(
        by=by,
        verb=verb,
        object_type="deployment",
        object_id=deployment.pk,
        object_label=deployment.name,
        workspace_id=deployment.workspace_id,
        **values,
    )
