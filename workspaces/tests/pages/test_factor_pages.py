"""The pages around second factors: ours, not allauth's own."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client

from console.tests.html_rules import complaints
from workspaces.tests.pages.test_signing_in import PASSWORD, code_for, confirmed, sign_in, with_app

pytestmark = pytest.mark.django_db
# What allauth's own pages would say.
THEIRS = re.compile(
    r"Are you sure|Recovery Codes|Security Key|Two-Factor|Deactivate|Passwordless|placeholder=\"Code\""
)


@pytest.fixture
def person(alice) -> Client:
    """Alice with an authenticator app, just now asked who it is."""
    cache.clear()
    secret = with_app(alice)
    client = Client()
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    client.post("/accounts/2fa/authenticate/", {"code": code_for(secret)})
    return confirmed(client)


def looks_ours(person: Client, path: str, heading: str) -> None:
    answer = person.get(f"/accounts/2fa/{path}")
    assert answer.status_code == 200, (path, answer.headers.get("Location"))
    html = answer.content.decode()
    assert f"<h1>{heading}</h1>" in html, path
    assert complaints(html) == [], path
    assert not THEIRS.search(html), path


def test_each_keeps_the_rules_and_speaks_our_words(person, alice):
    looks_ours(person, "webauthn/add/", "Add a passkey")
    data = {"name": "My phone", "passwordless": True, "credential": {}}  # enough for the pages that list it
    key = Authenticator.objects.create(user=alice, type="webauthn", data=data).pk
    for path, heading in {
        "recovery-codes/": "Recovery codes",
        "recovery-codes/generate/": "Replace your recovery codes?",
        "totp/deactivate/": "Turn off the authenticator app?",
        "webauthn/": "Passkeys and security keys",
        f"webauthn/keys/{key}/edit/": "Rename a key",
        f"webauthn/keys/{key}/remove/": "Remove My phone?",
    }.items():
        looks_ours(person, path, heading)


def test_the_question_at_sign_in_keeps_the_rules(alice):
    with_app(alice)
    client = Client()
    answer = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD}, follow=True)
    html = answer.content.decode()
    assert "<h1>Second factor</h1>" in html
    assert complaints(html) == []
    assert not THEIRS.search(html)


def test_a_new_password_is_asked_for_in_our_words(alice):
    html = sign_in(alice).get("/accounts/password/change/").content.decode()
    for label in ("Current password", "New password", "New password again", "At least 8 characters."):
        assert label in html
    assert "placeholder" not in html
    assert complaints(html) == []
