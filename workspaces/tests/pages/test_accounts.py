"""Signing in with a password, the page of an account, and what people may call themselves and their Workspaces."""

import unicodedata

import pytest
from django.core.cache import cache
from django.test import Client

from console.tests.html_rules import complaints
from workspaces import audit
from workspaces.models import AuditEvent, User, Workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counted_attempts(db):
    cache.clear()


@pytest.mark.parametrize("name", ["Ada\nLovelace", "\u200b", "\u3164", "a\u202eb", "x" * 101])
def test_a_persons_name_is_one_line_that_can_be_seen(as_, alice, name):
    client = as_(alice)
    rest = {"theme": "system", "time_zone": "UTC"}
    answer = client.post("/account/", {"name": name, **rest})
    assert answer.status_code == 422
    assert "Enter a name" in answer.context["form"].errors["name"][0]
    assert client.post("/account/", {"name": "", "theme": "system", "time_zone": "UTC"}).status_code == 303
    assert client.post("/account/", {"name": " می\u200cخواهم  🇩🇪", **rest}).status_code == 303
    alice.refresh_from_db()
    assert alice.name == "می\u200cخواهم 🇩🇪"


@pytest.mark.parametrize("name", ["\u200b", "a\u202eb", "\u2800", "\u200d", "a\nb", "x" * 51])
def test_a_workspace_named_so_is_refused(as_, alice, name):
    answer = as_(alice).post("/workspaces/new/", {"name": name})
    assert answer.status_code == 422
    assert "Enter a name" in answer.context["form"].errors["name"][0]


@pytest.mark.parametrize("name", ["Two  blanks", "No\u00a0break", "Cafe\u0301", "ﬁne"])
def test_a_workspace_is_deleted_by_typing_what_its_page_shows(as_, alice, workspace, name):
    type(workspace).objects.update(name=name)  # as it was stored before there was one rule
    url = f"/w/{workspace.pk}/delete/"
    assert as_(alice).post(url, {"confirm": "Other"}).status_code == 422
    assert (
        as_(alice).post(url, {"confirm": " ".join(unicodedata.normalize("NFC", name).split())}).status_code
        == 303
    )


def test_a_reset_does_not_tell_whether_an_address_is_known(client, alice, mailoutbox):
    answers = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True).content.decode()
        for email in ("alice@example.org", "nobody@example.org")
    ]
    pages = [page.split('data-now="')[0] + page.split("</head>")[1] for page in answers]
    assert pages[0] == pages[1]
    assert [mail.to for mail in mailoutbox] == [["alice@example.org"], ["nobody@example.org"]]


def test_signing_in_and_out(client, alice, workspace):
    answer = client.post(
        "/accounts/login/", {"login": "ALICE@example.org", "password": "correct horse battery"}
    )
    assert answer.status_code == 302
    assert client.get(workspace.url).status_code == 200
    client.post("/accounts/logout/")
    assert client.get(workspace.url).status_code == 302


def test_a_wrong_password_says_so_without_saying_which_half(client, alice):
    answer = client.post("/accounts/login/", {"login": "alice@example.org", "password": "wrong"})
    assert "not correct" in answer.content.decode()


def test_guessing_passwords_is_slowed_down(client, alice):
    answers = [
        client.post("/accounts/login/", {"login": "alice@example.org", "password": "wrong"}) for _ in range(7)
    ]
    page = client.post(
        "/accounts/login/", {"login": "alice@example.org", "password": "correct horse battery"}
    )
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert page.status_code == 429  # the right one does not open it either
    assert page["Retry-After"] == "300"
    assert "Too many failed login attempts. Try again later." in page.content.decode()


def test_a_reset_mail_leads_to_a_new_password(client, alice, mailoutbox):
    client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    assert len(mailoutbox) == 1
    link = next(word for word in mailoutbox[0].body.split() if "/password/reset/key/" in word)
    path = link.split("testserver", 1)[1]
    form = client.get(path)
    answer = client.post(
        form["Location"], {"password1": "another long phrase", "password2": "another long phrase"}
    )
    assert answer.status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("another long phrase")


def test_a_person_sets_name_theme_and_time_zone(as_, alice):
    client = as_(alice)
    client.post("/account/", {"name": "Alice A.", "theme": "dark", "time_zone": "Europe/Berlin"})
    alice.refresh_from_db()
    assert (alice.name, alice.theme, alice.time_zone) == ("Alice A.", "dark", "Europe/Berlin")
    assert 'data-theme="dark"' in client.get("/account/").content.decode()


def test_the_account_page_offers_what_this_person_can_sign_in_with(as_, alice, settings):
    change, choose, factor = "/accounts/password/change/", "/accounts/password/set/", "/accounts/2fa/"

    def offered() -> list[str]:
        html = as_(alice).get("/account/").content.decode()
        assert complaints(html) == []
        return [url for url in (change, choose, factor) if f'href="{url}"' in html]

    assert offered() == [change, factor]
    alice.set_unusable_password()
    alice.save()
    assert offered() == [choose, factor]
    settings.OIDC_URL, settings.OIDC_NAME, settings.OIDC_ONLY = "https://id.example.org", "Acme", True
    assert offered() == []
    assert "You sign in with it, and with nothing else." in as_(alice).get("/account/").content.decode()


def test_a_further_workspace_and_a_new_name_for_it(as_, bob):
    client = as_(bob)
    assert client.post("/workspaces/new/", {"name": " "}).status_code == 422
    made = client.post("/workspaces/new/", {"name": "Second"})
    workspace = bob.workspaces.get(name="Second")
    assert made["Location"] == workspace.url
    client.post(f"/w/{workspace.pk}/settings/", {"name": "Second & best"})
    workspace.refresh_from_db()
    assert workspace.name == "Second & best"
    assert "Second &amp; best" in client.get(workspace.url).content.decode()
    assert AuditEvent.objects.get(verb="renamed").old == {"name": "Second"}


def test_an_audit_event_cannot_be_changed(alice, workspace):
    event = AuditEvent.objects.first()
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()


def test_what_somebody_did_stands_under_the_address_whatever_the_name_says(as_, bob, workspace):
    User.objects.filter(pk=bob.pk).update(name="alice@example.org")  # stored before it was refused
    as_(bob).post("/workspaces/new/", {"name": "Second"})
    event = AuditEvent.objects.latest("pk")
    assert (event.actor_label, event.actor_id) == ("bob@example.org", bob.pk)
    audit.record(Workspace(pk=workspace.pk, name="A\n\u202eme\u2028x"), bob, "renamed")
    assert AuditEvent.objects.latest("pk").object_label == "A me x"


@pytest.mark.parametrize("name", ["alice@example.org", "Alice <alice＠example.org>"])
def test_a_name_that_could_be_taken_for_an_account_is_refused(as_, bob, name):
    answer = as_(bob).post("/account/", {"name": name, "theme": "dark", "time_zone": "UTC"})
    assert answer.status_code == 422
    assert "Enter a name, not an address." in answer.content.decode()


@pytest.mark.parametrize("name", ["Bob\n B.", "Bob\u202eB.", "Bob\u2066B.", "Bob\u200f"])
def test_a_name_that_breaks_its_line_or_turns_its_direction_is_refused(as_, bob, name):
    answer = as_(bob).post("/account/", {"name": name, "theme": "dark", "time_zone": "UTC"})
    assert answer.status_code == 422
    assert "Enter a name without line breaks or invisible characters." in answer.content.decode()
