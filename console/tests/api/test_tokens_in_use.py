"""What a token may do, how it is made and used by programs, and what its use costs and leaves behind."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.kit.rates import Rate
from console.tests.api.conftest import Program, code
from deployments.actions import create_deployment
from deployments.tests.reconciler.test_reconcile import settle
from workspaces import token_values
from workspaces.actions import command_lines
from workspaces.actions import workspaces as workspace_actions
from workspaces.api import auth
from workspaces.models import ApiToken, AuditEvent
from workspaces.permissions import NEVER_BY_TOKEN, ONLY_WITH_ITS_PERSON, Permission, Role
from workspaces.token_access import NotByToken, authenticate


@pytest.fixture
def path(deployment, driver) -> str:
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


def test_a_value_is_kept_as_a_hash_alone(program, alice):
    made = program(alice)
    rows = [str(row) for row in ApiToken.objects.values_list()]
    assert all(made.value not in row for row in rows)
    assert made.token.digest == token_values.digest(made.value)
    assert made.token.beginning == made.value[:12]


NEVER, THERE, ALWAYS = "never", "while its person is there", "always"
BY_TOKEN = {
    Permission.VIEW: ALWAYS,
    Permission.OPEN_AIRFLOW: ALWAYS,
    Permission.CREATE_DEPLOYMENT: ALWAYS,
    Permission.EDIT_DEPLOYMENT: ALWAYS,
    Permission.DELETE_DEPLOYMENT: ALWAYS,
    Permission.DEPLOY_CODE: ALWAYS,
    Permission.REVEAL_CREDENTIAL: NEVER,
    Permission.TRANSFER_DEPLOYMENT: NEVER,
    Permission.EDIT_WORKSPACE: ALWAYS,
    Permission.DELETE_WORKSPACE: NEVER,
    Permission.MANAGE_MEMBERS: NEVER,
    Permission.MANAGE_TOKENS: THERE,
}


def refusal(caller, membership, permission) -> str:
    """The code with which a token is refused; "" when it may."""
    try:
        caller.require(membership, permission)
    except NotByToken as refused:
        return refused.code
    return ""


def test_what_a_token_may_do_is_one_table_of_all_permissions(program, alice, workspace):
    ci = authenticate(program(alice).value)
    signed_in = authenticate(command_lines.sign_in(by=alice, device="laptop", address="").value)
    later = timezone.now() + timedelta(minutes=5, seconds=1)
    found = {}
    for permission in Permission:
        answers = [refusal(ci, ci.membership_in(workspace.pk), permission)]
        membership = signed_in.membership_in(workspace.pk)
        answers.append(refusal(signed_in, membership, permission))
        with time_machine.travel(later):
            answers.append(refusal(signed_in, membership, permission))
        found[permission] = {
            ("never_by_token",) * 3: NEVER,
            ("never_by_token", "", "sign_in_again"): THERE,
            ("",) * 3: ALWAYS,
        }[tuple(answers)]
    assert found == BY_TOKEN
    assert {each for each, may in BY_TOKEN.items() if may == NEVER} == NEVER_BY_TOKEN
    assert {each for each, may in BY_TOKEN.items() if may == THERE} == ONLY_WITH_ITS_PERSON


def test_the_right_is_asked_before_the_time_of_a_sign_in(vera, workspace):
    """Who may not manage tokens at all is not sent to sign in again for nothing."""
    caller = authenticate(command_lines.sign_in(by=vera, device="laptop", address="").value)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)), pytest.raises(PermissionDenied):
        caller.require(caller.membership_in(workspace.pk), Permission.MANAGE_TOKENS)


def test_tokens_are_made_rotated_and_revoked_by_a_command_line(alice, workspace, deployment):
    made = command_lines.sign_in(by=alice, device="laptop", address="")
    mine = Program(made.value, made.token)
    release = deployment.release_name
    for place, letter in (
        (f"/workspaces/{workspace.pk}", "w"),
        (f"/deployments/{release}", "d"),
        ("/me", "u"),
    ):
        new = mine.ask("post", f"{place}/tokens", {"name": "ci", "role": "editor"}, status=201).json()
        assert new["value"].startswith(f"adk_{letter}_")
        assert new["token"]["expires_at"][:10] == f"{timezone.now() + timedelta(days=90):%Y-%m-%d}"
        one = f"{place}/tokens/{new['token']['id']}"
        assert "value" not in mine.get(f"{place}/tokens")["items"][0]
        other = mine.ask("post", f"{one}/rotate", status=201).json()["value"]
        assert code(Program(new["value"]).ask("get", "/me")) == (401, "token_unknown")
        assert Program(other).get("/me")["email"] == "alice@example.org"
        assert code(Program(other).ask("delete", one)) == (403, "never_by_token")
        mine.ask("delete", one, status=204)
        assert code(Program(other).ask("get", "/me")) == (401, "token_revoked")
        assert code(mine.ask("delete", one)) == (404, "token_gone")
    refused = mine.ask("post", "/me/tokens", {"name": "", "role": "king", "days": 0, "day": 1}, status=422)
    assert {each["path"] for each in refused.json()["errors"]} == {"name", "role", "days", "day"}
    event = AuditEvent.objects.filter(verb="created", object_type="token").latest("pk")
    assert event.actor_label == "alice@example.org's token airdeck on laptop"


def test_any_token_can_end_itself(program, alice):
    made = program(alice, Role.MEMBER)
    made.ask("delete", "/me/token", status=204)
    assert code(made.ask("get", "/me")) == (401, "token_revoked")


def test_a_token_in_an_address_is_refused_and_revoked(program, alice, path, caplog):
    made = program(alice)
    refused = made.ask("get", f"{path}?access_token={made.value}")
    assert code(refused) == (400, "token_in_address")
    assert refused["X-Request-ID"] == refused.json()["request_id"] != ""
    row = ApiToken.objects.get(pk=made.token.pk)
    assert row.revoked_at is not None
    assert code(made.ask("get", path)) == (401, "token_revoked")
    event = AuditEvent.objects.get(verb="revoked", object_type="token")
    assert event.actor_label == "Airdeck"
    assert made.value not in caplog.text


def test_an_encoded_token_in_an_address_is_found_too(program, alice, path):
    made = program(alice)
    hidden = made.value.replace("_", "%5F")
    assert code(made.ask("get", f"{path}?t={hidden}")) == (400, "token_in_address")


def test_the_activity_names_the_token(program, alice, workspace, path):
    made = program(alice, name="ci")
    made.ask("patch", path, {"name": "Two"}, status=200)
    event = AuditEvent.objects.get(verb="edited")
    assert (event.actor_label, event.token_id) == ("alice@example.org's token ci", made.token.pk)
    workspace_actions.rename_workspace(
        workspace=workspace, by=alice, name="Else"
    )  # not with a token any more
    event = AuditEvent.objects.get(verb="renamed")
    assert (event.actor_label, event.token_id) == ("alice@example.org", None)


def test_the_last_use_is_noted_down_once_a_minute(program, alice, path):
    made = program(alice)
    made.get(path)
    first = ApiToken.objects.get(pk=made.token.pk)
    assert first.last_used_at is not None
    assert first.last_used_ip == "127.0.0.1"
    made.get(path)
    assert ApiToken.objects.get(pk=made.token.pk).last_used_at == first.last_used_at
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    made.get(path)
    assert ApiToken.objects.get(pk=made.token.pk).last_used_at > first.last_used_at


@pytest.mark.parametrize("personal", [False, True])
def test_one_deployment_costs_five_queries_at_most(program, alice, path, personal):
    made = program(alice, personal=personal)
    with CaptureQueriesContext(connection) as first:  # the use is noted down
        made.get(path)
    with CaptureQueriesContext(connection) as second:
        made.get(path)
    assert len(first) <= 5
    assert len(second) == 4


def test_a_list_costs_the_same_at_any_length(program, alice, workspace, deployment, choices, path):
    made = program(alice)
    made.get("/deployments")
    counts = []
    for number in range(2):
        for place in range(3 * number):
            create_deployment(
                workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices(f"More {place}")
            )
        with CaptureQueriesContext(connection) as queries:
            made.get("/deployments")
        counts.append(len(queries))
    assert counts[0] == counts[1] == 3


def test_too_many_requests_are_told_when_to_come_back(program, alice, monkeypatch):
    monkeypatch.setitem(auth.RATES, "GET", Rate(0.01, 3))
    made = program(alice)
    answers = [made.ask("get", "/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert code(answers[3]) == (429, "too_many_requests")
    assert 90 <= int(answers[3]["Retry-After"]) <= 100
    assert program(alice, name="another").ask("get", "/me").status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "noted"),
    [
        (0, "198.51.100.7", "127.0.0.1"),  # anybody may claim it
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (1, "", "127.0.0.1"),
        (2, "198.51.100.7", "127.0.0.1"),  # it came past one of them
        (1, "no address", "127.0.0.1"),
    ],
)
def test_acts_and_uses_name_the_address_that_the_trusted_proxies_saw(
    program, alice, workspace, settings, proxies, forwarded, noted
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    made = program(alice)
    seen = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    answer = made.client.patch(
        f"/api/v1/workspaces/{workspace.pk}", {"name": "Else"}, content_type="application/json", **seen
    )
    assert answer.status_code == 200
    assert AuditEvent.objects.get(verb="renamed").ip == noted
    assert ApiToken.objects.get(pk=made.token.pk).last_used_ip == noted
