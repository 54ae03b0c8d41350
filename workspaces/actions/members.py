"""What people do about who belongs to a Workspace. Atomic, explicit actor, audit event in the same transaction.

A Workspace keeps an Admin whatever happens: every change here counts Admins under the Workspace's lock.
"""

from django.db import transaction

from console.kit.refusals import ActionRefused
from workspaces import audit
from workspaces.actions.locks import is_last_admin, lock, lock_for
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Permission, Role


def _last_admin(membership: Membership, workspace: Workspace) -> ActionRefused:
    return ActionRefused(
        f"{membership.user.label} is the only Admin of {workspace.name}. Make someone else Admin first."
    )


def _member(workspace: Workspace, user_id: int) -> Membership:
    membership = (
        Membership.objects.select_related("user").filter(workspace=workspace, user_id=user_id).first()
    )
    if membership is None:
        raise ActionRefused("This person is no longer a member.")
    return membership


@transaction.atomic
def change_role(*, workspace: Workspace, by: User, user_id: int, role: Role) -> Membership:
    """Give a member another role; the same again writes nothing. Raises ActionRefused or MissingPermission."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    membership = _member(locked, user_id)
    if membership.role == role:
        return membership
    if is_last_admin(membership):
        raise _last_admin(membership, locked)
    old, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(membership, by, "changed the role of", old={"role": old}, new={"role": str(role)})
    return membership


@transaction.atomic
def remove(*, workspace: Workspace, by: User, user_id: int) -> None:
    """End a person's membership. Raises ActionRefused or MissingPermission."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    membership = _member(locked, user_id)
    if is_last_admin(membership):
        raise _last_admin(membership, locked)
    audit.record(membership, by, "removed", old={"role": membership.role})
    membership.delete()


@transaction.atomic
def leave(*, workspace: Workspace, by: User) -> None:
    """End one's own membership. Raises ActionRefused."""
    locked = lock(workspace.pk)
    membership = _member(locked, by.pk)
    if is_last_admin(membership):
        raise _last_admin(membership, locked)
    audit.record(locked, by, "left", old={"role": membership.role})
    membership.delete()
