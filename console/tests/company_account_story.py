"""The company account against a real provider on loopback, from sign-in to trouble. Needs settings that name one when
Django starts, so `test_company_account.py` runs it in a process of its own."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.http import HttpResponse
from django.test import Client

from conftest import PASSWORD
from console.tests.oidc_provider import Provider
from workspaces.actions import command_lines, tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import User
from workspaces.permissions import Role
from workspaces.token_access import NotAuthenticated, authenticate

OWNER, NORA = "owner@example.org", "nora@example.org"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider(settings):
    with Provider() as running:
        apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
        apps[0]["settings"]["server_url"] = running.url
        settings.OPEN_SIGNUP = False
        User.objects.create_user(OWNER, PASSWORD)
        yield running


def comes(provider: Provider, **claims: object) -> tuple[Client, HttpResponse]:
    """A browser of its own, and the console's answer once the provider has sent it back."""
    provider.claims = {
        "sub": f"id of {str(claims.get('email')).lower()}",
        "email_verified": True,
        "name": "",
        **claims,
    }
    client = Client()
    answer = client.get("/accounts/oidc/company/login/")
    if answer.status_code != 302:
        return client, answer
    back = urlsplit(httpx.get(answer["Location"]).headers["location"])
    return client, client.get(f"{back.path}?{back.query}")


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_a_new_person_gets_an_account_once(provider):
    for email in ("Nora@Example.org", NORA):
        client, answer = comes(provider, email=email, name="Nora")
        assert answer.status_code == 302
        assert signed_in(client)
    assert list(User.objects.order_by("pk").values_list("email", "name")) == [(OWNER, ""), (NORA, "Nora")]
    assert b"Nora&#x27;s Workspace" in client.get("/", follow=True).content


def test_who_has_no_password_confirms_by_the_company_account_which_looks_anew(provider):
    client, _ = comes(provider, email=NORA)
    page = client.get("/accounts/reauthenticate/?next=/account/tokens/%3Fpage%3D2").content.decode()
    assert "Your account has no password of its own. Sign in with Company account again to continue." in page
    way = unescape(re.search(r'href="(/accounts/oidc/company/login/[^"]+)"', page)[1])
    to = client.get(way)["Location"]
    assert parse_qs(urlsplit(to).query)["prompt"] == ["login"]
    back = urlsplit(httpx.get(to).headers["location"])
    answer = client.get(f"{back.path}?{back.query}")
    assert answer["Location"] == "/account/tokens/?page=2"
    assert signed_in(client)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": OWNER, "email_verified": False},
        {"email": None},
        {"email": ""},
        {"email": OWNER, "email_verified": None},
    ],
)
def test_without_a_verified_address_nobody_comes_in(provider, claims):
    client, answer = comes(provider, **claims)
    assert answer.status_code == 403
    assert "names no verified email address of yours" in answer.content.decode()
    assert not signed_in(client)


def test_an_account_with_an_address_that_was_never_confirmed_loses_its_password(provider):
    """Another person may have made it with that address."""
    client, answer = comes(provider, email=OWNER)
    assert (answer.status_code, signed_in(client)) == (302, True)
    assert not User.objects.get(email=OWNER).has_usable_password()


def test_nor_does_who_made_it_keep_another_way_in(provider):
    owner = User.objects.get(email=OWNER)
    EmailAddress.objects.create(user=owner, email=OWNER, primary=True, verified=False)
    Authenticator.objects.create(user=owner, type="totp", data={"secret": "x"})
    personal = tokens.make(scope=Scope(None), by=owner, wish=TokenWish("later", "", Role.ADMIN, None))
    line = command_lines.sign_in(by=owner, device="elsewhere", address="")
    client, answer = comes(provider, email=OWNER)
    assert (answer.status_code, signed_in(client)) == (302, True)
    for made in (personal, line):
        with pytest.raises(NotAuthenticated, match="before the address of its account was confirmed"):
            authenticate(made.value)
    mine = tokens.make(scope=Scope(None), by=owner, wish=TokenWish("mine", "", Role.ADMIN, None))
    comes(provider, email=OWNER)  # known by now
    assert authenticate(mine.value).user == owner


def test_an_account_whose_address_was_confirmed_keeps_what_it_has(provider):
    owner = User.objects.get(email=OWNER)
    EmailAddress.objects.create(user=owner, email=OWNER, primary=True, verified=True)
    made = tokens.make(scope=Scope(None), by=owner, wish=TokenWish("mine", "", Role.ADMIN, None))
    client, _ = comes(provider, email=OWNER)
    assert signed_in(client)
    assert authenticate(made.value).user == owner
    assert User.objects.get(email=OWNER).has_usable_password()


def test_a_blocked_account_stays_blocked(provider):
    User.objects.update(is_active=False)
    client, answer = comes(provider, email=OWNER)
    assert (answer.status_code, signed_in(client)) == (403, False)
    assert "This account is blocked" in answer.content.decode()


def test_the_group_decides_who_administers_the_site(provider, settings):
    settings.OIDC_ADMIN_GROUP = "airdeck-admins"
    for groups, expected in (
        (["airdeck-admins", "x"], True),
        (["x"], False),
        ("airdeck-admins", True),
        (None, False),
    ):
        comes(provider, email=NORA, groups=groups)
        assert User.objects.get(email=NORA).is_staff is expected, groups


@pytest.mark.parametrize(
    ("path", "status"), [("/.well-known/openid-configuration", 503), ("/token", 403), ("/userinfo", 503)]
)
def test_a_provider_in_trouble_costs_a_sentence_and_passwords_work(provider, path, status):
    provider.fail = {path: 500}
    client, answer = comes(provider, email=NORA)
    assert (answer.status_code, signed_in(client)) == (status, False)
    assert "Company account" in answer.content.decode()
    assert client.login(email=OWNER, password=PASSWORD)


def test_one_that_is_down_costs_a_sentence_that_offers_no_forbidden_password(provider, settings):
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = (
        "http://127.0.0.1:9"
    )
    _, answer = comes(provider, email=NORA)
    assert answer.status_code == 503
    assert (
        "does not answer. Try again in a minute. You can sign in with your password"
        in answer.content.decode()
    )
    settings.OIDC_ONLY = True
    _, answer = comes(provider, email=NORA)
    assert answer.status_code == 503
    assert "password" not in answer.content.decode()


def test_one_that_is_slow_is_given_up_and_a_new_key_is_taken(provider, settings):
    provider.slow = {"/.well-known/openid-configuration": 6}
    _, answer = comes(provider, email=NORA)
    assert answer.status_code == 503
    assert (
        "does not answer. Try again in a minute. You can sign in with your password"
        in answer.content.decode()
    )
    provider.slow = {}
    provider.rotate()
    client, _ = comes(provider, email=NORA)
    assert signed_in(client)


def test_it_may_be_the_only_way_in(provider, settings):
    settings.OIDC_ONLY = True
    client = Client()
    page = client.get("/accounts/login/").content.decode()
    assert "Continue with Company account" in page
    assert 'type="password"' not in page
    client.post("/accounts/login/", {"login": OWNER, "password": PASSWORD})
    assert not signed_in(client)
    assert b"closed" in client.get("/accounts/signup/").content
    client, _ = comes(provider, email=NORA)
    assert signed_in(client)
