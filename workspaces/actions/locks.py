"""Who may act, asked again under a lock: between the click and the change another person may have acted.

Every change of who belongs to a Workspace takes this lock first, so such changes happen one after another. It is held
for a few statements, and never across I/O.
"""

from uuid import UUID

from console.kit.refusals import ActionRefused
from workspaces.access import MissingPermission, require
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Permission, Role


def lock(workspace_id: UUID) -> Workspace:
    """The Workspace, locked until the transaction ends. New Deployments and pages are not held up. Raises ActionRefused
    when it is gone."""
    workspace = Workspace.objects.select_for_update(no_key=True).filter(pk=workspace_id).first()
    if workspace is None:
        raise ActionRefused("This Workspace was just deleted.")
    return workspace


def lock_for(workspace_id: UUID, by: User, permission: Permission) -> Workspace:
    """The same, for a person who holds `permission` at this moment. Raises ActionRefused, or as `require` does."""
    workspace = lock(workspace_id)
    membership = Membership.objects.filter(workspace=workspace, user=by).first()
    if membership is None:
        raise MissingPermission(workspace, permission)
    membership.workspace = workspace
    require(membership, permission)
    return workspace


def is_last_admin(membership: Membership) -> bool:
    """Whether the Workspace would have no Admin without this one. True only under `lock`."""
    others = Membership.objects.filter(
        workspace_id=membership.workspace_id, role=Role.ADMIN, user__is_active=True
    )
    return membership.role == Role.ADMIN and not others.exclude(pk=membership.pk).exists()
