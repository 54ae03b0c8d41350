"""Writes audit events, inside the transaction of the change that they report."""

from typing import Any
from uuid import UUID

import structlog

from console.kit.text import one_line
from workspaces import acting
from workspaces.models import AuditEvent, User, Workspace

logger = structlog.get_logger(__name__)


def record(
    *,
    by: User | None,
    verb: str,
    object_type: str,
    object_id: object,
    object_label: str,
    workspace_id: UUID | None,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event. `by` is None when the system itself acted; a person is named by the address, because a
    name is what its owner says, and with the API token in use. Secret values never go into `old` or `new`."""
    context = structlog.contextvars.get_contextvars()
    token = acting.current() if by else None
    event = AuditEvent.objects.create(
        workspace_id=workspace_id,
        actor_id=by.pk if by else None,
        actor_label=one_line(acting.named(by.email))[:254] if by else "Airdeck",
        token_id=token.pk if token else None,
        verb=verb,
        object_type=object_type,
        object_id=str(object_id),
        object_label=one_line(object_label)[:254],
        old=old or {},
        new=new or {},
        request_id=str(context.get("request_id", ""))[:64],
        ip=str(context.get("ip", ""))[:45],
    )
    logger.info("audit", verb=verb, object_type=object_type, object_id=str(object_id), actor=event.actor_id)
    return event


def record_workspace(workspace: Workspace, by: User, verb: str, **values: dict[str, Any]) -> AuditEvent:
    """One event about a Workspace itself; `values` are `old` and `new`."""
    return record(
        by=by,
        verb=verb,
        object_type="workspace",
        object_id=workspace.pk,
        object_label=workspace.name,
        workspace_id=workspace.pk,
        **values,
    )
