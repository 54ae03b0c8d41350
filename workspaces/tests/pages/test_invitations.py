"""Inviting, and what the invited meet: every state of a link, sign-up on the way, mail."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.kit.refusals import ActionRefused
from workspaces import invitation_links
from workspaces.actions import invitations
from workspaces.models import AuditEvent, Invitation, Membership, User
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough passphrase"


@pytest.fixture(autouse=True)
def _nothing_counted(db):
    cache.clear()


@pytest.fixture
def made(workspace, alice):
    """An invitation of Ida as Editor, with the token of the link to copy."""
    return invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR
    ).made[0]


@pytest.fixture
def ida(db):
    """Has an account and belongs to no Workspace."""
    return User.objects.create_user("ida@example.org", PASSWORD, name="Ida")


def link(token: str) -> str:
    return reverse("invitation", args=[token])


def invite(client, workspace, addresses, role="member"):
    return client.post(reverse("members_invite", args=[workspace.pk]), {"addresses": addresses, "role": role})


def expire(invitation) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


# -- Inviting --


def test_several_people_are_invited_at_once_and_the_links_are_shown_once(as_, alice, bob, workspace):
    client = as_(alice)
    answer = invite(
        client, workspace, "Ida@Example.org, ida@example.org\nJo <jo@example.org>; bob@example.org", "editor"
    )
    html = answer.content.decode()
    assert "2 people invited" in html
    assert "Already members: bob@example.org" in html
    rows = {row.email: row for row in Invitation.objects.all()}
    assert set(rows) == {"ida@example.org", "jo@example.org"}
    assert {row.role for row in rows.values()} == {"editor"}
    copied = re.findall(r"http://testserver/join/([^/]+)/", html)
    assert {invitation_links.find(token).invitation.email for token in copied} == set(rows)
    assert copied[0] not in client.get(reverse("members", args=[workspace.pk])).content.decode()
    assert AuditEvent.objects.filter(verb="invited").count() == 2


def test_what_is_stored_opens_nothing(made):
    row = Invitation.objects.get()
    stored = " ".join(str(value) for value in Invitation.objects.values_list().get())
    links = invitation_links.links_of(row)
    assert made.token == links.copied != links.mailed
    assert made.token not in stored
    assert links.mailed not in stored
    assert invitation_links.find(row.nonce) is invitation_links.find(row.copied_hash) is None
    assert made.token not in repr(made)


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        ("", "Enter at least one email address."),
        (" , ;\n", "Enter at least one email address."),
        ("ida@example.org, nonsense", "Check “nonsense”"),
        ("аlice@example.org", "Check “аlice@example.org”"),  # a Cyrillic а before the @
        ("\n".join(f"p{n}@example.org" for n in range(51)), "Enter at most 50 addresses; these are 51."),
        ("a" * 250 + "@example.org", "Check “aaa"),
    ],
)
def test_a_wrong_list_of_addresses_invites_nobody(as_, alice, workspace, addresses, sentence):
    answer = invite(as_(alice), workspace, addresses)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Invitation.objects.exists()


def test_a_full_width_address_is_the_same_and_a_look_alike_domain_is_another(as_, alice, workspace):
    invite(as_(alice), workspace, "ｉda@example.org\nida@example.org\nida@exаmple.org")  # Cyrillic а
    assert sorted(Invitation.objects.values_list("email", flat=True)) == [
        "ida@example.org",
        "ida@xn--exmple-4nf.org",
    ]


def test_who_is_invited_already_stays_invited_as_before(as_, alice, made, workspace):
    answer = invite(as_(alice), workspace, "IDA@example.org", "admin")
    html = answer.content.decode()
    assert "No one new was invited" in html
    assert "ida@example.org (as Editor)" in html
    assert Invitation.objects.get().role == "editor"
    assert invitation_links.find(made.token) is not None


def test_an_expired_invitation_is_made_anew_by_inviting_again(as_, alice, made, workspace):
    expire(made.invitation)
    assert "1 person invited" in invite(as_(alice), workspace, "ida@example.org", "member").content.decode()
    row = Invitation.objects.get()
    assert (row.role, row.is_expired) == ("member", False)
    assert invitation_links.find(made.token) is None


def test_a_workspace_has_at_most_100_pending_invitations(alice, workspace):
    for part in range(2):
        emails = [f"p{part}-{n}@example.org" for n in range(50)]
        invitations.invite(workspace=workspace, by=alice, emails=emails, role=Role.MEMBER)
    with pytest.raises(
        ActionRefused, match=r"100 pending invitations, and these would make 101\. Revoke some"
    ):
        invitations.invite(workspace=workspace, by=alice, emails=["one@example.org"], role=Role.MEMBER)
    assert Invitation.objects.count() == 100


def test_inviting_too_often_says_when_to_try_again(as_, alice, workspace, one_window):
    client = as_(alice)
    answers = [invite(client, workspace, "") for _ in range(31)]
    assert [answer.status_code for answer in answers] == [422] * 30 + [429]
    assert answers[-1]["Retry-After"] == "599"
    assert "Nothing was changed. Try again in" in answers[-1].content.decode()


def test_a_new_link_at_most_once_a_minute_and_the_old_one_stops(as_, alice, made, workspace):
    client = as_(alice)
    url = reverse("invitation_resend", args=[workspace.pk, made.invitation.pk])
    assert "less than a minute old" in client.post(url, follow=True).content.decode()
    assert invitation_links.find(made.token) is not None
    Invitation.objects.update(last_sent_at=timezone.now() - timedelta(seconds=61))
    html = client.post(url).content.decode()
    fresh = re.search(r"/join/([^/]+)/", html)[1]
    assert invitation_links.find(made.token) is None
    assert invitation_links.find(fresh).invitation == made.invitation


def test_a_revoked_link_says_so(as_, alice, ida, made, workspace):
    client = as_(alice)
    client.post(reverse("invitation_revoke", args=[workspace.pk, made.invitation.pk]))
    answer = as_(ida).post(link(made.token))
    assert answer.status_code == 410
    assert "This invitation was revoked" in answer.content.decode()
    assert "Alice can invite you again" in answer.content.decode()
    assert not Membership.objects.filter(user=ida).exists()


# -- Following a link --


def test_looking_at_a_link_uses_nothing(client, made):
    for _ in range(3):
        assert client.get(link(made.token)).status_code == 200
    assert client.head(link(made.token)).status_code == 200
    row = Invitation.objects.get()
    assert row.is_open
    assert not Membership.objects.filter(user__email="ida@example.org").exists()


def test_somebody_with_an_account_signs_in_and_joins_once(client, ida, made, workspace):
    page = client.get(link(made.token)).content.decode()
    assert "Sign in instead" in page
    sign_in = client.post(
        "/accounts/login/", {"login": "ida@example.org", "password": PASSWORD, "next": link(made.token)}
    )
    assert sign_in["Location"] == link(made.token)
    assert "As <strong>Editor</strong>" in client.get(link(made.token)).content.decode()
    answer = client.post(link(made.token), follow=True)
    assert "You have joined Acme Data. Your role is Editor." in answer.content.decode()
    assert Membership.objects.get(user=ida, workspace=workspace).role == Role.EDITOR
    assert AuditEvent.objects.get(verb="joined").actor_label == "ida@example.org"
    assert "already a member of Acme Data" in client.get(link(made.token)).content.decode()


def test_a_stranger_signs_up_on_the_way_with_the_address_filled_in(client, made, workspace):
    page = client.get(link(made.token)).content.decode()
    sign_up = re.search(r'href="(/accounts/signup/[^"]+)"', page)[1]
    form = client.get(sign_up).content.decode()
    assert 'value="ida@example.org"' in form
    answer = client.post(
        "/accounts/signup/", {"email": "ida@example.org", "password1": PASSWORD, "next": link(made.token)}
    )
    assert answer["Location"] == link(made.token)
    client.post(link(made.token))
    ida = User.objects.get(email="ida@example.org")
    assert set(ida.workspaces.values_list("name", flat=True)) == {"Acme Data", "Ida's Workspace"}
    assert not EmailAddress.objects.get(user=ida).verified  # the copied link proves nothing


def test_the_link_in_the_mail_proves_the_address(client, made):
    token = invitation_links.mailed_token(made.invitation)
    client.post("/accounts/signup/", {"email": "ida@example.org", "password1": PASSWORD, "next": link(token)})
    assert EmailAddress.objects.get(email="ida@example.org").verified


def test_accepting_by_the_link_in_the_mail_proves_the_address_of_an_account(as_, ida, made):
    EmailAddress.objects.create(user=ida, email=ida.email, primary=True, verified=False)
    as_(ida).post(link(invitation_links.mailed_token(made.invitation)))
    assert EmailAddress.objects.get(user=ida).verified


def test_a_valid_invitation_registers_while_sign_up_is_closed(client, made, settings):
    settings.OPEN_SIGNUP = False
    body = {"email": "ida@example.org", "password1": PASSWORD}
    assert "closed" in client.post("/accounts/signup/", body).content.decode().lower()
    other = client.post("/accounts/signup/", {**body, "email": "eve@example.org", "next": link(made.token)})
    assert "This invitation is for ida@example.org." in other.content.decode()
    assert client.post("/accounts/signup/", {**body, "next": link(made.token)}).status_code == 302
    assert User.objects.filter(email="ida@example.org").exists()
    assert not User.objects.filter(email="eve@example.org").exists()


@pytest.mark.parametrize("state", ["expired", "revoked", "used", "unknown"])
def test_a_dead_invitation_does_not_open_closed_sign_up(client, made, settings, state):
    settings.OPEN_SIGNUP = False
    now = timezone.now()
    change = {"expired": {"expires_at": now}, "revoked": {"revoked_at": now}, "used": {"accepted_at": now}}
    if state in change:
        Invitation.objects.update(**change[state])
    token = made.token if state != "unknown" else "nothing"
    client.post("/accounts/signup/", {"email": "ida@example.org", "password1": PASSWORD, "next": link(token)})
    assert not User.objects.filter(email="ida@example.org").exists()


def test_somebody_else_is_told_and_can_switch(as_, charlie, made):
    client = as_(charlie)
    page = client.get(link(made.token)).content.decode()
    assert "You are signed in as <strong>charlie@example.org</strong>" in page
    client.post(link(made.token))
    assert not Membership.objects.filter(user=charlie, workspace=made.invitation.workspace).exists()
    switched = client.post("/accounts/logout/", {"next": link(made.token)})
    assert switched["Location"] == link(made.token)
    assert "Create an account" in client.get(link(made.token)).content.decode()


def test_an_expired_link_names_whom_to_ask_and_asks(client, as_, alice, made, workspace):
    expire(made.invitation)
    page = client.get(link(made.token))
    assert page.status_code == 410
    assert "Alice can send you a new one" in page.content.decode()
    assert client.post(link(made.token)).status_code == 410
    client.post(reverse("invitation_ask", args=[made.token]))
    assert "A new link was requested." in client.get(link(made.token)).content.decode()
    assert "Requested a new link" in as_(alice).get(reverse("members", args=[workspace.pk])).content.decode()


def test_a_link_that_never_was_is_not_found(client, db):
    answer = client.get(link("nothing-like-this"))
    assert answer.status_code == 404
    assert "This link does not work" in answer.content.decode()
    assert client.post(link("nothing-like-this")).status_code == 404


def test_the_role_is_the_one_on_the_invitation_now(as_, ida, made, workspace):
    Invitation.objects.update(role=Role.MEMBER)
    as_(ida).post(link(made.token))
    assert Membership.objects.get(user=ida).role == Role.MEMBER


def test_guessing_links_is_slowed_down(client, db, one_window):
    codes = [client.post(link(f"guess-{n}")).status_code for n in range(31)]
    assert codes == [404] * 30 + [429]


# -- Waiting in the console --


def verified(user) -> Client:
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    client = Client()
    client.force_login(user)
    return client


def test_an_invitation_waits_in_the_console_of_whoever_has_the_address(ida, made, workspace):
    client = verified(ida)
    assert "You have an invitation to a Workspace." in client.get("/account/").content.decode()
    assert "Join Acme Data" in client.get(reverse("invitations")).content.decode()
    client.post(reverse("invitation_accept", args=[made.invitation.pk]))
    assert Membership.objects.get(user=ida, workspace=workspace).role == Role.EDITOR
    assert "waits for you." not in client.get("/account/").content.decode()


def test_who_only_claims_the_address_is_told_nothing(as_, ida, made):
    client = as_(ida)  # the address of this account is not verified
    assert "waits for you" not in client.get("/account/").content.decode()
    page = client.get(reverse("invitations")).content.decode()
    assert "Acme Data" not in page
    assert "Your email address is not confirmed" in page
    assert client.post(reverse("invitation_accept", args=[made.invitation.pk])).status_code == 404
    assert not Membership.objects.filter(user=ida).exists()


def test_somebody_else_s_invitation_is_not_there(charlie, made):
    client = verified(charlie)
    for name in ("invitation_accept", "invitation_decline"):
        assert client.post(reverse(name, args=[made.invitation.pk])).status_code == 404
    assert Invitation.objects.get().is_open


def test_declining(ida, made):
    verified(ida).post(reverse("invitation_decline", args=[made.invitation.pk]))
    assert not Invitation.objects.get().is_open
    assert AuditEvent.objects.get(verb="declined the invitation of").actor_label == "ida@example.org"


def test_a_suspended_workspace_takes_nobody_in(as_, ida, made, workspace):
    type(workspace).objects.update(suspended_at=timezone.now())
    answer = as_(ida).post(link(made.token), follow=True)
    assert "suspended by a site administrator" in answer.content.decode()
    assert not Membership.objects.filter(user=ida).exists()
