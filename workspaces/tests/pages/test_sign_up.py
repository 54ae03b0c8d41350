"""Sign-up: what a new account gets, who may make one, and that an address is one identity however it is typed."""

import os
import subprocess
import sys
import threading
from importlib import import_module

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import connections
from django.test import Client

from workspaces.email_addresses import normalize_email
from workspaces.models import AuditEvent, Membership, User
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
@pytest.mark.usefixtures("patient")
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
@pytest.mark.usefixtures("patient")
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
