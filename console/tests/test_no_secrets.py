"""No secret value in any response, stream, log, audit row, queue message or process list.

Marked values are set in every way there is; then every address is asked as everybody, and everything that came out is
searched, in every spelling that text takes on its way. New pages are covered by being routed: an address with an
argument that is not in `arguments` fails the test until somebody says what stands there.
"""

import base64
import html
import json
import re
from http.cookies import SimpleCookie
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from console.kit.crypto import decrypt
from console.tests.leaks import (
    Collector,
    as_text,
    everything_logged,
    everything_sent,
    leaks,
    read_database,
    read_processes,
)
from deployments import tasks, vault
from deployments.dataplane import registry
from deployments.models import Deployment
from deployments.reconcile import reconcile
from deployments.tests.test_reconcile import settle
from workspaces import invitations
from workspaces.permissions import Role

PLAIN = "plainmark31337"  # must be found: what finds nothing proves nothing
# Letters and digits alone: URL, HTML and JSON spell them as they are, whatever stands around.
SECRETS = {
    way: f"canary{number}x{way}q7f3"
    for number, way in enumerate(
        ("added", "replaced", "refused", "imported", "waiting", "raised", "deleted", "mistyped", "crashed")
    )
}
NOT_ASKED = {"deployments:stream"}  # its frames are read where they are published
ACCOUNTS = ("account_", "mfa_", "usersessions_")  # allauth's addresses with arguments: not about Deployments


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "é"])
@pytest.mark.parametrize("after", ["", "z", "yz"])
def test_the_search_finds_a_secret_in_every_spelling(before, after) -> None:
    secret = SECRETS["added"]
    text = f"{before}{secret}{after}"
    for told in (
        html.escape(f"<{text}>"),
        json.dumps([f"\n{text}\"'"]),
        quote_plus(f"& {text}"),
        urlencode({"a": text}),
        repr(text.encode()),
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(text.encode()).decode(),
        text.encode().hex(),
    ):
        assert leaks(told, SECRETS) == ["added"]
    assert leaks("canary", SECRETS) == []


@pytest.fixture
def healthy(deployment, plane, monkeypatch):
    monkeypatch.setitem(registry.DRIVERS, "local", lambda config: plane)
    return settle(deployment)


@pytest.fixture
def url(healthy):
    return lambda name, *more: reverse(f"deployments:{name}", args=[healthy.release_name, *more])


def drive(client, url, deployment, collector, plane, monkeypatch) -> str:
    """Set every marked value, in every way; the address of the import that still waits."""

    def post(name, data, *more, status=303):
        response = client.post(url(name, *more), data)
        assert response.status_code == status, (name, response.status_code)
        collector.add(f"response to driving {name}", as_text(response))
        return response

    def seen(key):
        return deployment.variables.get(key=key).updated_at.isoformat()

    def applied(text, *, apply=True):
        address = client.post(url("variables_import"), {"text": text, "secret": "on"})["Location"]
        page = client.get(address)
        collector.add("response to an import", as_text(page))
        base = re.search(r'name="base" value="(\d+)"', page.content.decode())[1]
        if apply:
            collector.add("response to an import", as_text(client.post(address, {"base": base})))
        return address

    on = {"secret": "on"}
    post("variable_new", {"key": "PLAIN", "value": PLAIN})
    post("variable_new", {"key": "TOKEN", "value": SECRETS["added"], **on})
    post("variable_edit", {"value": SECRETS["replaced"], "seen": seen("TOKEN")}, "TOKEN")
    post("variable_edit", {"value": f"{SECRETS['refused']}\x07", "seen": seen("TOKEN")}, "TOKEN", status=422)
    post("variable_new", {"key": "NOT-A-KEY", "value": SECRETS["mistyped"], **on}, status=422)
    post("variable_new", {"key": "GONE", "value": SECRETS["deleted"], **on})
    post("variables_delete", {"key": "GONE"})
    mistyped = SECRETS["mistyped"]
    applied(
        f"IMPORTED={SECRETS['imported']}\nPATH={mistyped}\n{mistyped}\nA-B={mistyped}\nTOKEN='{mistyped}' x\n"
    )
    waiting = applied(f"WAITING={SECRETS['waiting']}\n", apply=False)
    crash(client, url, collector, monkeypatch)
    trouble(client, url, deployment, plane, monkeypatch)
    return waiting


