"""Sign-up, sign-in and what a new account gets."""

import os
import subprocess
import sys
import threading
import unicodedata
from importlib import import_module

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import connections
from django.test import Client

from console.tests.html_rules import complaints
from workspaces import audit
from workspaces.email_addresses import normalize_email
from workspaces.models import AuditEvent, Membership, User, Workspace
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
STRONG = "a long enough passphrase"


@pytest.fixture(autouse=True)
def _no_counted_attempts(db):
    cache.clear()


def sign_up(client: Client, email: str = "dora@example.org", password: str = STRONG, **extra):
    return client.post("/accounts/signup/", {"email": email, "password1": password, **extra})


def test_a_new_account_has_a_personal_workspace_and_lands_on_its_deployments(client):
    answer = sign_up(client)
    user = User.objects.get(email="dora@example.org")
    membership = Membership.objects.get(user=user)
    assert membership.role == Role.ADMIN
    assert membership.workspace.name == "Dora's Workspace"
    assert answer.status_code == 302
    home = client.get(answer["Location"])
    assert home["Location"] == membership.workspace.url
    page = client.get(home["Location"]).content.decode()
    assert "A Deployment is one Apache Airflow" in page
    assert AuditEvent.objects.filter(verb="created", object_type="workspace", actor_id=user.pk).count() == 1


def test_where_mail_stays_on_this_machine_no_one_is_sent_to_a_mailbox(client, settings):
    settings.MAIL_IS_KEPT = True
    home = client.get(sign_up(client)["Location"], follow=True).content.decode()
    assert "the link" not in home
    client.post("/accounts/reauthenticate/", {"password": STRONG})
    changed = client.post("/accounts/email/", {"email": "eve@example.org", "action_add": ""}, follow=True)
    assert "a site administrator finds it at /mail/" in changed.content.decode()
    assert "Follow the link that was sent" not in changed.content.decode()


def test_on_the_embedded_default_the_first_account_is_site_administrator(client, settings):
    settings.EMBEDDED = True
    sign_up(client)
    sign_up(Client(), "eve@example.org")
    assert list(User.objects.order_by("pk").values_list("is_staff", "is_superuser")) == [
        (True, True),
        (False, False),
    ]


def test_in_production_nobody_becomes_administrator_by_signing_up(client):
    sign_up(client)
    assert not User.objects.get().is_staff


@pytest.mark.django_db(transaction=True)
def test_of_two_first_accounts_at_the_same_instant_one_is_administrator(settings):
    settings.EMBEDDED = True
    barrier = threading.Barrier(2)

    def join(email):
        client = Client()
        barrier.wait()
        sign_up(client, email)
        connections.close_all()

    threads = [threading.Thread(target=join, args=[f"{name}@example.org"]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert User.objects.count() == 2
    assert User.objects.filter(is_superuser=True).count() == 1


def test_one_account_per_address_however_it_is_typed(client):
    sign_up(client, "Dora@Example.org")
    sign_up(Client(), "  dora@example.ORG ")
    sign_up(Client(), "ｄora@example.org")  # full-width d: the same letter after NFKC
    assert list(User.objects.values_list("email", flat=True)) == ["dora@example.org"]


def test_look_alike_addresses_stay_apart():
    assert normalize_email("аlice@example.org") != normalize_email("alice@example.org")  # Cyrillic а


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u2060", "\u00ad", "\u200d", "\u202e"])
def test_what_was_pasted_along_and_cannot_be_seen_is_no_part_of_an_address(mark):
    for typed in (f"jane@example.org{mark}", f"{mark}jane@example.org", f"ja{mark}ne@exa{mark}mple.org"):
        assert normalize_email(typed) == "jane@example.org"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Jane@Bücher.example", "jane@xn--bcher-kva.example"),
        ("jane@XN--BCHER-KVA.example", "jane@xn--bcher-kva.example"),
        ("jane@bu\u0308cher.example", "jane@xn--bcher-kva.example"),
        ("jane@straße.example", "jane@xn--strae-oqa.example"),
        ("jane@strasse.example", "jane@strasse.example"),
        ("jane@نامه\u200cای.example", "jane@xn--mgba3gch31f060k.example"),
        ("jane@-bad-\u00e9-.example", "jane@-bad-é-.example"),
        ("no address", "no address"),
    ],
)
def test_both_spellings_of_an_international_domain_are_one_identity(typed, stored):
    assert normalize_email(typed) == stored
    assert normalize_email(stored) == stored


