"""Second factors, sessions, addresses and limits: allauth's flows under our settings and templates."""

import re
import time
from types import SimpleNamespace

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from console.kit import crypto
from workspaces.models import User
from workspaces.stream import still_allowed

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
    """Confirm it's you, as the pages of the second factor ask."""
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
    secret = re.search(r'data-copy="([A-Z2-7]+)"', page)[1]
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
    assert crypto.decrypt(stored.encode(), context="second-factor") == secret


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


def test_a_new_password_ends_the_streams_of_the_other_sessions(alice, workspace):
    here, there = confirmed(sign_in(alice)), sign_in(alice)
    key = there.session.session_key
    new = "quite another phrase"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    rights = [(alice.pk, workspace.pk, "admin", each) for each in (here.session.session_key, key)]
    assert still_allowed(set(rights)) == {rights[0]}


def test_a_password_by_mail_ends_every_session(alice, mailoutbox):
    thief, key = (client := sign_in(alice)), client.session.session_key
    owner = Client()
    owner.post("/accounts/password/reset/", {"email": alice.email})
    path = re.search(r"/accounts/password/reset/key/\S+", mailoutbox[-1].body)[0]
    form = owner.get(path, follow=True).redirect_chain[-1][0]
    owner.post(form, {"password1": "quite another phrase", "password2": "quite another phrase"})
    assert not Session.objects.filter(session_key=key).exists()
    assert thief.get("/account/").status_code == 302


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
    assert "Too many attempts" in limited[-1].content.decode()
    assert answers[0].status_code != 429


def test_a_window_that_is_over_forgives(monkeypatch):
    from console.kit import limits

    now = time.time() // 60 * 60 + 1
    monkeypatch.setattr(limits.time, "time", lambda: now)
    assert [limits.hit("a", 1, limit=2, seconds=60) for _ in range(3)] == [0, 0, 59]
    assert limits.hit("a", 2, limit=2, seconds=60) == 0
    monkeypatch.setattr(limits.time, "time", lambda: now + 60)
    assert limits.hit("a", 1, limit=2, seconds=60) == 0


def try_password(
    client: Client, password: str, address: str = "203.0.113.7", email: str = "alice@example.org"
):
    return client.post(
        "/accounts/login/", {"login": email, "password": password}, REMOTE_ADDR=address
    ).status_code


def test_a_stranger_who_tries_an_account_locks_out_himself_alone(alice):
    thief = Client()
    assert [try_password(thief, "wrong") for _ in range(6)] == [200] * 5 + [429]
    assert try_password(thief, PASSWORD) == 429
    assert try_password(Client(), PASSWORD) == 429  # the source counts, not the browser
    assert try_password(Client(), PASSWORD, "198.51.100.1") == 302  # the owner, from elsewhere


def test_the_owner_gets_in_from_a_known_browser_whatever_strangers_try(alice, settings):
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "login_failed_anywhere": "8/h/key"}
    owner = Client()
    assert try_password(owner, PASSWORD) == 302
    owner.post("/accounts/logout/")
    tries = [try_password(Client(), "wrong", f"203.0.113.{n}") for n in range(9)]
    assert tries == [200] * 8 + [429]  # guessing from many addresses meets a limit as well
    assert [try_password(Client(), "wrong", "198.51.100.1", f"nobody{n}@example.org") for n in range(11)][
        -1
    ] == 429
    assert try_password(Client(), PASSWORD, "198.51.100.2") == 429
    # Even from the address from which somebody tries many accounts.
    assert try_password(owner, PASSWORD, "198.51.100.1") == 302


def test_a_known_browser_has_five_tries_and_is_known_for_its_own_accounts_only(alice, bob):
    owner = Client()
    try_password(owner, PASSWORD)
    owner.post("/accounts/logout/")
    assert [try_password(owner, "wrong") for _ in range(6)] == [200] * 5 + [429]
    assert try_password(Client(), PASSWORD) == 302  # what it tried counts for itself
    assert [try_password(owner, "wrong", email=bob.email) for _ in range(6)] == [200] * 5 + [429]
    assert try_password(Client(), PASSWORD, email=bob.email) == 429


def test_a_forged_cookie_makes_no_browser_known(alice):
    for forged in ("nonsense", '{"1": "x"}', ""):
        thief = Client()
        thief.cookies["airdeck-known"] = forged
        cache.clear()
        assert [try_password(thief, "wrong") for _ in range(6)] == [200] * 5 + [429]
        assert try_password(Client(), PASSWORD) == 429  # counted by its address


