"""Every address of the API, crossed with every role and every kind of token. One that nobody listed fails the build."""

import re
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from console.api.v1 import api
from console.tests.api.conftest import Program
from console.tests.test_url_roles import every_name
from deployments.tests.one_of_everything import furnish, furnish_alerts, furnish_git
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import command_lines
from workspaces.api.auth import buckets
from workspaces.models import Membership
from workspaces.permissions import Role

ANYONE, MEMBER, EDITOR, ADMIN = 0, 1, 2, 3
PERSON, THERE = "a person's own alone", "a person's who signed in the command line just now"
WHOLE, ONE = "the Workspace alone", "also one Deployment"

# name, method: (needed role, whether a token of one Deployment may, answer when allowed). A stranger's token gets 404,
# a member's with too small a role 403, and so does one of a Deployment where the whole Workspace is meant.
URLS = {
    ("me", "get"): (ANYONE, ONE, 200),
    ("workspaces", "get"): (ANYONE, ONE, 200),
    ("deployments", "get"): (ANYONE, ONE, 200),
    ("workspace", "get"): (MEMBER, ONE, 200),
    ("workspace", "patch"): (ADMIN, WHOLE, 200),
    ("members", "get"): (MEMBER, WHOLE, 200),
    ("invitations", "get"): (MEMBER, WHOLE, 200),
    ("workspace_activity", "get"): (MEMBER, WHOLE, 200),
    ("clusters", "get"): (MEMBER, WHOLE, 200),
    ("options", "get"): (MEMBER, WHOLE, 200),
    ("workspace_deployments", "get"): (MEMBER, ONE, 200),
    ("workspace_deployments", "post"): (EDITOR, WHOLE, 422),
    ("deployment", "get"): (MEMBER, ONE, 200),
    ("deployment", "patch"): (EDITOR, ONE, 200),
    ("deployment", "delete"): (EDITOR, ONE, 202),
    ("hibernate", "post"): (EDITOR, ONE, 202),
    ("wake", "post"): (EDITOR, ONE, 200),
    ("upgrade", "post"): (EDITOR, ONE, 422),
    ("upgrade_dismiss", "post"): (EDITOR, ONE, 200),
    ("retry", "post"): (EDITOR, ONE, 200),  # nothing of it is under way
    ("deployment_file", "get"): (MEMBER, ONE, 200),
    ("deployment_file_plan", "post"): (EDITOR, ONE, 422),
    ("deployment_file_apply", "post"): (EDITOR, ONE, 422),
    ("variable_import", "post"): (EDITOR, ONE, 422),
    ("queues", "get"): (MEMBER, ONE, 200),
    ("queues", "post"): (EDITOR, ONE, 422),
    ("queue", "get"): (MEMBER, ONE, 200),
    ("queue", "patch"): (EDITOR, ONE, 200),
    ("queue", "delete"): (EDITOR, ONE, 409),  # default stays
    ("variables", "get"): (MEMBER, ONE, 200),
    ("variables", "put"): (EDITOR, ONE, 422),
    ("variable", "get"): (MEMBER, ONE, 200),
    ("variable", "put"): (EDITOR, ONE, 422),
    ("variable", "delete"): (EDITOR, ONE, 202),
    ("variable_revisions", "get"): (MEMBER, ONE, 200),
    ("variable_rollback", "post"): (EDITOR, ONE, 202),  # to none
    ("schedule", "get"): (MEMBER, ONE, 200),
    ("schedule", "put"): (EDITOR, ONE, 422),
    ("deploys", "get"): (MEMBER, ONE, 200),
    ("deploys", "post"): (EDITOR, ONE, 422),
    ("deploy", "get"): (MEMBER, ONE, 200),
    ("deploy_image", "post"): (EDITOR, ONE, 422),
    ("registry_login", "get"): (EDITOR, ONE, 200),
    ("registry_login", "put"): (EDITOR, ONE, 422),
    ("registry_login", "delete"): (EDITOR, ONE, 200),
    ("rollback", "post"): (EDITOR, ONE, 410),  # its code is not kept
    ("git_source", "get"): (MEMBER, ONE, 200),
    ("git_source", "put"): (EDITOR, ONE, 422),
    ("git_source", "patch"): (EDITOR, ONE, 200),
    ("git_source", "delete"): (EDITOR, ONE, 204),
    ("git_check", "post"): (EDITOR, ONE, 202),
    ("git_deploy", "post"): (EDITOR, ONE, 202),
    ("git_host_key", "post"): (EDITOR, ONE, 422),
    ("git_webhook_secret", "post"): (EDITOR, ONE, 201),
    ("logs", "get"): (MEMBER, ONE, 200),
    ("task_logs", "get"): (MEMBER, ONE, 200),
    ("activity", "get"): (MEMBER, ONE, 200),
    ("dags", "get"): (MEMBER, ONE, 200),
    ("figures", "get"): (MEMBER, ONE, 200),
    ("workspace_alerts", "get"): (MEMBER, WHOLE, 200),
    ("silence_alert", "post"): (EDITOR, WHOLE, 422),
    ("alert_channels", "get"): (MEMBER, WHOLE, 200),
    ("alert_channels", "post"): (ADMIN, WHOLE, 422),
    ("alert_channel", "get"): (MEMBER, WHOLE, 200),
    ("alert_channel", "patch"): (ADMIN, WHOLE, 200),
    ("alert_channel", "delete"): (ADMIN, WHOLE, 204),
    ("test_alert_channel", "post"): (ADMIN, WHOLE, 202),
    ("alert_channel_secret", "post"): (ADMIN, WHOLE, 201),
    ("alert_deliveries", "get"): (MEMBER, WHOLE, 200),
    ("alert_delivery_again", "post"): (EDITOR, WHOLE, 202),
    ("workspace_alert_rules", "get"): (MEMBER, WHOLE, 200),
    ("workspace_alert_rules", "post"): (ADMIN, WHOLE, 422),
    ("workspace_alert_rule", "delete"): (ADMIN, WHOLE, 404),  # there is none of this id
    ("alerts", "get"): (MEMBER, ONE, 200),
    ("silence_deployment", "post"): (EDITOR, ONE, 422),
    ("alert_rules", "get"): (MEMBER, ONE, 200),
    ("alert_rules", "post"): (EDITOR, ONE, 422),
    ("alert_rule", "delete"): (EDITOR, ONE, 404),  # there is none of this id
    ("operation", "get"): (MEMBER, ONE, 200),
    ("airflow_token", "post"): (MEMBER, ONE, 201),
    ("own_token", "delete"): (ANYONE, ONE, 204),
    ("own_tokens", "get"): (ANYONE, PERSON, 200),
    ("own_tokens", "post"): (ANYONE, THERE, 422),
    ("rotate_own_token", "post"): (ANYONE, THERE, 404),  # another person's
    ("one_own_token", "delete"): (ANYONE, THERE, 404),
    ("workspace_tokens", "get"): (MEMBER, WHOLE, 200),
    ("workspace_tokens", "post"): (ADMIN, THERE, 422),
    ("rotate_workspace_token", "post"): (ADMIN, THERE, 404),
    ("workspace_token", "delete"): (ADMIN, THERE, 404),
    ("deployment_tokens", "get"): (MEMBER, ONE, 200),
    ("deployment_tokens", "post"): (ADMIN, THERE, 422),
    ("rotate_deployment_token", "post"): (ADMIN, THERE, 404),
    ("deployment_token", "delete"): (ADMIN, THERE, 404),
}
PUBLIC = {"openapi"}  # the document: it is in the repository, too
NOWHERE = {"nothing"}  # whatever else begins so: 404
METHODS = {"get", "post", "put", "patch", "delete"}