def test_who_signed_up_in_one_spelling_signs_in_with_the_other(client):
    sign_up(Client(), "dora@Bücher.example")
    assert User.objects.get().email == "dora@xn--bcher-kva.example"
    for typed in ("dora@bücher.example", "dora@xn--bcher-kva.example"):
        answer = Client().post("/accounts/login/", {"login": typed, "password": STRONG})
        assert answer.status_code == 302
    sign_up(Client(), "dora@xn--bcher-kva.example")
    assert User.objects.count() == 1


def test_addresses_that_were_stored_in_the_other_spelling_are_found_again(client, alice, bob):
    User.objects.filter(pk=alice.pk).update(email="alice@bücher.example")
    User.objects.filter(pk=bob.pk).update(email="bob@example.org")
    migration = import_module("workspaces.migrations.0006_addresses_in_international_domains")
    migration.spell_out(apps, None)
    assert User.objects.get_by_natural_key("alice@Bücher.example") == alice
    assert User.objects.get(pk=bob.pk).email == "bob@example.org"


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


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        ("", STRONG, "This field is required."),
        ("nonsense", STRONG, "Enter a valid email address."),
        ("dora@example.org", "short", "This password is too short."),
        ("dora@example.org", "password", "This password is too common."),
    ],
)
def test_a_refused_sign_up_says_why_and_keeps_the_address(client, email, password, sentence):
    answer = sign_up(client, email, password)
    page = answer.content.decode()
    assert sentence in page
    assert User.objects.count() == 0
    assert not email or f'value="{email}"' in page


def test_sign_up_can_be_closed_except_for_the_first_account(client, settings):
    settings.OPEN_SIGNUP = False
    sign_up(client)
    assert User.objects.count() == 1
    refused = sign_up(Client(), "eve@example.org")
    assert User.objects.count() == 1
    assert "closed" in refused.content.decode().lower()


@pytest.mark.django_db(transaction=True)
def test_of_two_first_accounts_at_once_one_is_made_while_sign_up_is_closed(settings):
    settings.OPEN_SIGNUP = False
    barrier, answers = threading.Barrier(2), {}

    def first(email: str) -> None:
        barrier.wait(10)
        answers[email] = sign_up(Client(), email)
        connections.close_all()

    threads = [threading.Thread(target=first, args=(f"{name}@example.org",)) for name in ("dora", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert User.objects.count() == 1
    assert sorted(answer.status_code for answer in answers.values()) == [200, 302]


def test_a_closed_sign_up_is_not_offered(client, alice, settings):
    settings.OPEN_SIGNUP = False
    assert "Create an account" not in client.get("/accounts/login/").content.decode()
    settings.OPEN_SIGNUP = True
    assert "Create an account" in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize(
    ("environment", "opens"),
    [({"EMBEDDED": "1"}, False), ({"EMBEDDED": "1", "OPEN_SIGNUP": "true"}, True), ({}, True)],
)
def test_under_make_run_sign_up_is_closed_unless_a_setting_opens_it(environment, opens):
    script = "from console import settings; print(settings.OPEN_SIGNUP)"
    kept = {name: value for name, value in os.environ.items() if name not in {"EMBEDDED", "OPEN_SIGNUP"}}
    reported = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert reported.stdout.strip() == str(opens)


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
