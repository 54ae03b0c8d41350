"""Second factors, sessions, addresses and limits: allauth's flows under our settings and templates."""

import re
import time
from types import SimpleNamespace

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

from console.kit import crypto
from workspaces.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _nothing_counted(db):
    cache.clear()


def sign_in(user: User, **extra) -> Client:
    client = Client(**extra)
    answer = client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def confirmed(client: Client) -> Client:
    """Confirm that it is you, as the pages of the second factor ask."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def code_for(secret: str, at: float | None = None) -> str:
    """What an app shows now, or at that moment."""
    counter = int(time.time() if at is None else at) // 30
    return format_hotp_value(hotp_value(secret, counter))


def with_app(user: User) -> str:
    """Set up an authenticator app as a person would; its secret."""
    client = confirmed(sign_in(user))
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="authenticator_secret"[^>]*value="([A-Z2-7]+)"', page)[1]
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_for(secret)})
    assert answer.status_code == 302, answer.content.decode()
    cache.clear()  # a code works once; the sign-in that follows in the same half minute needs it again
    return secret


def test_an_authenticator_app_is_asked_for_at_sign_in(alice):
    secret = with_app(alice)
    client = Client()
    first = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert first["Location"].startswith("/accounts/2fa/authenticate/")
    assert client.get("/account/").status_code == 302
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "Incorrect code" in wrong.content.decode()
    client.post("/accounts/2fa/authenticate/", {"code": code_for(secret)})
    assert client.get("/account/").status_code == 200


@pytest.mark.parametrize(("late", "answer"), [(-60, 302), (-30, 200), (30, 200), (60, 302)])
def test_a_code_is_taken_half_a_minute_early_or_late_and_no_more(alice, monkeypatch, late, answer):
    secret, now = with_app(alice), time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))
    client = Client()
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    client.post("/accounts/2fa/authenticate/", {"code": code_for(secret, now - late)})
    assert client.get("/account/").status_code == answer


def test_a_recovery_code_works_once(alice):
    with_app(alice)
    codes = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()
    for expected in (200, 302):
        client = Client()
        client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
        client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert client.get("/account/").status_code == expected


def test_second_factors_are_encrypted_at_rest(alice):
    secret = with_app(alice)
    stored = Authenticator.objects.get(user=alice, type="totp").data["secret"]
    assert secret not in stored
    assert crypto.decrypt(stored.encode(), place="second-factor") == secret


def test_the_secret_of_an_app_is_shown_only_after_confirming_who_it_is(alice):
    answer = sign_in(alice).get("/accounts/2fa/totp/activate/")
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]


def test_sessions_are_listed_and_the_others_can_be_ended(alice):
    here = sign_in(alice, headers={"user-agent": "Firefox of the office"})
    there = sign_in(alice, headers={"user-agent": "An old phone"})
    page = here.get("/accounts/sessions/").content.decode()
    assert "Firefox of the office" in page
    assert "An old phone" in page
    here.post("/accounts/sessions/")
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302


def test_a_new_password_ends_the_other_sessions(alice):
    here, there = confirmed(sign_in(alice)), sign_in(alice)
    new = "quite another phrase"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302


def test_a_new_address_counts_once_it_is_confirmed(alice, mailoutbox):
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    client = confirmed(sign_in(alice))
    client.post("/accounts/email/", {"email": "New.Alice@Example.org", "action_add": ""})
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"
    assert mailoutbox[-1].to == ["new.alice@example.org"]
    path = re.search(r"/accounts/confirm-email/\S+", mailoutbox[-1].body)[0]
    client.post(path)
    alice.refresh_from_db()
    assert alice.email == "new.alice@example.org"
    assert EmailAddress.objects.get(user=alice).verified


@pytest.mark.parametrize(
    ("url", "body", "times"),
    [
        ("/accounts/login/", {"login": "nobody@example.org", "password": "wrong"}, 31),
        ("/accounts/signup/", {"email": "nonsense", "password1": "x"}, 21),
        ("/accounts/password/reset/", {"email": "nobody@example.org"}, 21),
    ],
)
def test_limits_answer_with_a_sentence_and_a_time(client, url, body, times):
    answers = [client.post(url, body) for _ in range(times)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert limited[-1]["Retry-After"] == "60"
    assert "Too many tries" in limited[-1].content.decode()
    assert answers[0].status_code != 429


def test_a_window_that_is_over_forgives(monkeypatch):
    from console.kit import limits

    now = time.time() // 60 * 60 + 1
    monkeypatch.setattr(limits.time, "time", lambda: now)
    assert [limits.hit("a", 1, limit=2, seconds=60) for _ in range(3)] == [0, 0, 59]
    assert limits.hit("a", 2, limit=2, seconds=60) == 0
    monkeypatch.setattr(limits.time, "time", lambda: now + 60)
    assert limits.hit("a", 1, limit=2, seconds=60) == 0
