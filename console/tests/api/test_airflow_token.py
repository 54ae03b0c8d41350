"""A token for the API of an Airflow, asked for by a program. What Airflow makes of it: `dataplane/sign_in_story.py`."""

from datetime import timedelta

import jwt
import pytest
from django.utils import timezone

from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import members
from workspaces.models import AuditEvent
from workspaces.permissions import Role


@pytest.fixture
def healthy(deployment, driver):
    return settle(deployment)


@pytest.fixture
def path(healthy) -> str:
    return f"/deployments/{healthy.release_name}/airflow-token"


def claims_of(healthy, token: str) -> dict:
    secret = vault.one(healthy, "jwt_secret")
    return jwt.decode(token, secret, algorithms=["HS512"], audience="apache-airflow")


@pytest.mark.parametrize(
    ("role", "airflow"), [(Role.MEMBER, "VIEWER"), (Role.EDITOR, "OP"), (Role.ADMIN, "ADMIN")]
)
def test_it_acts_as_the_maker_with_the_role_of_the_api_token(program, alice, healthy, path, role, airflow):
    asking = program(alice, role)
    answer = asking.ask("post", path, {"minutes": 30}, status=201)
    found = answer.json()
    claims = claims_of(healthy, found["token"])
    assert (claims["sub"], claims["role"], claims["kind"]) == (str(alice.pk), airflow, "program")
    assert (found["role"], found["url"]) == (airflow, f"{healthy.airflow_url}api/v2")
    assert claims["exp"] <= (timezone.now() + timedelta(minutes=30)).timestamp()
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.get(verb="created an Airflow token for")
    assert (event.actor_id, event.token_id) == (alice.pk, asking.token.pk)
    assert found["token"] not in str(event.new)


def test_never_with_more_than_its_maker_may_at_that_moment(program, alice, bob, workspace, healthy, path):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made = program(bob, Role.EDITOR, deployment=healthy)
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER)
    assert made.ask("post", path, {}, status=201).json()["role"] == "VIEWER"


@pytest.mark.parametrize("minutes", [0, 61, -1, 1.5, "30", True, None])
def test_no_more_than_an_hour(program, alice, path, minutes):
    refused = program(alice).ask("post", path, {"minutes": minutes}, status=422).json()
    assert refused["errors"] == [{"path": "minutes", "sentence": "A token is valid for 1 to 60 minutes."}]
    assert not AuditEvent.objects.filter(verb="created an Airflow token for").exists()


def test_there_is_none_while_the_workspace_is_suspended(program, alice, workspace, path):
    made = program(alice)
    workspace.suspended_at = timezone.now()
    workspace.save()
    refused = made.ask("post", path, {}, status=403).json()
    assert refused["code"] == "workspace_suspended"


def test_an_airflow_that_was_started_before_says_what_to_do(program, alice, healthy, path):
    type(healthy).objects.filter(pk=healthy.pk).update(signs_in=False)
    refused = program(alice).ask("post", path, {}, status=409).json()
    assert "edit it, or hibernate" in refused["detail"]
