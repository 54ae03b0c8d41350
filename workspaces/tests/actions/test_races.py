"""Two people act at the same instant: real threads, real transactions. Each race starts at a barrier behind a lock
that the test holds, so that both are under way when it lets go."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.test import Client

from console.kit.refusals import ActionRefused
from workspaces.access import MissingPermission
from workspaces.actions import invitations, members, workspaces
from workspaces.models import AuditEvent, Invitation, Membership, User, Workspace
from workspaces.permissions import Role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("patient")]


@contextmanager
def held(row: Workspace | User):
    """Hold the row until the block ends."""
    with transaction.atomic():
        type(row).objects.select_for_update(no_key=isinstance(row, User)).get(pk=row.pk)
        yield


def waiting() -> int:
    """How many transactions wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def race(row: Workspace | User, *acts) -> list[object]:
    """What each act returned or raised, all of them begun before any could go on."""
    results: list[object] = [None] * len(acts)

    def run(place: int, act) -> None:
        try:
            results[place] = act()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(acts)]
    with held(row):
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while waiting() < len(acts):
            assert time.monotonic() < deadline, "they did not meet"
            time.sleep(0.01)
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def ida(db) -> User:
    return User.objects.create_user("ida@example.org", "correct horse battery", name="Ida")


@pytest.fixture
def made(workspace, alice):
    return invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR
    ).made[0]


def refused(results: list[object]) -> list[object]:
    return [each for each in results if isinstance(each, Exception)]


def test_two_last_admins_who_demote_each_other(workspace, alice, bob):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    results = race(
        workspace,
        lambda: members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER),
        lambda: members.change_role(workspace=workspace, by=bob, user_id=alice.pk, role=Role.MEMBER),
    )
    assert [type(each) for each in refused(results)] == [MissingPermission]
    assert Membership.objects.filter(workspace=workspace, role=Role.ADMIN).count() == 1


def test_two_last_admins_who_leave(workspace, alice, bob):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    results = race(
        workspace,
        lambda: members.leave(workspace=workspace, by=alice),
        lambda: members.leave(workspace=workspace, by=bob),
    )
    assert [type(each) for each in refused(results)] == [ActionRefused]
    assert Membership.objects.filter(workspace=workspace, role=Role.ADMIN).count() == 1


def test_two_last_admins_who_delete_their_accounts(workspace, alice, bob, vera):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    results = race(
        workspace, lambda: workspaces.delete_account(user=alice), lambda: workspaces.delete_account(user=bob)
    )
    assert [type(each) for each in refused(results)] == [ActionRefused]
    assert Membership.objects.filter(workspace=workspace, role=Role.ADMIN).count() == 1


def test_a_workspace_is_renamed_by_who_may_at_that_moment(workspace, alice, bob):
    with pytest.raises(MissingPermission):
        workspaces.rename_workspace(workspace=workspace, by=bob, name="Bob's now")
    Workspace.objects.filter(pk=workspace.pk).delete()
    with pytest.raises(ActionRefused, match="just deleted"):
        workspaces.rename_workspace(workspace=workspace, by=alice, name="Nobody's")


def test_invitations_of_one_person_from_two_workspaces_at_once_are_counted_together(workspace, alice):
    cache.clear()
    second = workspaces.create_workspace(by=alice, name="Second")

    def invites(where: Workspace):
        emails = [f"{where.pk.hex}{n}@example.org" for n in range(60)]
        return lambda: invitations.invite(workspace=where, by=alice, emails=emails, role=Role.MEMBER)

    results = race(alice, invites(workspace), invites(second))
    assert [type(each) for each in refused(results)] == [invitations.TooManyInvitations]
    assert Invitation.objects.count() == 60


def test_an_invitation_accepted_twice_at_once(workspace, ida, made):
    def accept():
        return invitations.accept(invitation=made.invitation, by=ida, proves_address=False)

    results = race(workspace, accept, accept, accept)
    assert [type(each) for each in refused(results)] == [ActionRefused, ActionRefused]
    assert Membership.objects.filter(workspace=workspace, user=ida).count() == 1
    assert AuditEvent.objects.filter(verb="joined").count() == 1


def test_the_page_answers_a_double_accept_with_the_workspace_twice(workspace, ida, made):
    def press():
        client = Client()
        client.force_login(ida)
        return client.post(f"/join/{made.token}/").headers["Location"]

    results = race(workspace, press, press)
    assert workspace.url in results
    assert Membership.objects.filter(workspace=workspace, user=ida).count() == 1


def test_accept_while_it_is_revoked(workspace, alice, ida, made):
    results = race(
        workspace,
        lambda: invitations.accept(invitation=made.invitation, by=ida, proves_address=False),
        lambda: invitations.revoke(workspace=workspace, by=alice, invitation_id=made.invitation.pk),
    )
    assert len(refused(results)) == 1
    row = Invitation.objects.get()
    joined = Membership.objects.filter(workspace=workspace, user=ida).exists()
    assert (row.accepted_at is not None, row.revoked_at is None) == (joined, joined)


def test_accept_while_the_workspace_is_deleted(workspace, alice, ida, made):
    results = race(
        workspace,
        lambda: invitations.accept(invitation=made.invitation, by=ida, proves_address=False),
        lambda: workspaces.delete_workspace(workspace=workspace, by=alice),
    )
    assert results[1] is None
    assert all(isinstance(each, ActionRefused) for each in refused(results))
    assert not Membership.objects.filter(user=ida).exists()


def test_the_same_address_invited_twice_at_once_in_another_case(workspace, alice, bob):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)

    def invite(user, address):
        client = Client()
        client.force_login(user)
        body = {"addresses": address, "role": "member"}
        return client.post(f"/w/{workspace.pk}/members/invite/", body).content.decode()

    pages = race(workspace, lambda: invite(alice, "Jo@Example.ORG"), lambda: invite(bob, "jo@example.org"))
    assert Invitation.objects.get().email == "jo@example.org"
    assert sorted("Already invited" in page for page in pages) == [False, True]


def test_invite_while_the_inviter_is_removed(workspace, alice, bob):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    results = race(
        workspace,
        lambda: invitations.invite(workspace=workspace, by=bob, emails=["x@example.org"], role=Role.ADMIN),
        lambda: members.remove(workspace=workspace, by=alice, user_id=bob.pk),
    )
    assert results[1] is None
    invited = Invitation.objects.exists()
    assert invited != isinstance(results[0], MissingPermission)
