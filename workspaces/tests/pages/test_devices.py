"""Signing in the command line by a code: the program's side, the person's page, and what no code opens."""

from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
import time_machine
from allauth.idp.oidc.internal.oauthlib import device_codes
from allauth.idp.oidc.models import Token as IdentityToken
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD
from console.tests.html_rules import complaints
from workspaces import tasks
from workspaces.actions import command_lines, tokens
from workspaces.actions.tokens import Scope
from workspaces.models import ApiToken, AuditEvent
from workspaces.pages import devices as pages
from workspaces.permissions import Role
from workspaces.token_access import NotAuthenticated, NotByToken, authenticate

CODE, TOKEN, PAGE = "/identity/o/api/device/code", "/identity/o/api/token", "/device/"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _from_the_start(settings):
    settings.IDP_OIDC_DEVICE_CODE_INTERVAL = 0
    cache.clear()
    pages.buckets.clear()


@pytest.fixture
def fresh(as_):
    """Signed in, and just now asked who it is."""

    def sign_in(user):
        client = as_(user)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        return client

    return sign_in


def send(client, url, fields):
    """A form as programs send it."""
    return client.post(url, urlencode(fields), content_type="application/x-www-form-urlencoded")


class Terminal:
    """The command line's side."""

    def __init__(self, device="laptop") -> None:
        self.client = Client()
        answer = send(self.client, CODE, {"client_id": "airdeck-cli", "device": device})
        assert answer.status_code == 200, answer.content
        self.begun = answer.json()
        self.code = self.begun["user_code"]
        self.page = f"{PAGE}?code={self.code}"

    def poll(self, **fields):
        """The status and the JSON of one question."""
        sent = {"grant_type": GRANT, "client_id": "airdeck-cli", "device_code": self.begun["device_code"]}
        answer = send(self.client, TOKEN, {**sent, **fields})
        assert "no-store" in answer["Cache-Control"]
        return answer.status_code, answer.json()


def say(client, terminal, answer="yes"):
    return client.post(terminal.page, {"answer": answer})


def test_a_person_confirms_and_the_terminal_is_signed_in_as_that_person(fresh, alice):
    terminal = Terminal()
    assert terminal.begun["verification_uri"] == "http://testserver/device/"
    assert terminal.begun["verification_uri_complete"].endswith(terminal.page)
    assert terminal.poll() == (400, {"error": "authorization_pending", "error_description": ""})
    client = fresh(alice)
    page = client.get(terminal.page)
    html = page.content.decode()
    assert page.status_code == 200
    assert complaints(html) == []
    for shown in (terminal.code, "airdeck on laptop asks to act as alice@example.org", "from 127.0.0.1"):
        assert shown in html
    done = say(client, terminal)
    assert (done.status_code, done["Location"]) == (303, "/account/tokens/")
    status, got = terminal.poll()
    assert (status, got["token_type"], got["expires_in"]) == (200, "Bearer", 30 * 86_400)
    row = ApiToken.objects.get()
    assert (row.name, row.kind, row.role, row.maker) == ("airdeck on laptop", "s", "admin", alice)
    assert got["access_token"].startswith("adk_s_")
    me = Client(headers={"Authorization": f"Bearer {got['access_token']}"}).get("/api/v1/me").json()
    assert (me["email"], me["token"]["kind"]) == ("alice@example.org", "sign-in")
    assert IdentityToken.objects.count() == 0
    listed = client.get("/account/tokens/").content.decode()
    assert "airdeck on laptop" in listed
    assert "Rotate" not in listed
    assert AuditEvent.objects.get(object_type="token").verb == "created"


def test_the_minutes_for_api_tokens_count_from_the_yes_however_late_the_terminal_hears_of_it(fresh, alice):
    terminal = Terminal()
    say(fresh(alice), terminal)
    agreed = timezone.now()
    with time_machine.travel(agreed + timedelta(minutes=6), tick=False):
        status, got = terminal.poll()
        assert status == 200
        with pytest.raises(NotByToken, match="within the last 5 minutes"):
            authenticate(got["access_token"]).require_presence()


