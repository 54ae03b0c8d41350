"""How many mails with invitations one person has sent, and one Workspace."""

from datetime import timedelta

import pytest
from django.utils import timezone

from workspaces.actions import invitations, workspaces
from workspaces.models import Invitation, Membership
from workspaces.permissions import Role
from workspaces.tests.pages.test_invitations import _nothing_counted, invite  # noqa: F401

pytestmark = pytest.mark.django_db


def revoke_all() -> None:
    Invitation.objects.update(revoked_at=timezone.now())


def addresses(number: int, mark: str = "p") -> list[str]:
    return [f"{mark}{n}@example.org" for n in range(number)]


def test_one_person_has_a_hundred_mails_an_hour_sent_whatever_the_workspace(
    as_, alice, bob, workspace, one_window
):
    second = workspaces.create_workspace(by=alice, name="Second")
    invitations.invite(workspace=workspace, by=alice, emails=addresses(60), role=Role.MEMBER)
    answer = invite(as_(alice), second, "\n".join(addresses(41)))
    assert answer.status_code == 422
    assert "One person may send 100 invitations an hour, and these would be more." in answer.content.decode()
    assert Invitation.objects.count() == 60
    invitations.invite(workspace=second, by=alice, emails=addresses(40), role=Role.MEMBER)  # none was counted
    Invitation.objects.update(last_sent_at=timezone.now() - timedelta(minutes=2))
    again = Invitation.objects.filter(workspace=second)[0]
    with pytest.raises(invitations.TooManyInvitations) as refused:
        invitations.resend(workspace=second, by=alice, invitation_id=again.pk)
    assert (refused.value.status, refused.value.code) == (429, "too_many_invitations")


def test_a_workspace_sends_a_hundred_mails_an_hour_whoever_asks(alice, bob, workspace, one_window):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    invitations.invite(workspace=workspace, by=alice, emails=addresses(60), role=Role.MEMBER)
    revoke_all()
    with pytest.raises(invitations.TooManyInvitations, match="A Workspace may send 100"):
        invitations.invite(workspace=workspace, by=bob, emails=addresses(41), role=Role.MEMBER)
    # Who is invited already gets no mail, so nothing is counted.
    invitations.invite(workspace=workspace, by=bob, emails=addresses(40), role=Role.MEMBER)
    outcome = invitations.invite(workspace=workspace, by=bob, emails=addresses(40), role=Role.MEMBER)
    assert len(outcome.invited) == 40