def test_mail_leads_to_our_own_address_whatever_host_asked_for_it(alice, mailoutbox, settings):
    settings.ALLOWED_HOSTS, settings.BASE_URL = ["*"], "https://airdeck.example.org"
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    elsewhere = {"headers": {"host": "evil.example:8443"}}
    Client().post("/accounts/password/reset/", {"email": alice.email}, **elsewhere)
    Client().post("/accounts/password/reset/", {"email": "nobody@example.org"}, **elsewhere)
    client = Client()
    client.force_login(alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD}, **elsewhere)
    client.post("/accounts/email/", {"email": "new@example.org", "action_add": ""}, **elsewhere)
    assert len(mailoutbox) == 3
    for mail in mailoutbox:
        assert "evil.example" not in mail.body + mail.subject
        assert not re.search(r"https?://(?!airdeck\.example\.org/)", mail.body)
    assert re.search(r"https://airdeck\.example\.org/accounts/password/reset/key/\S+", mailoutbox[0].body)
    assert re.search(r"https://airdeck\.example\.org/accounts/confirm-email/\S+", mailoutbox[2].body)


def second_step(user: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


def test_too_many_wrong_codes_answer_429_with_a_time(alice):
    with_app(alice)
    client = second_step(alice)
    answers = [client.post("/accounts/2fa/authenticate/", {"code": "000000"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"


def test_a_code_works_once_also_the_one_that_switched_the_app_on(alice, monkeypatch):
    now = time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))
    client = confirmed(sign_in(alice))
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'data-copy="([A-Z2-7]+)"', page)[1]
    first, second = code_for(secret, now), code_for(secret, now + 30)
    assert client.post("/accounts/2fa/totp/activate/", {"code": first}).status_code == 302
    for code, expected in ((first, 302), (f"{first[:3]}-{first[3:]}", 302), (second, 200), (second, 302)):
        there = second_step(alice)
        there.post("/accounts/2fa/authenticate/", {"code": code})
        assert there.get("/account/").status_code == expected, code


def test_a_used_code_stays_used_for_as_long_as_it_would_be_taken(alice):
    from workspaces.sign_in.second_factor import CODE_SECONDS

    assert CODE_SECONDS == 90  # its own half minute, the one before and the one after


@pytest.fixture
def _mail_can_be_sent(settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # what EMAIL_HOST makes it


@pytest.mark.usefixtures("_mail_can_be_sent")
def test_sign_up_answers_the_same_whether_an_address_is_registered_and_tells_by_mail(alice, mailoutbox):
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    pages = []
    for email in (alice.email, "nora@example.org"):
        client = Client()
        answer = client.post(
            "/accounts/signup/", {"email": email, "password1": "a long enough phrase"}, follow=True
        )
        page = answer.content.decode().replace(email, "ADDRESS")
        pages.append(
            (
                answer.redirect_chain,
                re.sub(r'name="csrfmiddlewaretoken" value="\w+"|data-now="[^"]+"', "", page),
            )
        )
        assert client.get("/account/").status_code == 302
    assert pages[0] == pages[1]
    assert [mail.to for mail in mailoutbox] == [[alice.email], ["nora@example.org"]]
    assert "You already have one" in mailoutbox[0].body
    assert "/accounts/confirm-email/" in mailoutbox[1].body


@pytest.mark.usefixtures("_mail_can_be_sent")
def test_a_new_account_signs_in_once_its_address_is_confirmed(db, mailoutbox):
    body = {"email": "nora@example.org", "password1": "a long enough phrase"}
    Client().post("/accounts/signup/", body)
    sign_in_body = {"login": body["email"], "password": body["password1"]}
    early = Client()
    early.post("/accounts/login/", sign_in_body)
    assert early.get("/account/").status_code == 302  # else a sign-in would tell what sign-up does not
    Client().post(re.search(r"/accounts/confirm-email/\S+", mailoutbox[0].body)[0])
    client = Client()
    client.post("/accounts/login/", sign_in_body)
    assert client.get("/account/").status_code == 200


@pytest.mark.usefixtures("_mail_can_be_sent")
def test_who_has_been_in_and_whom_a_command_made_are_not_kept_out(alice, olga):
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=False)
    User.objects.filter(pk=alice.pk).update(last_login=alice.date_joined)
    for user in (alice, olga):
        assert sign_in(user).get("/account/").status_code == 200


@pytest.mark.usefixtures("_mail_can_be_sent")
def test_who_comes_by_a_mailed_invitation_need_not_confirm_again(client, workspace, alice):
    from workspaces import invitation_links
    from workspaces.actions import invitations
    from workspaces.permissions import Role

    made = invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER
    ).made[0]
    link = f"/join/{invitation_links.mailed_token(made.invitation)}/"
    body = {"email": "ida@example.org", "password1": "a long enough phrase", "next": link}
    assert client.post("/accounts/signup/", body)["Location"] == link
    assert client.get("/account/").status_code == 200