def test_every_address_is_listed_here():
    names = {name.removeprefix("api:") for name in every_name() if name.startswith("api:")}
    listed = {name for name, _ in URLS}
    assert names - listed - PUBLIC - NOWHERE - {"api-root"} == set(), "Say in this table who may do what."


def test_every_method_is_listed_here():
    document = api.get_openapi_schema(path_prefix="")
    known = set()
    for item in document["paths"].values():
        known |= {(each["operationId"], method) for method, each in item.items() if method in METHODS}
    assert len(known) == len(URLS)


@pytest.fixture
def of_alerts(workspace) -> dict[str, object]:
    """A channel and a message to it."""
    return furnish_alerts(workspace)


@pytest.fixture
def running(deployment, driver, of_alerts):
    """A Deployment that can be changed, with one of everything."""
    settle(deployment)
    furnish(deployment)
    furnish_git(deployment)
    return deployment


@pytest.fixture
def address(running, workspace, cluster, of_alerts):
    """The address of a name in the table; with `missing`, of something that does not exist."""

    def make(name: str, *, missing=False) -> str:
        release = "no-such-0000" if missing else running.release_name
        arguments = {
            "workspace_id": uuid4() if missing else workspace.pk,
            "cluster_id": cluster.pk,
            "release_name": release,
            "queue_name": "default",
            "key": "REGION",
            "number": 1,
            "operation_id": f"{release}.create.1",
            "token_id": uuid4(),
            "alert_id": uuid4(),
            "rule_id": uuid4(),
            "channel_id": of_alerts["alert_channel"],
            "delivery_id": of_alerts["alert_again"],
        }
        for known in (
            (),
            ("workspace_id",),
            ("workspace_id", "cluster_id"),
            ("release_name",),
            ("release_name", "queue_name"),
            ("release_name", "key"),
            ("release_name", "number"),
            ("operation_id",),
            ("token_id",),
            ("workspace_id", "token_id"),
            ("release_name", "token_id"),
            ("workspace_id", "alert_id"),
            ("workspace_id", "rule_id"),
            ("release_name", "rule_id"),
            ("workspace_id", "channel_id"),
            ("workspace_id", "delivery_id"),
        ):
            try:
                path = reverse(f"api:{name}", kwargs={each: arguments[each] for each in known})
            except Exception:
                continue
            return path.removeprefix("/api/v1")
        raise AssertionError(name)

    return make


