"""What people do to Workspaces. Every function is atomic, takes its actor as `by`, and writes its audit event."""

import re
import zoneinfo

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from console.kit import names
from console.kit.refusals import ActionRefused, InvalidInput
from console.kit.text import one_line
from workspaces import audit, hooks
from workspaces.actions.locks import is_last_admin, lock, lock_for
from workspaces.actions.tokens import personal_die
from workspaces.models import Membership, Theme, User, Workspace
from workspaces.permissions import Permission, Role

_FIRST_ACCOUNT_LOCK = 0x41697264  # pg_advisory_xact_lock key: "Aird"
NAME_LENGTH, PERSON_NAME_LENGTH = 50, 100
NO_ADDRESS = "Enter a name, not an address. Your address is shown beside it."
WRONG_THEME = "Choose a theme from the list."
WRONG_ZONE = "Choose a time zone from the list."


class SignupClosed(ActionRefused):
    """No one may make an account of their own now."""

    code, status = "signup_closed", 403


@transaction.atomic
def admit(*, invited: bool) -> None:
    """Raise SignupClosed when no account may be made now; else hold the place of the first until this transaction
    ends, so that of two people who sign up first at once one is first and the other too late."""
    if settings.OPEN_SIGNUP or invited:
        return
    _wait_for_first_account()
    if User.objects.exists():
        raise SignupClosed("Sign-up is closed. Ask an Admin of a Workspace for an invitation.")


@transaction.atomic
def welcome(*, user: User) -> Workspace:
    """What a new account gets: a personal Workspace. On the embedded default the first account of the installation
    also becomes site administrator; elsewhere operators are made by a command."""
    if settings.EMBEDDED:
        _make_first_account_operator(user)
    return create_workspace(by=user, name=personal_workspace_name(user))


def _make_first_account_operator(user: User) -> None:
    _wait_for_first_account()
    if User.objects.exclude(pk=user.pk).exists():
        return
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser"])
    audit.record(user, user, "became site administrator")


def _wait_for_first_account() -> None:
    with connection.cursor() as cursor:  # two first sign-ups at once: one of them is first
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ACCOUNT_LOCK])


def personal_workspace_name(user: User) -> str:
    """ "Alice's Workspace", within 50 characters: from the name, or from the first word of the address (dana.designer@…
    is Dana)."""
    owner = user.name or re.split(r"[.+_]", user.email.partition("@")[0])[0] or user.email
    owner = owner[:1].upper() + owner[1:]
    suffix = "'s Workspace"
    try:
        owner = names.clean(owner, longest=len(owner))[: NAME_LENGTH - len(suffix)].rstrip(names.JOINERS)
        return names.clean(owner + suffix, longest=NAME_LENGTH)
    except ValueError:  # of a part of an address that no one would see, or of a sign that was cut in two
        return "My Workspace"


def _clean_name(name: str) -> str:
    try:
        return names.clean(name, longest=NAME_LENGTH)
    except ValueError as error:
        raise InvalidInput({"name": str(error)}) from None


@transaction.atomic
def create_workspace(*, by: User, name: str) -> Workspace:
    """A new Workspace with its creator as Admin. Raises InvalidInput."""
    name = _clean_name(name)
    workspace = Workspace.objects.create(name=name)
    Membership.objects.create(workspace=workspace, user=by, role=Role.ADMIN)
    audit.record(workspace, by, "created")
    return workspace


@transaction.atomic
def rename_workspace(*, workspace: Workspace, by: User, name: str) -> Workspace:
    """Change the name; the same again writes nothing. Raises InvalidInput, ActionRefused when it was just deleted, or
    MissingPermission."""
    name = _clean_name(name)
    locked = lock_for(workspace.pk, by, Permission.EDIT_WORKSPACE)
    if locked.name == name:
        return locked
    old, locked.name = locked.name, name
    locked.save(update_fields=["name"])
    audit.record(locked, by, "renamed", old={"name": old}, new={"name": name})
    return locked