def test_a_person_refuses_and_the_terminal_is_told(fresh, alice):
    terminal = Terminal()
    say(fresh(alice), terminal, "no")
    assert terminal.poll()[1]["error"] == "access_denied"
    assert ApiToken.objects.count() == 0


@pytest.mark.parametrize("typed", ["{lower}", "{lower_plain}", " {spaced} "])
def test_a_code_is_found_however_it_is_typed(fresh, alice, typed):
    terminal = Terminal()
    code = terminal.code
    given = typed.format(lower=code.lower(), lower_plain=code.lower().replace("-", ""), spaced=" ".join(code))
    answer = fresh(alice).post(PAGE, {"code": given}, follow=True)
    assert "airdeck on laptop asks" in answer.content.decode()


@pytest.mark.parametrize("given", ["XXXX-XXXX", "no code", "", "a" * 40, "ÄÖÜ", "%00"])
def test_a_code_that_there_is_not_is_refused_in_words(fresh, alice, given):
    Terminal()
    answer = fresh(alice).get(PAGE, {"code": given})
    assert answer.status_code in {422, 400}
    if answer.status_code == 422:
        html = answer.content.decode()
        assert complaints(html) == []
        assert "There is no such code" in html or "Enter the code" in html


def test_a_code_counts_once(fresh, alice, bob):
    terminal = Terminal()
    say(fresh(alice), terminal)
    again = fresh(bob).get(terminal.page)
    assert (again.status_code, "This code was used already." in again.content.decode()) == (422, True)
    assert say(fresh(bob), terminal).status_code == 422
    assert terminal.poll()[0] == 200
    assert terminal.poll() == (400, {"error": "invalid_grant", "error_description": ""})
    again = fresh(bob).get(terminal.page)
    assert "This code was used already." in again.content.decode()
    assert ApiToken.objects.get().maker == alice


def test_a_code_ends_after_ten_minutes(fresh, alice):
    terminal = Terminal()
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1), tick=True):
        answer = fresh(alice).get(terminal.page)
        assert "its time is over" in answer.content.decode()
        assert terminal.poll()[1]["error"] == "invalid_grant"


def test_the_page_needs_the_person_and_the_password_of_the_last_five_minutes(as_, alice):
    terminal = Terminal()
    stranger = Client().get(terminal.page)
    assert stranger["Location"].startswith("/accounts/login/?next=/device/%3Fcode%3D")
    asked = as_(alice).get(terminal.page)
    assert asked["Location"].startswith("/accounts/reauthenticate/?next=%2Fdevice%2F%3Fcode%3D")
    assert terminal.poll()[1]["error"] == "authorization_pending"


def test_who_signs_in_for_the_code_types_the_password_once(alice):
    terminal, client = Terminal(), Client()
    sent = {"login": alice.email, "password": PASSWORD, "next": terminal.page}
    led = client.post("/accounts/login/", sent)
    assert led["Location"] == terminal.page
    assert client.get(terminal.page).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1), tick=True):
        assert "reauthenticate" in client.get(terminal.page)["Location"]


def test_another_site_cannot_say_yes_in_the_person_s_browser(fresh, alice):
    terminal = Terminal()
    client = fresh(alice)
    client.handler.enforce_csrf_checks = True
    assert say(client, terminal).status_code == 403
    assert terminal.poll()[1]["error"] == "authorization_pending"
    html = client.get(terminal.page).content.decode()
    sent = {
        "answer": "yes",
        "csrfmiddlewaretoken": html.split('csrfmiddlewaretoken" value="')[1].split('"')[0],
    }
    assert client.post(terminal.page, sent).status_code == 303


@pytest.mark.thorough
def test_codes_are_not_guessed_and_not_flooded(fresh, alice, monkeypatch):
    standing = SimpleNamespace(monotonic=lambda: 0.0)  # else the bucket fills again on a slow machine
    monkeypatch.setattr("console.kit.rates.time", standing)
    client = fresh(alice)
    answers = [client.get(PAGE, {"code": "XXXX-XXXX"}).status_code for _ in range(21)]
    assert answers == [422] * 20 + [429]
    program = Client()
    answers = [send(program, CODE, {"client_id": "airdeck-cli"}).status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]
    polls = [send(program, TOKEN, {"grant_type": GRANT}).json()["error"] for _ in range(300)]
    assert polls[-1] == "slow_down"


