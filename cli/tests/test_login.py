"""Signing in from a terminal, as a process at a pseudo-terminal against a running console: yes, no, too late, Ctrl-C,
no terminal, another authority, an older console, a network that is away; and what the sign-in may then."""

import json
import os
import re
import signal
import ssl

import pytest
from django.core.cache import cache

from conftest import PASSWORD
from deployments.tests.dataplane.kubernetes import pki
from tests.played_servers import ME, Cutter, Server, reply
from tests.running import Airdeck, Terminal
from workspaces import token_values
from workspaces.models import ApiToken
from workspaces.pages import devices

CODE = r"code=([A-Z]{4}-[A-Z]{4})"


@pytest.fixture
def console(served, settings, alice, workspace):
    """Its address. Codes are asked about often, so that no test waits."""
    settings.IDP_OIDC_DEVICE_CODE_INTERVAL = 0
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]  # the person's browser
    cache.clear()
    devices.buckets.clear()
    return served


@pytest.fixture
def person(as_, alice):
    """Alice in her browser: what she says to a code."""

    def say(terminal: Terminal, answer: str = "yes") -> None:
        code = re.search(CODE, terminal.read_until(CODE))[1]
        browser = as_(alice)
        browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert browser.post(f"/device/?code={code}", {"answer": answer}).status_code == 303

    return say


def signed_in(alone, console, person, **more) -> str:
    terminal = Terminal(alone, "login", console, "--no-browser", **more)
    person(terminal)
    return terminal.end(0)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_person_signs_in_makes_a_token_for_ci_and_signs_out(alone, console, person, workspace, deployment):
    out = signed_in(alone, console, person)
    assert out.startswith(f"Signed in to {console} as alice@example.org with the token airdeck on ")
    kept = alone.home / "config" / "contexts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert alone("whoami", "-o", "json").json["token"]["kind"] == "sign-in"
    place = ("-d", deployment.release_name)
    made = alone("token", "create", "-n", "CI", "--role", "editor", "--days", "30", *place)
    assert token_values.is_sound(made.out.strip())
    assert made.out.startswith("adk_d_")
    assert "This is the only time" in made.err
    rotated = alone("token", "rotate", "CI", "--yes", *place, "-o", "json").json
    assert rotated["value"] != made.out.strip()
    rows = alone("token", "list", *place, "-o", "json").json
    assert [(row["name"], row["role"]) for row in rows] == [("CI", "editor")]
    assert "CI" in alone("token", "list", *place).out
    ci = {"AIRDECK_URL": console, "AIRDECK_TOKEN": rotated["value"]}
    assert "Sign in to the console" in alone("token", "create", "-n", "X", *place, code=3, environment=ci).err
    assert "Say --yes to revoke it." in alone("token", "revoke", "CI", *place, code=2).err
    alone("token", "revoke", "CI", "--yes", *place)
    assert alone("token", "list", *place, "-o", "json").json == []
    assert "There is no API token CI there." in alone("token", "revoke", "CI", "--yes", *place, code=2).err
    for more in (("--workspace", workspace.name), ()):
        alone("token", "create", "-n", "Own", "--never-expires", *more)
        row = next(r for r in alone("token", "list", *more, "-o", "json").json if r["name"] == "Own")
        assert row["expires_at"] is None
    wrong = alone("token", "create", "-n", "", "--days", "0", code=2)
    assert "name: Enter a name." in wrong.err
    ApiToken.objects.filter(kind="s").update(created_at="2026-01-01T00:00Z")
    assert "Run: airdeck login" in alone("token", "create", "-n", "Late", code=3).err
    first = json.loads(kept.read_text())
    signed_in(alone, console, person)  # again: the earlier one ends
    assert ApiToken.objects.filter(kind="s", revoked_at__isnull=True).count() == 1
    assert json.loads(kept.read_text()) != first
    assert "It is signed out." in alone("logout").out
    assert not ApiToken.objects.filter(kind="s", revoked_at__isnull=True).exists()
    assert json.loads(kept.read_text())["contexts"] == {}


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_no_too_late_and_ctrl_c_sign_nobody_in(alone, console, person, settings):
    refused = Terminal(alone, "login", console, "--no-browser")
    person(refused, "no")
    refused.end(3)
    assert "The sign-in was refused in the console." in refused.told
    settings.IDP_OIDC_DEVICE_CODE_EXPIRES_IN = 1
    late = Terminal(alone, "login", console, "--no-browser")
    late.end(5)
    assert "The code was not confirmed in time. Run airdeck login again for a new one." in late.told
    settings.IDP_OIDC_DEVICE_CODE_EXPIRES_IN = 600
    stopped = Terminal(alone, "login", console, "--no-browser")
    stopped.read_until(CODE)
    stopped.process.send_signal(signal.SIGINT)
    stopped.end(130)
    assert "Stopped." in stopped.told
    assert not (alone.home / "config" / "contexts.json").exists()
    assert not ApiToken.objects.exists()


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_network_that_is_away_while_the_person_answers_is_waited_for(alone, console, person):
    cutter = Cutter(console)
    with cutter.server:
        cutter.cut, cutter.before = "POST .*/token", True
        waiting = Terminal(alone, "login", cutter.server.url, "--no-browser")
        waiting.read_until("Trying again.")
        person(waiting)
        cutter.cut = ""
        assert "as alice@example.org" in waiting.end(0)
        # An answer that is lost after the yes cannot be had again: the sign-in is in the list, and one begins anew.
        cutter.cut, cutter.before, cutter.status = (
            "POST .*/token",
            False,
            200,
        )  # that after the yes, and no other
        lost = Terminal(alone, "login", cutter.server.url, "--no-browser")
        person(lost)
        lost.read_until("Trying again.")
        cutter.cut = ""
        lost.end(5)
        assert "Run airdeck login again" in lost.told
        cutter.cut, cutter.before = "DELETE", True
        assert "The sign-in stays valid, so it is kept" in alone("logout", code=6).err
        assert "revoke it in the console" in alone("logout", "--forget").out


