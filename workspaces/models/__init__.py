"""Users, Workspaces, who belongs to which, and what was done. Rows are written by `actions` and `audit` only."""

from workspaces.models.audit_events import AuditEvent
from workspaces.models.tokens import NOT_MAILED, ApiToken, ApiTokenQuerySet
from workspaces.models.users import Theme, User
from workspaces.models.workspaces import Invitation, Membership, Workspace

__all__ = [
    "NOT_MAILED",
    "ApiToken",
    "ApiTokenQuerySet",
    "AuditEvent",
    "Invitation",
    "Membership",
    "Theme",
    "User",
    "Workspace",
]
