"""Mail without a mail server: kept in a folder, read by site administrators, on one person's machine only."""

import re
import stat

import httpx
import pytest
from django.core.mail import EmailMessage
from django.urls import NoReverseMatch, reverse

from console import mailbox
from console.tests.html_rules import complaints
from console.tests.system.installation import Installation, wait_until
from workspaces.models import User


@pytest.fixture
def folder(settings, tmp_path):
    """Mail goes here."""
    folder = tmp_path / "mail"
    settings.MAIL_FOLDER = folder
    settings.MAILERS = {"default": {"BACKEND": "console.mailbox.EmailBackend", "OPTIONS": {"folder": folder}}}
    return folder


def send(subject: str = "Hello", body: str = "See http://testserver/join/abc/ for more") -> None:
    EmailMessage(subject=subject, body=body, to=["ida@example.org"]).send()


def test_a_message_is_kept_for_this_user_alone(folder) -> None:
    send()
    path = next(folder.iterdir())
    assert path.suffix == ".eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    letter = mailbox.letters(folder)[0]
    assert (letter.to, letter.subject) == ("ida@example.org", "Hello")


def test_the_oldest_messages_are_forgotten(folder, monkeypatch) -> None:
    monkeypatch.setattr(mailbox, "KEEP", 3)
    for number in range(5):
        send(f"Number {number}")
    assert [each.subject for each in mailbox.letters(folder)] == ["Number 4", "Number 3", "Number 2"]


@pytest.mark.urls("console.tests.urls_with_mail")
def test_site_administrators_read_it_and_nobody_else(as_, alice, client, folder) -> None:
    olga = User.objects.create_superuser("olga@example.org", "correct horse battery")
    send("<script>alert(1)</script>")
    assert client.get("/mail/").status_code == 302
    assert as_(alice).get("/mail/").status_code == 404
    html = as_(olga).get("/mail/").content.decode()
    assert complaints(html) == []
    assert 'href="http://testserver/join/abc/"' in html
    assert "<script>alert" not in html


@pytest.mark.django_db
def test_production_does_not_route_it(client) -> None:
    with pytest.raises(NoReverseMatch):
        reverse("mail")
    assert client.get("/mail/").status_code == 404


def test_under_make_run_an_invitation_is_mailed_read_and_accepted() -> None:
    with Installation() as it:
        workspace = it.sign_up("ada@example.org").removesuffix("deployments/")
        made = it.submit(f"{workspace}members/invite/", {"addresses": "ida@example.org", "role": "editor"})
        assert "1 person invited" in made.text

        def mailed() -> list[str]:
            return re.findall(rf'href="{it.url}(/join/[^"]+)"', it.client.get("/mail/").text)

        wait_until(lambda: bool(mailed()), 30, lambda: it.client.get("/mail/").text)
        link = mailed()[0]
        stranger = httpx.get(f"{it.url}/accounts/signup/")
        assert "Sign-up is closed" in stranger.text  # since the first account
        assert "Sent" in it.client.get(f"{workspace}members/").text
        it.client.cookies.clear()
        signed_up = it.submit(
            f"/accounts/signup/?next={link}",
            {"email": "ida@example.org", "password1": "a long enough phrase"},
        )
        assert signed_up.headers["location"] == link
        joined = it.client.post(
            link, data={"csrfmiddlewaretoken": it.filled(link, {})[1]["csrfmiddlewaretoken"]}
        )
        assert joined.headers["location"] == f"{workspace}deployments/"
        assert "ida@example.org, confirmed" in it.client.get("/account/").text  # the link came by mail
        assert it.client.get("/mail/").status_code == 404  # the second account is no site administrator
