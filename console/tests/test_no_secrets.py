"""No secret value in any response, stream, log, audit row, queue message or process list.

Marked values are set in every way there is; then every address is asked as everybody, and everything that came out is
searched, in every spelling that text takes on its way. New pages are covered by being routed: an address with an
argument that is not in `arguments` fails the test until somebody says what stands there.
"""

import re
from http.cookies import SimpleCookie
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from console.kit.crypto import decrypt
from console.tests import leak_driving, leak_planes
from console.tests.api.conftest import Program
from console.tests.leak_driving import PLAIN, QUEUE, REFUSED, SECRETS, TYPED
from console.tests.leaks import (
    Collector,
    as_text,
    everything_logged,
    everything_sent,
    leaks,
    read_database,
    read_processes,
)
from deployments import tasks
from deployments.dataplane import registry
from deployments.models import AlertChannel, Deployment, RuntimeRelease
from deployments.queries.releases import release_of
from deployments.secrets import alert_channels, vault
from deployments.tests.one_of_everything import furnish_alerts
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import invitations, tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.actions.workspaces import create_workspace
from workspaces.api import auth
from workspaces.permissions import Role

NOT_ASKED = {"deployments:stream"}  # its frames are read where they are published
ACCOUNTS = ("account_", "mfa_", "usersessions_")  # allauth's addresses with arguments: not about Deployments


@pytest.fixture
def healthy(deployment, driver, monkeypatch):
    """Analytics, running, on a runtime that is not the newest."""
    monkeypatch.setitem(registry.DRIVERS, "local", lambda config: driver)
    Deployment.objects.filter(pk=deployment.pk).update(runtime=RuntimeRelease.objects.get(version="3.2-1"))
    return settle(deployment)


@pytest.fixture
def url(healthy):
    return lambda name, *more: reverse(f"deployments:{name}", args=[healthy.release_name, *more])


@pytest.fixture
def program(workspace, alice, healthy, monkeypatch) -> Program:
    """A program with a token of Alice's, which may ask as often as it likes."""
    monkeypatch.setattr(auth, "RATES", dict.fromkeys(("GET", "HEAD", "DELETE"), auth.Rate(1e6, 10**6)))
    monkeypatch.setattr(auth, "WRITE", auth.Rate(1e6, 10**6))
    made = tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish("ci", "", Role.ADMIN))
    return Program(made.value, made.token)


@pytest.fixture
def configure(as_, bob, healthy, driver, url, program):
    """Sets variables, settings and worker queues; the Editor who did, and the address of the import that waits."""

    def do(collector) -> tuple[leak_driving.Person, str]:
        editor = leak_driving.Person(as_(bob), url, collector)
        waiting = leak_driving.set_variables(editor, healthy)
        leak_driving.set_by_program(program.client, healthy, collector)
        leak_driving.follow_a_branch(editor, program.client, healthy)
        leak_driving.log_in_to_a_registry(program.client, healthy, driver, collector)
        leak_driving.edit(editor, healthy)
        leak_driving.change_queues(editor, healthy)
        return editor, waiting

    return do


@pytest.fixture
def drive(as_, alice, configure, healthy, driver, url, monkeypatch):
    """Does everything that can be done to the Deployment; the address of the import that still waits."""

    def do(collector) -> str:
        editor, waiting = configure(collector)
        admin = leak_driving.Person(as_(alice), url, collector)
        leak_driving.schedule(editor)
        leak_driving.upgrade_and_sleep(editor, healthy)
        leak_driving.transfer(admin, healthy, create_workspace(by=alice, name="Second"))
        leak_driving.crash(editor, monkeypatch)
        leak_driving.problem(editor, healthy, driver, monkeypatch)
        return waiting

    return do


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


