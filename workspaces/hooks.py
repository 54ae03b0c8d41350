"""What apps above this one keep in Workspaces. They register here, because this app may not import them."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from workspaces.models import User, Workspace


@dataclass(frozen=True)
class Summary:
    """What there is of one kind in a Workspace, as in "3 Deployments", and where operators see them."""

    words: str
    url: str


@dataclass(frozen=True)
class Content:
    """One thing in a Workspace, as far as tenancy must know it: what it is called, and where its page is."""

    pk: UUID
    label: str
    url: str
    tokens_url: str  # its page of API tokens


class WorkspaceContent(Protocol):
    """One kind of thing that lives in Workspaces."""

    kind: str  # its word in rows and codes
    label: str  # its word on pages
    token_letter: str  # in the value of an API token that is limited to one of it

    def find(self, workspace_id: UUID, pk: UUID) -> Content | None:
        """The one with this id, if it is in this Workspace and not gone."""

    def deletion_blocker(self, workspace: Workspace) -> str:
        """The sentence that says why the Workspace cannot be deleted now, and what to do; empty when it can."""

    def forget(self, workspace: Workspace) -> None:
        """Remove what is left of it, within the transaction that deletes the Workspace."""

    def summary(self, workspace: Workspace) -> Summary:
        """What there is of it, for operators."""

    def signed_out(self, user: User) -> None:
        """A person signed out of the console, in some browser."""


_contents: list[WorkspaceContent] = []


def register(content: WorkspaceContent) -> None:
    """Called once at start."""
    _contents.append(content)


def deletion_blockers(workspace: Workspace) -> list[str]:
    """Every reason not to delete it; empty when it is empty."""
    return [sentence for content in _contents if (sentence := content.deletion_blocker(workspace))]


def forget(workspace: Workspace) -> None:
    """Remove what is left in it, of every kind."""
    for content in _contents:
        content.forget(workspace)


def summaries(workspace: Workspace) -> list[Summary]:
    """What there is in it, of every kind."""
    return [content.summary(workspace) for content in _contents]


def content_of(kind: str) -> WorkspaceContent:
    """The registered kind of this name. Raises LookupError."""
    for content in _contents:
        if content.kind == kind:
            return content
    raise LookupError(kind)


def signed_out(user: User) -> None:
    """Let those that keep sessions of their own know that a person signed out."""
    for content in _contents:
        content.signed_out(user)