class Undone(Exception):
    """Takes back what a request changed."""


def answer_to(program: Program, method: str, path: str) -> int:
    body = None if method in {"get", "delete"} else {}
    try:
        with transaction.atomic():
            answer = program.ask(method, path, body)
            raise Undone
    except Undone:
        return answer.status_code


@pytest.fixture
def programs(program, running, alice, bob, vera, charlie, olga) -> dict[str, tuple[Program, int, str]]:
    """A program of every kind: with the role that counts for it, and what kind that is: of the whole Workspace, of one
    Deployment, a person's own, or a command line that a person signed in just now."""
    found = {
        f"of the Workspace, {role}": (program(alice, role, name=f"w-{role}"), number, WHOLE)
        for role, number in ((Role.ADMIN, ADMIN), (Role.EDITOR, EDITOR), (Role.MEMBER, MEMBER))
    }
    people = ((alice, ADMIN), (bob, EDITOR), (vera, MEMBER), (charlie, ANYONE), (olga, ANYONE))
    found |= {f"{who.name}'s own": (program(who, personal=True), role, PERSON) for who, role in people}
    found["Alice's own, as a Member"] = (program(alice, Role.MEMBER, personal=True), MEMBER, PERSON)
    for role, number in ((Role.EDITOR, EDITOR), (Role.MEMBER, MEMBER)):
        made = program(alice, role, deployment=running, name=f"d-{role}")
        found[f"of the Deployment, {role}"] = (made, number, ONE)
    for who, role in people:
        made = command_lines.sign_in(by=who, device="laptop", address="")
        found[f"{who.name}'s command line"] = (Program(made.value, made.token), role, THERE)
    return found


def expected_of(needed: int, reach: str, allowed: int, role: int, kind: str) -> int:
    """What the table says that a program with this role and of this kind gets."""
    if role == ANYONE and needed > ANYONE:
        return 404
    if role < needed or (reach == THERE and kind != THERE):
        return 403
    if (reach == PERSON and kind not in {PERSON, THERE}) or (reach == WHOLE and kind == ONE):
        return 403
    return allowed


# Of each kind, and of each role: what `make test-quick` crosses with the table.
FEW = {
    "of the Workspace, member",
    "of the Deployment, editor",
    "Alice's own",
    "Charlie's own",
    "Alice's command line",
}


@pytest.mark.thorough
def test_which_token_may_do_what_by_one_token_of_each_kind(programs, address):
    cross_with_the_table({label: programs[label] for label in FEW}, address)


@pytest.mark.thorough
def test_which_token_may_do_what(programs, address):
    cross_with_the_table(programs, address)


def cross_with_the_table(programs, address) -> None:
    """One test for the whole table: what costs is to make the cast."""
    wrong = {}
    for (name, method), (needed, reach, allowed) in URLS.items():
        path = address(name)
        for label, (who, role, kind) in programs.items():
            buckets.clear()
            answer = answer_to(who, method, path)
            expected = expected_of(needed, reach, allowed, role, kind)
            if answer != expected:
                wrong[name, method, label] = (answer, expected)
        for label, value in (("none", ""), ("of nobody", f"adk_w_{'0' * 46}")):
            if (answer := answer_to(Program(value), method, path)) != 401:
                wrong[name, method, label] = (answer, 401)
    assert wrong == {}


@pytest.mark.thorough
def test_a_stranger_s_token_cannot_tell_what_exists(program, charlie, address):
    stranger = program(charlie, personal=True)
    stranger.get("/me")  # what is done once: the use is noted down
    for (name, method), (needed, _, _) in URLS.items():
        if needed == ANYONE:
            continue
        buckets.clear()
        existing, missing = address(name), address(name, missing=True)
        assert existing != missing
        answers, work = [], []
        for path in (existing, missing):
            with CaptureQueriesContext(connection) as queries:
                answers.append(stranger.ask(method, path, None if method == "get" else {}))
            work.append([re.sub(r"'[^']*'|[0-9]+", "?", query["sql"]) for query in queries])
        assert [answer.status_code for answer in answers] == [404, 404], name
        assert work[0] == work[1], name  # the same queries take the same time
        first, second = ({**answer.json(), "request_id": ""} for answer in answers)
        assert first == second, name


def test_a_session_counts_for_nothing_here(as_, alice, running, address):
    answer = as_(alice).get(f"/api/v1{address('deployment')}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="Airdeck"'


def test_a_member_of_two_workspaces_reaches_both_with_a_token_of_their_own_alone(
    program, alice, charlie, workspace, running
):
    Membership.objects.create(workspace=workspace, user=charlie, role=Role.EDITOR)
    own = program(charlie, personal=True)
    assert {each["name"] for each in own.get("/workspaces")["items"]} == {"Acme Data", "Charlie's"}
    assert own.get(f"/deployments/{running.release_name}")["name"] == "Analytics"
    other = program(alice)
    theirs = charlie.memberships.exclude(workspace=workspace).get().workspace_id
    assert other.ask("get", f"/workspaces/{theirs}").status_code == 404