def trouble(client, url, deployment, plane, monkeypatch) -> None:
    """What the console says of a change on its way, of a data plane that is silent, and of a bug."""
    settle(deployment)
    plane.silent = "Nothing answers."
    due(deployment)
    reconcile(deployment.pk)
    plane.silent = ""
    monkeypatch.setattr(plane, "apply", explode)
    deployment_changed = client.post(
        url("variable_new"), {"key": "LAST", "value": SECRETS["raised"], "secret": "on"}
    )
    assert deployment_changed.status_code == 303
    due(deployment)
    tasks.reconcile_task.apply(args=(str(deployment.pk),))  # as a worker runs it, and logs how it ended


def explode(ref, release, secrets, workers):
    local = dict(secrets.variables)  # what a traceback with local variables would print
    raise RuntimeError(f"Bug after reading {len(local)} variables: {secrets}")


def due(deployment) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(due_at="2026-01-01T00:00Z")


def crash(client, url, collector, monkeypatch) -> None:
    """A bug while a secret is saved: the page and the log tell of it, without the secret."""

    def fail(*args, **kwargs):
        raise RuntimeError("Bug while saving.")

    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(vault, "marker", fail)
        data = {"key": "CRASHED", "value": SECRETS["crashed"], "secret": "on"}
        response = client.post(url("variable_new"), data)
    client.raise_request_exception = True
    assert response.status_code == 500
    collector.add("response to a crash", as_text(response))


def addresses(arguments) -> list[tuple[str, str]]:
    """Every routed address, by name, with each of the arguments it takes."""
    found = []

    def walk(patterns, namespace, before):
        for pattern in patterns:
            taken = [*before, *pattern.pattern.converters, *pattern.pattern.regex.groupindex]
            names = list(dict.fromkeys(taken))
            if isinstance(pattern, URLResolver):
                inner = f"{pattern.namespace}:" if pattern.namespace else ""
                walk(pattern.url_patterns, namespace + inner, names)
            elif isinstance(pattern, URLPattern) and pattern.name:
                name = f"{namespace}{pattern.name}"
                if name not in NOT_ASKED and not (names and name.startswith(ACCOUNTS)):
                    found.extend((name, reverse(name, kwargs=each)) for each in arguments(name, names))

    walk(get_resolver().url_patterns, "", [])
    return sorted(set(found))


@pytest.fixture
def arguments(healthy, workspace, alice, bob):
    """What stands in addresses: by the argument's name, or by the address and it."""
    made = invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER
    ).made[0]
    known = {
        "workspace_id": [workspace.pk],
        "user_id": [bob.pk],
        "invitation_id": [made.invitation.pk],
        "token": [made.token],
        "release_name": [healthy.release_name],
        "queue": ["default"],
        "name": ["scheduler", "api-server"],
        "app_label": ["deployments"],
        "content_type_id": [1],
        "url": ["x"],
    }

    def choose(url_name, names):
        rows = [{}]
        for name in names:
            if (url_name, name) == ("deployments:variables_draft", "token"):
                values = [uuid4()]  # the one that waits is asked for by its author
            elif name == "key":
                values = ["PLAIN", "TOKEN"]
            elif name == "number":
                values = list(healthy.variable_revisions.values_list("number", flat=True)[:2])
            elif name in {"object_id", "pk"} and url_name.startswith("admin:"):
                values = objects_of(url_name)
            else:
                assert name in known, f"Say in `arguments` what {name} is in {url_name}"
                values = known[name]
            rows = [{**row, name: value} for row in rows for value in values]
        return rows

    return choose