def known_arguments(healthy, workspace, alice, bob, program):
    """By the argument's name."""
    made = invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER
    ).made[0]
    of_alerts = furnish_alerts(workspace, path=SECRETS["hooked"])
    return {
        "alert_id": [of_alerts["alert_silence"]],
        "channel_id": [of_alerts["alert_channel"]],
        "delivery_id": [of_alerts["alert_again"]],
        "rule_id": [of_alerts["alert_rule"]],
        "workspace_id": [workspace.pk],
        "user_id": [bob.pk],
        "invitation_id": [made.invitation.pk],
        "token": [made.token],
        "token_id": [program.token.pk],
        "cluster_id": [healthy.cluster_id],
        "operation_id": [f"{healthy.release_name}.{what}" for what in ("create.1", "change.2", "deploy.1")],
        "queue_name": ["default", QUEUE],
        "release_name": [healthy.release_name],
        "queue": ["default", QUEUE],
        "name": ["scheduler", "api-server"],
        "app_label": ["deployments"],
        "content_type_id": [1],
        "session_id": [1],
        "setting": ["on"],
        "url": ["x"],
    }


@pytest.fixture
def arguments(healthy, workspace, alice, bob, program):
    """What stands in addresses: by the argument's name, or by the address and it."""
    own_rule = healthy.alert_rules.create(kind="unhealthy", amount=5)
    known = known_arguments(healthy, workspace, alice, bob, program)

    def choose(url_name, names):
        rows = [{}]
        for name in names:
            if (url_name, name) == ("deployments:variables_draft", "token"):
                values = [uuid4()]  # the one that waits is asked for by its author
            elif (url_name, name) == ("deployments:deploy_upload", "key"):
                values = [uuid4()]  # nothing waits there
            elif name == "kind":
                values = ["webhook", "email"] if "channel" in url_name else ["unhealthy", "no_success"]
            elif name == "rule_id" and url_name.startswith("deployments:own_"):
                values = [own_rule.pk]
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
    api = [each for each in found if each[0].startswith("api:")]
    ours = [each for each in found if each not in site and each not in api]
    both = ("get", "post")
    return {
        "nobody": ask("nobody", client, [e for e in ours if e[0].startswith(ACCOUNTS)], collector, both),
        "stranger": ask("stranger", as_(people["stranger"]), ours, collector, ["get"]),
        "member": ask("member", as_(people["member"]), ours, collector, ["get"]),
        "admin": ask("admin", as_(people["admin"]), ours, collector, both),
        "operator": ask("operator", as_(people["operator"]), site, collector, both),
        "program": ask(
            "program", people["program"].client, api, collector, (*both, "put", "patch", "delete")
        ),
    }


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_no_secret_comes_out_anywhere(
    as_, client, alice, bob, vera, charlie, olga, healthy, drive, arguments, program, monkeypatch
):
    collector = Collector()
    with everything_sent(collector, monkeypatch):
        with everything_logged(collector, sql=True):
            waiting = drive(collector)
            posted = leak_driving.make_a_channel(program.client, healthy.workspace, collector)
        with everything_logged(collector, sql=False):
            collector.add("response to a draft", as_text(as_(bob).get(waiting)))
            found = addresses(arguments)
            people = {
                "admin": alice,
                "member": vera,
                "stranger": charlie,
                "operator": olga,
                "program": program,
            }
            fine = ask_everybody(as_, client, people, found, collector)
        read_processes(collector)
    read_database(collector)

    generated = {name: vault.one(healthy, name) for name in vault.GENERATORS}
    generated["api_token"] = program.value
    generated["webhook"] = alert_channels.secret_of(AlertChannel.objects.get(name="Pager"))
    generated["posted webhook"] = posted
    shown_on_purpose = re.compile(r"response to admin post deployments:credential")
    leaked = {
        place: names
        for place, names in leaking(collector, {**SECRETS, **generated}).items()
        if not (shown_on_purpose.match(place) and names == {"admin_password"})
    }
    assert leaked == {}
    assert_typed_text_stays(collector)
    assert_searched(collector, healthy, found, fine)


