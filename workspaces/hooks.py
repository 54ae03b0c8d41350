"""What apps above tenancy keep in a Workspace. They register here, because this app may not import them."""

from typing import Protocol

from workspaces.models import Workspace


class Tenant(Protocol):
    """Something that lives in Workspaces."""

    def why_kept(self, workspace: Workspace) -> str:
        """The sentence that says why the Workspace cannot be deleted now, and what to do; empty when it can."""

    def forget(self, workspace: Workspace) -> None:
        """Remove what is left of it, within the transaction that deletes the Workspace."""


_tenants: list[Tenant] = []


def register(tenant: Tenant) -> None:
    """Called once at start."""
    _tenants.append(tenant)


def why_kept(workspace: Workspace) -> list[str]:
    """Every reason not to delete it; empty when it is empty."""
    return [sentence for tenant in _tenants if (sentence := tenant.why_kept(workspace))]


def forget(workspace: Workspace) -> None:
    """Have everybody remove what is left."""
    for tenant in _tenants:
        tenant.forget(workspace)
