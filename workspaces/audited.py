"""What audit events are about."""

from typing import NamedTuple, Protocol
from uuid import UUID


class Subject(NamedTuple):
    """Names a thing for good: what kind it is, its key, its name at the moment, and the Workspace in whose Activity the
    event stands (None: in no one's)."""

    kind: str
    pk: object
    label: str
    workspace_id: UUID | None = None


class Audited(Protocol):
    """A row that audit events are about."""

    @property
    def audit_subject(self) -> Subject:
        """How events name it."""