def leaking(collector, secrets: dict[str, str]) -> dict[str, set[str]]:
    """Which of the texts stand where."""
    found = {place: set(leaks("\n".join(texts), secrets)) for place, texts in collector.found.items()}
    return {place: names for place, names in found.items() if names}


def assert_typed_text_stays(collector) -> None:
    """A name and a description are shown and kept, and sent nowhere; what was refused only goes back."""
    kept = ("response", "table deployments_deployment", "table workspaces_auditevent", "log")
    places = leaking(collector, TYPED)
    assert {place: names for place, names in places.items() if not place.startswith(kept)} == {
        "redis": {"name"}  # in the badges that are pushed to open pages
    }
    assert places["table deployments_deployment"] == places["table workspaces_auditevent"] == set(TYPED)
    back = leaking(collector, REFUSED)
    assert [place for place in back if not place.startswith("response to driving")] == []
    assert set().union(*back.values()) >= {"size", "queue", "queuename", "cron"}


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_no_secret_is_where_a_data_plane_shows_it(healthy, configure):
    """Neither on this machine, but in files that are their owner's alone, nor in Kubernetes, but in Secrets."""
    configure(Collector())
    collector, given = Collector(), vault.read(healthy)
    release = release_of(healthy, list(healthy.queues.select_related("worker_type")))
    with everything_logged(collector, sql=False):
        leak_planes.run_locally(collector, release, given)
        leak_planes.render_manifests(collector, release, given)

    generated = {name: vault.one(healthy, name) for name in vault.GENERATORS}
    planes = {"registry": leak_planes.REGISTRY, "template": leak_planes.TEMPLATE}
    assert leaking(collector, {**SECRETS, **generated, **planes, **TYPED, **REFUSED}) == {}
    assert {"local group", "local file", "local process", "local said", "repr"} <= set(collector.found)
    assert set(given.variables) == {"TOKEN", "IMPORTED", "BY_PROGRAM"}
    assert PLAIN in collector.all("manifest ConfigMap")
    assert QUEUE in collector.all("manifest Deployment")
    for program in ("scheduler --skip", f"celery worker --queues {QUEUE}", "local.steps.upgrade /tmp"):
        assert program in collector.all("local file"), program
    assert f"celery worker --queues {QUEUE}" in collector.all("local process")
    assert f"[group:{healthy.release_name}.worker-{QUEUE}-01]" in collector.all("local group")
    assert "db migrate" in collector.all("local file")


def assert_searched(collector, healthy, found, fine) -> None:
    """It was looked where things are: what may be seen was seen in each of the places."""
    stored = {row.key: vault.open_variable(row) for row in healthy.variables.filter(is_secret=True)}
    ways = ("replaced", "imported", "raised", "programmed")
    assert set(stored.values()) == {SECRETS[way] for way in ways}
    sealed = bytes(healthy.variables.get(key="TOKEN").sealed)
    context = f"deployment:{healthy.pk}:variable:TOKEN"
    assert decrypt(sealed, context=context) == SECRETS["replaced"]
    assert len(found) > 80
    assert fine["admin"] > 30
    assert fine["member"] > 20
    assert fine["operator"] > 15
    assert fine["program"] > 20
    for where in (
        "response to member get deployments:variables",
        "response to program get api:variables",
        "log",
        "table deployments_environmentvariable",
    ):
        assert PLAIN in collector.all(where), where
    for name in ("git_source", "alert_channels", "alert_deliveries"):
        assert PLAIN in collector.all(f"response to program get api:{name}"), name
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == SECRETS["connected"]
    assert PLAIN in collector.all("table workspaces_auditevent")
    assert "TOKEN (secret)" in collector.all("table workspaces_auditevent")
    assert tasks.reconcile_task.name in collector.all("redis")
    assert f"badge-{healthy.pk}" in collector.all("redis")
    assert "Bug while saving." in collector.all("log")
    assert "Bug after reading" in collector.all("log")
    assert "postgres" in collector.all("process")
    assert "airdeck-test-" in collector.all("process")
