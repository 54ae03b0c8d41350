"""An invitation counts as long as who sent it may invite: nobody leaves a door open behind them."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.kit.refusals import ActionRefused
from workspaces import tasks
from workspaces.actions import invitations, members, operators
from workspaces.models import Invitation, Membership, User
from workspaces.permissions import Role
from workspaces.tests.pages.test_invitations import PASSWORD, link

pytestmark = pytest.mark.django_db
WHY = "This invitation came from Bob, who may no longer invite people to Acme Data."


@pytest.fixture
def made(workspace, alice, bob):
    """An invitation of Ida that Bob sent while he was Admin; he still is."""
    cache.clear()
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made = invitations.invite(workspace=workspace, by=bob, emails=["ida@example.org"], role=Role.ADMIN).made
    Invitation.objects.update(last_sent_at=timezone.now() - timedelta(minutes=2))
    return made[0]


@pytest.fixture
def ida(db):
    person = User.objects.create_user("ida@example.org", PASSWORD, name="Ida")
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)
    return person


def removed(workspace, alice, bob, olga):
    members.remove(workspace=workspace, by=alice, user_id=bob.pk)


def demoted(workspace, alice, bob, olga):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.EDITOR)


def left(workspace, alice, bob, olga):
    members.leave(workspace=workspace, by=bob)


def blocked(workspace, alice, bob, olga):
    operators.block_user(user=bob, by=olga)


@pytest.mark.parametrize("ends", [removed, demoted, left, blocked])
def test_who_follows_the_link_is_told_why_it_no_longer_works_and_joins_nothing(
    as_, workspace, alice, bob, olga, ida, made, ends
):
    ends(workspace, alice, bob, olga)
    for client in (Client(), as_(ida)):
        answer = client.get(link(made.token))
        assert answer.status_code == 410
        assert "This invitation no longer works" in answer.content.decode()
        assert WHY in answer.content.decode()
        assert "Alice can send you a new one." in answer.content.decode()
        assert client.post(link(made.token)).status_code == 410
    assert not Membership.objects.filter(user=ida).exists()
    with pytest.raises(
        ActionRefused, match=r"^This invitation came from Bob.*Ask an Admin for a new link\.$"
    ):
        invitations.accept(invitation=made.invitation, by=ida, proves_address=True)


def test_it_does_not_wait_in_the_console_either(as_, workspace, alice, bob, olga, ida, made):
    client = as_(ida)
    assert "Join Acme Data" in client.get(reverse("invitations")).content.decode()
    removed(workspace, alice, bob, olga)
    assert "Join Acme Data" not in client.get(reverse("invitations")).content.decode()
    assert client.post(reverse("invitation_accept", args=[made.invitation.pk])).status_code == 404


def test_it_does_not_open_closed_sign_up(client, workspace, alice, bob, olga, made, settings):
    settings.OPEN_SIGNUP = False
    removed(workspace, alice, bob, olga)
    client.post(
        "/accounts/signup/", {"email": "ida@example.org", "password1": PASSWORD, "next": link(made.token)}
    )
    assert not User.objects.filter(email="ida@example.org").exists()


def test_admins_see_it_and_sending_it_again_makes_it_theirs(
    as_, workspace, alice, bob, olga, ida, made, client
):
    removed(workspace, alice, bob, olga)
    client.post(reverse("invitation_ask", args=[made.token]))
    page = as_(alice).get(reverse("members", args=[workspace.pk])).content.decode()
    assert "Does not work" in page
    assert "Requested a new link" in page
    assert "Bob may no longer invite people. Send it again to make it work." in page
    assert "Show link" not in page
    shown = as_(alice).post(reverse("invitation_link", args=[workspace.pk, made.invitation.pk]), follow=True)
    assert f"{WHY} Send it again to get a link that works." in shown.content.decode()
    invitations.resend(workspace=workspace, by=alice, invitation_id=made.invitation.pk)
    row = Invitation.objects.with_inviter().get()
    assert (row.invited_by, row.is_backed, row.asked_at) == (alice, True, None)
    as_(ida).post(reverse("invitation_accept", args=[row.pk]))
    assert Membership.objects.get(user=ida).role == Role.ADMIN


def test_inviting_the_address_again_makes_it_anew_with_the_role_of_now(workspace, alice, bob, olga, made):
    removed(workspace, alice, bob, olga)
    again = invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER)
    assert [each.invitation.pk for each in again.made] == [made.invitation.pk]
    row = Invitation.objects.with_inviter().get()
    assert (row.role, row.invited_by, row.is_backed) == ("member", alice, True)


def test_who_may_invite_again_has_invitations_that_work_again(as_, workspace, alice, bob, olga, ida, made):
    demoted(workspace, alice, bob, olga)
    assert as_(ida).get(link(made.token)).status_code == 410
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    assert as_(ida).get(link(made.token)).status_code == 200


def test_its_mail_is_not_sent_any_more(workspace, alice, bob, olga, made):
    removed(workspace, alice, bob, olga)
    tasks.send_invitation(str(made.invitation.pk))
    row = Invitation.objects.get()
    assert (row.mail_state, row.mail_sentence) == (
        "failed",
        "Who sent it may no longer invite people. Send it again.",
    )
    assert mail.outbox == []


def test_who_removes_or_demotes_an_admin_is_told_what_becomes_of_it(as_, workspace, alice, bob, made):
    sentence = "1 invitation that they sent stops working until an Admin sends it again."
    client = as_(alice)
    assert sentence in client.get(reverse("member_remove", args=[workspace.pk, bob.pk])).content.decode()
    url = reverse("member_role", args=[workspace.pk, bob.pk])
    assert sentence in client.post(url, {"role": "editor"}, follow=True).content.decode()
    assert sentence not in client.post(url, {"role": "admin"}, follow=True).content.decode()
