"""The mail of an invitation: sent to a real SMTP server and parsed; a server that is away, and one that refuses."""

import email
import email.policy
import re
import socket
from datetime import timedelta

import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.utils import timezone

from workspaces import invitation_links, tasks
from workspaces.actions import invitations
from workspaces.invitation_mail import invitation_mail
from workspaces.models import Invitation, User, Workspace
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db


class Inbox:
    """Keeps what a server is given; refuses the recipients that it is told to."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], email.message.EmailMessage]] = []
        self.refuses: set[str] = set()
        self.refusal = "550 no such mailbox"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuses:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.letters.append((envelope.rcpt_tos, parsed))
        return "250 OK"


@pytest.fixture
def smtp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def mailer(settings, smtp_port):
    """Django sends to `smtp_port`, whoever listens there."""
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": smtp_port, "timeout": 5},
        }
    }


@pytest.fixture
def inbox(mailer, smtp_port):
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=smtp_port)
    controller.start()
    yield inbox
    controller.stop()


@pytest.fixture
def invitation(workspace, alice) -> Invitation:
    return (
        invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR)
        .made[0]
        .invitation
    )


def test_the_mail_has_text_and_html_and_nothing_remote(inbox, invitation):
    tasks.send_invitation(str(invitation.pk))
    recipients, letter = inbox.letters[0]
    assert recipients == ["ida@example.org"]
    assert letter["Subject"] == "alice@example.org invites you to a Workspace on Airdeck"
    text = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    url = f"http://testserver/join/{invitation_links.mailed_token(invitation)}/"
    for body in (text, html):
        assert set(re.findall(r"https?://[^\s\"<]+", body)) == {url}
        assert "as Editor" in body
    assert not re.search(r"<(img|script|link|style|iframe)|src=|url\(|@import", html)
    assert invitation_links.find(url.split("/")[-2]).proves_address


def test_names_are_no_markup_and_no_headers(inbox, workspace, alice):
    type(alice).objects.filter(pk=alice.pk).update(name="<b>Al\nBcc: eve</b> {{7*7}}")
    type(workspace).objects.update(name="A & B <script>")
    alice.refresh_from_db()
    row = invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER)
    tasks.send_invitation(str(row.made[0].invitation.pk))
    recipients, letter = inbox.letters[0]
    assert recipients == ["ida@example.org"]
    assert letter["Bcc"] is None
    html = letter.get_body(("html",)).get_content()
    assert "<script" not in html
    assert "{{7*7}}" in html
    assert "A & B <script>" in letter.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("person", "team"),
    [
        ("Billing http://evil.example/login", "Your invoice is due: pay.evil.example"),
        ("www.evil.example", "call tel:+4912345"),
        ("eve@evil.example", "evil．example"),
        ("//evil", "\\\\evil\\share"),
    ],
)
def test_no_name_leads_anywhere_and_the_subject_holds_none(inbox, workspace, alice, person, team):
    type(alice).objects.filter(pk=alice.pk).update(name=person)
    type(workspace).objects.update(name=team)
    alice.refresh_from_db()
    row = invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER)
    tasks.send_invitation(str(row.made[0].invitation.pk))
    ((_, letter),) = inbox.letters
    bodies = [letter.get_body((kind,)).get_content() for kind in ("plain", "html")]
    for text in (letter["Subject"], *bodies):
        assert "evil" not in text
        assert "4912345" not in text
        assert "alice@example.org" in text
    assert "a Workspace on Airdeck" in letter["Subject"]


def test_an_ordinary_name_stands_beside_the_address(inbox, invitation):
    tasks.send_invitation(str(invitation.pk))
    ((_, letter),) = inbox.letters
    assert (
        "Alice (alice@example.org) invites you to the Workspace Acme Data"
        in letter.get_body(("plain",)).get_content()
    )


def test_a_mail_is_sent_once_however_often_a_worker_is_asked(inbox, invitation):
    for _ in range(3):
        tasks.send_invitation(str(invitation.pk))
    assert len(inbox.letters) == 1
    invitation.refresh_from_db()
    assert (invitation.mail_state, invitation.mail_tries) == ("sent", 1)


def test_a_server_that_is_away_delays_the_mail_and_is_shown(mailer, as_, alice, invitation, workspace):
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    assert invitation.mail_state == "queued"
    assert invitation.mail_due_at > timezone.now() + timedelta(seconds=10)
    page = as_(alice).get(f"/w/{workspace.pk}/members/").content.decode()
    assert "The mail server does not answer. It is tried again." in page
    tasks.send_invitation(str(invitation.pk))  # not due yet
    invitation.refresh_from_db()
    assert invitation.mail_tries == 1


def test_an_old_mail_that_fails_once_more_holds_up_a_new_one_for_seconds_only(
    mailer, invitation, workspace, alice
):
    Invitation.objects.update(mail_tries=6)  # it waits for half an hour
    made = invitations.invite(workspace=workspace, by=alice, emails=["eve@example.org"], role=Role.MEMBER)
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    new = Invitation.objects.get(pk=made.made[0].invitation.pk)
    assert invitation.mail_due_at > timezone.now() + timedelta(minutes=20)
    assert timezone.now() < new.mail_due_at < timezone.now() + timedelta(seconds=20)


def test_the_sweep_finds_what_is_due_and_the_mail_goes_out(inbox, invitation, enqueued_mail):
    Invitation.objects.update(
        mail_tries=3, mail_sentence="The mail server does not answer. It is tried again."
    )
    assert tasks.sweep_mail() == 1
    assert enqueued_mail == [invitation.pk]
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    assert (invitation.mail_state, invitation.mail_sentence, len(inbox.letters)) == ("sent", "", 1)
    assert tasks.sweep_mail() == 0


def test_after_the_last_try_the_row_says_that_no_mail_was_sent(mailer, as_, alice, invitation, workspace):
    Invitation.objects.update(mail_tries=len(tasks.BACKOFF_SECONDS))
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    assert invitation.mail_state == "failed"
    assert "No email was sent" in as_(alice).get(f"/w/{workspace.pk}/members/").content.decode()


def test_a_refused_address_is_not_tried_again(inbox, invitation):
    inbox.refuses.add("ida@example.org")
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    assert (invitation.mail_state, invitation.mail_sentence) == (
        "failed",
        "The mail server refused the address.",
    )


def test_a_mail_server_that_asks_to_try_later_is_asked_again_and_holds_up_no_other(
    inbox, invitation, workspace, alice
):
    made = invitations.invite(workspace=workspace, by=alice, emails=["eve@example.org"], role=Role.MEMBER)
    inbox.refuses.add("ida@example.org")
    inbox.refusal = "450 4.2.0 greylisted, try later"
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    sentence = "The mail server asks to try later. It is tried again."
    assert (invitation.mail_state, invitation.mail_sentence) == ("queued", sentence)
    tasks.send_invitation(str(made.made[0].invitation.pk))
    assert [to for to, _ in inbox.letters] == [["eve@example.org"]]


def test_a_revoked_invitation_is_not_mailed(inbox, invitation):
    Invitation.objects.update(revoked_at=timezone.now())
    tasks.send_invitation(str(invitation.pk))
    assert inbox.letters == []


def test_after_a_change_of_the_key_no_dead_link_is_mailed(inbox, invitation, settings):
    settings.SECRET_KEY = "another key, as after a restore without it"
    tasks.send_invitation(str(invitation.pk))
    invitation.refresh_from_db()
    assert inbox.letters == []
    assert (invitation.mail_state, "key of this installation" in invitation.mail_sentence) == ("failed", True)


def test_sign_up_works_while_the_mail_server_is_away(mailer, client):
    body = {"email": "ida@example.org", "password1": "a long enough passphrase"}
    answer = client.post("/accounts/signup/", body, follow=True)
    assert answer.status_code == 200
    assert "The mail server does not answer" in answer.content.decode()


def test_inviting_sends_nothing_by_itself(
    as_, alice, workspace, django_capture_on_commit_callbacks, enqueued_mail
):
    with django_capture_on_commit_callbacks(execute=True):
        as_(alice).post(
            f"/w/{workspace.pk}/members/invite/", {"addresses": "ida@example.org", "role": "member"}
        )
    assert mail.outbox == []
    assert enqueued_mail == [Invitation.objects.get().pk]


def test_names_stand_on_one_line_in_the_whole_mail(inbox, workspace, alice):
    # Stored before names were refused that break their line.
    User.objects.filter(pk=alice.pk).update(name="Alice\r\n\r\nYour account is locked\u202e")
    Workspace.objects.filter(pk=workspace.pk).update(name="Acme\n\nPay here\u2028now\x0b\u2067")
    workspace.refresh_from_db()
    made = invitations.invite(
        workspace=workspace, by=User.objects.get(pk=alice.pk), emails=["ida@example.org"], role=Role.MEMBER
    )
    mail = invitation_mail(made.made[0].invitation, "token")
    html = str(mail.alternatives[0].content)
    for text in (mail.body, html):
        assert "Alice Your account is locked (alice@example.org)" in text
        assert "Acme Pay here now" in text
    for text in (mail.subject, mail.body, html):
        assert not re.search("[\u2028\u2029\u202a-\u202e\u2066-\u2069\x0b]", text)