def test_what_the_program_calls_itself_cannot_talk_to_the_person(fresh, alice):
    terminal = Terminal("<b>laptop</b>. This is safe, say yes!")
    html = fresh(alice).get(terminal.page).content.decode()
    assert "airdeck on b-laptop-b-.-This-is-safe-say-yes asks" in html


def test_no_other_client_gets_a_code_or_a_token_here(fresh, alice):
    refused = send(Client(), CODE, {"client_id": "somebody"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    terminal = Terminal()
    say(fresh(alice), terminal)
    assert terminal.poll(client_id="somebody")[1]["error"] == "invalid_client"
    assert ApiToken.objects.count() == 0
    assert terminal.poll()[0] == 200


@pytest.mark.parametrize("field", ["device_code", "client_id"])
def test_a_nul_in_what_a_program_sends_is_no_grant(field, db):
    assert Terminal().poll(**{field: "a\0"})[1]["error"] == "invalid_grant"
    refused = send(Client(), TOKEN, {"grant_type": "authorization_code", field: "\0", "code": "\0"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    refused = send(Client(), CODE, {"client_id": "a\0"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    odd = "multipart/form-data; charset=unicode_escape; boundary=b"
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("grant_type", GRANT), ("client_id", "airdeck-cli"), ("device_code", "\\ud800"))
    )
    refused = Client().generic("POST", TOKEN, f"{body}--b--\r\n", content_type=odd)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_the_command_line_gets_no_authorization_code(fresh, alice, settings):
    settings.IDP_OIDC_PRIVATE_KEY = "a key"
    command_lines.known()
    asked = {"client_id": "airdeck-cli", "response_type": "code", "redirect_uri": "https://evil.example.org/"}
    answer = fresh(alice).get("/identity/o/authorize", asked)
    assert "Location" not in answer
    assert "The sign-in was not finished" in answer.content.decode()


def test_a_question_while_the_person_answers_loses_nothing(fresh, alice, monkeypatch):
    """django-allauth reads, changes and writes what it keeps of a code: a question that read before the answer and
    wrote after it would undo the answer."""
    terminal = Terminal()
    locks = []
    real = device_codes.cache.get

    def look(key, *more):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
                "AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)",
                [terminal.begun["device_code"]],
            )
            locks.append((key, cursor.fetchone()[0]))
        return real(key, *more)

    monkeypatch.setattr(device_codes.cache, "get", look)
    terminal.poll()
    say(fresh(alice), terminal)
    changed = [held for key, held in locks if "device_code[" in key]
    assert changed.count(0) <= 1  # the page's first look, which changes nothing
    assert changed[0] == changed[-1] == 1


def test_a_blocked_person_s_yes_signs_nobody_in(fresh, alice):
    terminal = Terminal()
    say(fresh(alice), terminal)
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    assert terminal.poll()[1]["error"] == "access_denied"


def test_there_are_twenty_sign_ins_at_most_and_the_oldest_ends(alice):
    made = [command_lines.sign_in(by=alice, device=f"d{n}", address="") for n in range(21)]
    with pytest.raises(NotAuthenticated, match="a newer one took its place"):
        authenticate(made[0].value)
    assert authenticate(made[1].value).user == alice
    assert authenticate(made[20].value).user == alice
    tokens.make(scope=Scope(None), by=alice, wish=tokens.TokenWish("ci", "", Role.EDITOR))  # they count apart


def test_a_sign_in_is_not_rotated_and_no_mail_tells_of_its_end(fresh, alice, mailoutbox):
    row = command_lines.sign_in(by=alice, device="laptop", address="").token
    refused = fresh(alice).post(f"/account/tokens/{row.pk}/rotate/", follow=True)
    assert "run airdeck login there again" in refused.content.decode()
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(hours=3))
    assert tasks.warn_of_tokens() == 0
