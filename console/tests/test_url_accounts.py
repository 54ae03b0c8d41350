"""Every URL of accounts, second factors and sessions, for a stranger and for somebody signed in. They are a person's
own: no role in any Workspace opens or closes one. A URL that nobody listed fails the build."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, reverse

from console.tests.test_url_roles import every_name

pytestmark = pytest.mark.django_db
LOGIN, AGAIN = "login", "again"  # a redirect to sign-in; a redirect to typing the password again

# name: answers to (stranger GET, stranger POST, signed in GET, signed in POST). POSTs are empty.
ACCOUNT_URLS = {
    "account_change_password": (LOGIN, LOGIN, 200, 200),
    "account_confirm_email": (200, 404, 200, 404),
    "account_confirm_login_code": (LOGIN, LOGIN, 302, 302),
    "account_delete": (LOGIN, LOGIN, 200, AGAIN),
    "account_email": (LOGIN, LOGIN, 200, 302),
    "account_email_verification_sent": (200, 405, 200, 405),
    "account_inactive": (200, 405, 200, 405),
    "account_login": (200, 200, 302, 302),
    "account_logout": (LOGIN, LOGIN, 200, LOGIN),
    "account_reauthenticate": (LOGIN, LOGIN, 200, 200),
    "account_reset_password": (200, 200, 200, 200),
    "account_reset_password_done": (200, 405, 200, 405),
    "account_reset_password_from_key": (200, 200, 200, 200),
    "account_reset_password_from_key_done": (200, 405, 200, 405),
    "account_set_password": (LOGIN, LOGIN, 302, 302),
    "account_signup": (200, 200, 302, 302),
    "mfa_activate_totp": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_add_webauthn": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_authenticate": (LOGIN, LOGIN, 302, 302),
    "mfa_deactivate_totp": (LOGIN, LOGIN, 404, 404),
    "mfa_download_recovery_codes": (LOGIN, LOGIN, 404, 404),
    "mfa_edit_webauthn": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_generate_recovery_codes": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_index": (LOGIN, LOGIN, 200, 405),
    "mfa_list_webauthn": (LOGIN, LOGIN, 200, 405),
    "mfa_login_webauthn": (LOGIN, LOGIN, 302, 302),
    "mfa_reauthenticate": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_reauthenticate_webauthn": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_remove_webauthn": (LOGIN, LOGIN, AGAIN, AGAIN),
    "mfa_view_recovery_codes": (LOGIN, LOGIN, 404, 405),
    "usersessions_list": (LOGIN, LOGIN, 200, 302),
}
PREFIXES = ("account_", "mfa_", "usersessions_")


def url_of(name: str) -> str:
    for given in ({}, {"key": "no-such-key"}, {"pk": 1}, {"uidb36": "x", "key": "y"}):
        try:
            return reverse(name, kwargs=given)
        except NoReverseMatch:
            continue
    raise AssertionError(name)


def answer(client: Client, method: str, url: str) -> int | str:
    response = getattr(client, method)(url)
    if response.status_code == 302 and response["Location"].startswith("/accounts/login/"):
        return LOGIN
    if response.status_code == 302 and "reauthenticate" in response["Location"]:
        return AGAIN
    return response.status_code


def test_every_url_of_accounts_is_listed_here():
    assert {name for name in every_name() if name.startswith(PREFIXES)} == ACCOUNT_URLS.keys()


@pytest.mark.parametrize("name", ACCOUNT_URLS)
def test_who_gets_which_answer(as_, vera, name):
    cache.clear()
    url = url_of(name)
    answers = []
    for client in (Client, lambda: as_(vera)):
        answers += [answer(client(), method, url) for method in ("get", "post")]
    assert tuple(answers) == ACCOUNT_URLS[name]