@pytest.mark.parametrize("kind", ["no input", "no input at all", "nothing is shown"])
def test_without_a_terminal_nobody_is_asked(alone, kind):
    ours, theirs = os.openpty()
    streams = {"no input": {}, "no input at all": {"preexec_fn": lambda: os.close(0)}}
    more = streams.get(kind, {"stdin": theirs})
    with Server(lambda handler: reply(handler, 200, ME)) as here:
        process = alone.start("login", here.url, **more)
        _, told = process.communicate(timeout=30)
        assert (process.returncode, here.seen) == (2, [])
    assert (
        "There is no terminal to ask at. Pipe an API token in with --token-stdin, or set AIRDECK_TOKEN."
        in told
    )
    assert "Traceback" not in told
    os.close(ours), os.close(theirs)


def test_an_older_console_and_what_is_none_are_told_apart_from_a_network(alone):
    with Server(lambda handler: reply(handler, 404, {"detail": "Not here."})) as here:
        old = Terminal(alone, "login", here.url)
        old.end(6)
    assert "knows no sign-in by browser" in old.told
    assert "--token-stdin" in old.told
    away = Terminal(alone, "login", "http://127.0.0.1:9")
    away.end(6)
    assert "cannot be reached" in away.told


def test_a_private_authority_is_named_before_a_code_is_asked_for(alone, tmp_path):
    authority = pki.Authority()
    (tmp_path / "server.pem").write_text(authority.server_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with Server(lambda handler: reply(handler, 200, ME), tls=context) as here:
        told = Terminal(alone, "login", here.url)
        told.end(6)
        assert here.seen == []
    assert "is not trusted" in told.told
    assert "--ca or SSL_CERT_FILE" in told.told


def test_a_browser_is_opened_at_the_console_s_own_address_and_at_no_other(alone, tmp_path):
    """A console that is none could otherwise have this machine open whatever it likes."""
    opened = tmp_path / "opened"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    (tmp_path / "browser").chmod(0o700)

    def answer(place):
        def respond(handler):
            if handler.path.endswith("/code"):
                page = f"{place or here.url}/device/"
                begun = {"device_code": "d", "user_code": "ABCD-EFGH", "interval": 0, "expires_in": 600}
                reply(
                    handler,
                    200,
                    {**begun, "verification_uri": page, "verification_uri_complete": f"{page}?code=X"},
                )
            elif handler.path.endswith("/token"):
                why = {"error_description": "Signed out.\x1b[31m"} if place else {}
                reply(handler, 400, {"error": "access_denied", **why})

        return respond

    for place in ("", "http://elsewhere.example.org"):
        with Server(answer(place)) as here:
            at = Airdeck(tmp_path, BROWSER=str(tmp_path / "browser"))
            terminal = Terminal(at, "login", here.url)
            terminal.end(3)
            why = "Signed out." if place else "The sign-in was refused in the console."
            assert why in terminal.told  # the console's own words, where it has any
            assert "\x1b[31m" not in terminal.told
            if not place:
                assert opened.read_text() == f"{here.url}/device/?code=X\n"
    assert "elsewhere" not in opened.read_text()
