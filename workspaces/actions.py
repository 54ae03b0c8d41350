"""What people do to Workspaces. Every function is atomic, takes its actor as `by`, and writes its audit event."""

from django.conf import settings
from django.db import connection, transaction

from workspaces import audit
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Role

_FIRST_ACCOUNT_LOCK = 0x41697264  # pg_advisory_xact_lock key: "Aird"
_NAME_LENGTH = 50


@transaction.atomic
def welcome(*, user: User) -> Workspace:
    """What a new account gets: a personal Workspace. On the embedded default the first account of the installation
    also becomes site administrator (domain.md, decision 2); elsewhere operators are made by a command."""
    if settings.EMBEDDED:
        _make_first_account_operator(user)
    return create_workspace(by=user, name=personal_workspace_name(user))


def _make_first_account_operator(user: User) -> None:
    with connection.cursor() as cursor:  # two first sign-ups at once: one of them is first
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ACCOUNT_LOCK])
    if User.objects.exclude(pk=user.pk).exists():
        return
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser"])
    audit.record(
        by=user,
        verb="became site administrator",
        object_type="user",
        object_id=user.pk,
        object_label=user.label,
        workspace_id=None,
    )


def personal_workspace_name(user: User) -> str:
    """ "Alice's Workspace", from the name or the part of the address before the @, within 50 characters."""
    owner = user.name or user.email.partition("@")[0]
    owner = owner[:1].upper() + owner[1:]
    suffix = "'s Workspace"
    return owner[: _NAME_LENGTH - len(suffix)] + suffix


@transaction.atomic
def create_workspace(*, by: User, name: str) -> Workspace:
    """A new Workspace with its creator as Admin."""
    workspace = Workspace.objects.create(name=name)
    Membership.objects.create(workspace=workspace, user=by, role=Role.ADMIN)
    audit.record(
        by=by,
        verb="created",
        object_type="workspace",
        object_id=workspace.pk,
        object_label=name,
        workspace_id=workspace.pk,
    )
    return workspace


@transaction.atomic
def rename_workspace(*, workspace: Workspace, by: User, name: str) -> Workspace:
    """Change the name; saying the same again writes nothing."""
    locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
    if locked.name == name:
        return locked
    old, locked.name = locked.name, name
    locked.save(update_fields=["name"])
    audit.record(
        by=by,
        verb="renamed",
        object_type="workspace",
        object_id=locked.pk,
        object_label=name,
        workspace_id=locked.pk,
        old={"name": old},
        new={"name": name},
    )
    return locked


@transaction.atomic
def update_account(*, user: User, name: str, theme: str, time_zone: str) -> User:
    """A person's own settings. Not audited: nobody else's business."""
    user.name, user.theme, user.time_zone = name, theme, time_zone
    user.save(update_fields=["name", "theme", "time_zone"])
    return user