def objects_of(url_name: str) -> list[str]:
    """An object of the kind that an address of the site administration is about."""
    for model in admin.site._registry:
        if url_name.startswith(f"admin:{model._meta.app_label}_{model._meta.model_name}_"):
            return [str(each.pk) for each in model._default_manager.order_by("-pk")[:1]]
    return []


def ask(who, client, found, collector, methods) -> int:
    """Ask every address as somebody; a POST comes without input, and what it does is undone. How often it was 200."""
    cookies, fine = client.cookies.output(header="", sep=";"), 0
    for name, address in found:
        for method in methods:
            client.cookies = SimpleCookie(cookies)
            with transaction.atomic():
                response = getattr(client, method)(address)
                transaction.set_rollback(True)
            fine += response.status_code == 200
            collector.add(f"response to {who} {method} {name}", as_text(response))
    return fine


def ask_everybody(as_, client, people, found, collector) -> dict[str, int]:
    """Each kind of person what concerns them. An Editor sees less than an Admin, and nothing else."""
    site = [each for each in found if each[0].startswith("admin:")]
    ours = [each for each in found if each not in site]
    both = ("get", "post")
    return {
        "nobody": ask("nobody", client, [e for e in ours if e[0].startswith(ACCOUNTS)], collector, both),
        "stranger": ask("stranger", as_(people["stranger"]), ours, collector, ["get"]),
        "member": ask("member", as_(people["member"]), ours, collector, ["get"]),
        "admin": ask("admin", as_(people["admin"]), ours, collector, both),
        "operator": ask("operator", as_(people["operator"]), site, collector, both),
    }


@pytest.mark.django_db(transaction=True)
def test_no_secret_comes_out_anywhere(
    as_, client, alice, bob, vera, charlie, olga, healthy, plane, url, arguments, monkeypatch
):
    collector = Collector()
    with everything_sent(collector, monkeypatch):
        with everything_logged(collector, sql=True):
            waiting = drive(as_(bob), url, healthy, collector, plane, monkeypatch)
        with everything_logged(collector, sql=False):
            collector.add("response to a draft", as_text(as_(bob).get(waiting)))
            found = addresses(arguments)
            people = {"admin": alice, "member": vera, "stranger": charlie, "operator": olga}
            fine = ask_everybody(as_, client, people, found, collector)
        read_processes(collector)
    read_database(collector)

    generated, secrets = vault.read(healthy), dict(SECRETS)
    for name in vault.GENERATORS:
        secrets[name] = getattr(generated, name)
    shown_on_purpose = re.compile(r"response to admin post deployments:credential")
    leaked = {
        place: names
        for place, texts in collector.found.items()
        if (names := set(leaks("\n".join(texts), secrets)))
        and not (shown_on_purpose.match(place) and names == {"admin_password"})
    }
    assert leaked == {}
    assert_searched(collector, healthy, found, fine)


def assert_searched(collector, healthy, found, fine) -> None:
    """It was looked where things are: what may be seen was seen in each of the places."""
    stored = {row.key: vault.open_variable(row) for row in healthy.variables.filter(is_secret=True)}
    assert set(stored.values()) == {SECRETS[way] for way in ("replaced", "imported", "raised")}
    sealed = bytes(healthy.variables.get(key="TOKEN").sealed)
    place = f"deployment:{healthy.pk}:variable:TOKEN"
    assert decrypt(sealed, place=place) == SECRETS["replaced"]
    assert len(found) > 80
    assert fine["admin"] > 30
    assert fine["member"] > 20
    assert fine["operator"] > 15
    for where in (
        "response to member get deployments:variables",
        "log",
        "table deployments_environmentvariable",
    ):
        assert PLAIN in collector.all(where), where
    assert PLAIN in collector.all("table workspaces_auditevent")
    assert "TOKEN (secret)" in collector.all("table workspaces_auditevent")
    assert tasks.reconcile_task.name in collector.all("redis")
    assert f"badge-{healthy.pk}" in collector.all("redis")
    assert "Bug while saving." in collector.all("log")
    assert "Bug after reading" in collector.all("log")
    assert "postgres" in collector.all("process")
    assert "airdeck-test-" in collector.all("process")