def hide_first_steps(*, workspace: Workspace) -> None:
    """What comes after the first Deployment is not offered any more. Not audited: nothing of the Workspace changes."""
    Workspace.objects.filter(pk=workspace.pk, first_steps_done_at=None).update(
        first_steps_done_at=timezone.now()
    )


def person_name(text: str) -> str:
    """A person's name as it is stored, "" for none: one that no one takes for another account. Raises ValueError with
    the sentence for the field."""
    name = one_line(names.clean(text, longest=PERSON_NAME_LENGTH)) if text.strip() else ""
    if "@" in name or "＠" in name:
        raise ValueError(NO_ADDRESS)
    return name


@transaction.atomic
def update_account(*, user: User, name: str, theme: str, time_zone: str) -> User:
    """A person's own settings. Not audited: it concerns no other person. Raises InvalidInput."""
    problems = {}
    try:
        name = person_name(name)
    except ValueError as error:
        problems["name"] = str(error)
    if theme not in Theme.values:
        problems["theme"] = WRONG_THEME
    if time_zone not in zoneinfo.available_timezones():
        problems["time_zone"] = WRONG_ZONE
    if problems:
        raise InvalidInput(problems)
    user.name, user.theme, user.time_zone = name, theme, time_zone
    user.save(update_fields=["name", "theme", "time_zone"])
    return user


@transaction.atomic
def delete_workspace(*, workspace: Workspace, by: User) -> None:
    """Remove an empty Workspace with its memberships and invitations; its audit events stay. Raises ActionRefused while
    something lives in it, or MissingPermission. What is being created in it at this instant fails by its foreign key,
    which Postgres checks at commit."""
    locked = lock_for(workspace.pk, by, Permission.DELETE_WORKSPACE)
    reasons = hooks.deletion_blockers(locked)
    if reasons:
        raise ActionRefused(" ".join(reasons))
    _delete(locked, by)


def _delete(workspace: Workspace, by: User) -> None:
    audit.record(workspace, by, "deleted")
    hooks.forget(workspace)
    workspace.delete()


def why_account_stays(user: User) -> list[str]:
    """Every reason not to delete the account now; empty when it may go. Certain only under the locks of
    `delete_account`; before, it is what the page says."""
    reasons = []
    admins = Membership.objects.filter(user=user, role=Role.ADMIN).select_related("workspace", "user")
    for membership in admins:
        workspace = membership.workspace
        if not is_last_admin(membership):
            continue
        if Membership.objects.filter(workspace=workspace).exclude(user=user).exists():
            reasons.append(f"You are the only Admin of {workspace.name}. Make someone else Admin first.")
        else:
            reasons += [
                f"{workspace.name} cannot go with you: {why}" for why in hooks.deletion_blockers(workspace)
            ]
    return reasons


def workspaces_deleted_with(user: User) -> list[Workspace]:
    """The Workspaces that go with the account: those of which no other person is a member."""
    shared = Membership.objects.exclude(user=user).filter(workspace=OuterRef("pk"))
    return list(Workspace.objects.filter(~Exists(shared), memberships__user=user))


@transaction.atomic
def delete_account(*, user: User) -> None:
    """Remove a person: memberships, sign-in, sessions, and the Workspaces of which no other person is a member. What
    they did stays in the audit, by name. Raises ActionRefused with every reason at once."""
    for pk in (
        Membership.objects.filter(user=user).order_by("workspace_id").values_list("workspace_id", flat=True)
    ):
        lock(pk)
    reasons = why_account_stays(user)
    if reasons:
        raise ActionRefused(" ".join(reasons))
    for workspace in workspaces_deleted_with(user):
        _delete(workspace, user)
    audit.record(user, user, "deleted")
    personal_die(user)
    keys = list(UserSession.objects.filter(user=user).values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    user.delete()
