"""Writes audit events, inside the transaction of the change that they report."""

from collections.abc import Mapping
from typing import Any

import structlog

from console.kit.text import one_line
from workspaces import acting
from workspaces.audited import Audited, Subject
from workspaces.models import AuditEvent, User

logger = structlog.get_logger(__name__)


def record(
    about: Audited | Subject,
    by: User | None,
    verb: str,
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append one event. `by` is None when the system itself acted; a person is named by the address, because a
    name is what its owner says, and with the API token in use. Secret values never go into `old` or `new`."""
    subject = about if isinstance(about, Subject) else about.audit_subject
    context = structlog.contextvars.get_contextvars()
    token = acting.current() if by else None
    event = AuditEvent.objects.create(
        workspace_id=subject.workspace_id,
        actor_id=by.pk if by else None,
        actor_label=one_line(acting.named(by.email))[:254] if by else "Airdeck",
        token_id=token.pk if token else None,
        verb=verb,
        object_type=subject.kind,
        object_id=str(subject.pk),
        object_label=one_line(subject.label)[:254],
        old=dict(old or {}),
        new=dict(new or {}),
        request_id=str(context.get("request_id", ""))[:64],
        ip=str(context.get("ip", ""))[:45],
    )
    logger.info(
        "audit", verb=verb, object_type=event.object_type, object_id=event.object_id, actor=event.actor_id
    )
    return event
