"""What operators do to Workspaces and accounts. Atomic, explicit actor, audit event in the same transaction; each
returns the sentence that says what happened, and raises ActionRefused with the sentence that says why not."""

from django.db import transaction
from django.db.models.functions import Now

from console.kit.refusals import ActionRefused
from workspaces import audit
from workspaces.actions import sessions
from workspaces.audited import Subject
from workspaces.models import User, Workspace


@transaction.atomic
def suspend_workspace(*, workspace: Workspace, by: User) -> str:
    """Freeze a Workspace: its people see everything and change nothing. What runs keeps running. Idempotent."""
    if not Workspace.objects.filter(pk=workspace.pk, suspended_at=None).update(suspended_at=Now()):
        return f"{workspace.name} was suspended already."
    audit.record(workspace, by, "suspended")
    return f"{workspace.name} is suspended. Its Deployments keep running."


@transaction.atomic
def resume_workspace(*, workspace: Workspace, by: User) -> str:
    """Let the people of a suspended Workspace change things again. Idempotent."""
    if not Workspace.objects.filter(pk=workspace.pk, suspended_at__isnull=False).update(suspended_at=None):
        return f"{workspace.name} was not suspended."
    audit.record(workspace, by, "resumed")
    return f"{workspace.name} is resumed."


def _lock_two(user: User, by: User, refusal: str) -> User:
    """The row as it is now. Two operators who act on each other at the same instant wait for each other here, and
    the second is refused: one always stays. Raises ActionRefused with `refusal` when a person acts on themselves."""
    if user.pk == by.pk:
        raise ActionRefused(f"{refusal} Ask another site administrator.")
    rows = User.objects.select_for_update().filter(pk__in=[user.pk, by.pk]).order_by("pk")
    people = {row.pk: row for row in rows}
    if not (people[by.pk].is_staff and people[by.pk].is_active):
        raise ActionRefused("You are no longer a site administrator.")
    return people[user.pk]


@transaction.atomic
def block_user(*, user: User, by: User) -> str:
    """Keep a person out: sessions end, and stay so when the account is unblocked; memberships stay. Raises
    ActionRefused for oneself."""
    if not _lock_two(user, by, "You cannot block your own account.").is_active:
        return f"{user.label} was blocked already."
    User.objects.filter(pk=user.pk).update(is_active=False)
    sessions.end_all(user=user)
    audit.record(user, by, "blocked")
    return f"{user.label} is blocked and can no longer sign in."


@transaction.atomic
def unblock_user(*, user: User, by: User) -> str:
    """Let a blocked person in again."""
    if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        return f"{user.label} was not blocked."
    audit.record(user, by, "unblocked")
    return f"{user.label} can sign in again."


@transaction.atomic
def make_operator(*, user: User, by: User) -> str:
    """Make a person a site administrator, who may do everything in these pages. Raises ActionRefused when blocked."""
    locked = User.objects.select_for_update().get(pk=user.pk)
    if not locked.is_active:
        raise ActionRefused(f"{user.label} is blocked. Unblock the account first.")
    if locked.is_staff and locked.is_superuser:
        return f"{user.label} is a site administrator already."
    _set_operator(user, by, operator=True)
    return f"{user.label} is a site administrator now."


@transaction.atomic
def unmake_operator(*, user: User, by: User) -> str:
    """Take the right back. Raises Refused for oneself."""
    if not _lock_two(user, by, "You cannot take this right from yourself.").is_staff:
        return f"{user.label} was not a site administrator."
    _set_operator(user, by, operator=False)
    return f"{user.label} is no longer a site administrator."


@transaction.atomic
def follow_group(*, user: User, belongs: bool) -> None:
    """Site administration as a group of the company account says; when a person signs in by it."""
    row = User.objects.select_for_update().get(pk=user.pk)
    if row.is_staff != belongs or row.is_superuser != belongs:
        _set_operator(user, user, operator=belongs)
        user.is_staff = user.is_superuser = belongs


def _set_operator(user: User, by: User, *, operator: bool) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=operator, is_superuser=operator)
    audit.record(user, by, "gave administration to" if operator else "took administration from")


@transaction.atomic
def record_export(*, what: str, rows: int, by: User) -> None:
    """Remember that rows left the console as a file."""
    audit.record(Subject("table", what, f"{rows} {what}"), by, "exported")
