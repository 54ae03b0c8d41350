"""How far a token reaches, and until when: never further than its maker at present, and nowhere once it ends."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.tests.api.conftest import Program, code
from deployments.actions import create_deployment, delete_deployment
from deployments.actions.transfer import transfer_deployment
from deployments.models import Deployment
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import members, operators, tokens
from workspaces.actions import workspaces as workspace_actions
from workspaces.actions.tokens import Scope
from workspaces.models import ApiToken, Membership, User
from workspaces.permissions import Role


@pytest.fixture
def path(deployment, driver) -> str:
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


def test_a_demotion_of_the_maker_counts_from_the_next_request_on(program, alice, bob, workspace, path):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made = program(bob, Role.EDITOR)
    made.ask("patch", path, {"name": "One"}, status=200)
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER)
    refused = made.ask("patch", path, {"name": "Two"})
    assert code(refused) == (403, "missing_right")
    assert refused.json()["detail"] == "This needs the role Editor in this Workspace. Alice can grant it."
    assert made.get("/me")["token"]["role"] == "member"
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made.ask("patch", path, {"name": "Two"}, status=200)


def test_a_promotion_of_the_maker_gives_a_token_nothing(program, alice, path):
    made = program(alice, Role.MEMBER)
    assert code(made.ask("patch", path, {"name": "Two"})) == (403, "missing_right")


def test_a_revoked_token_is_refused_on_the_next_request(program, alice, workspace, path):
    made = program(alice)
    made.get(path)
    tokens.revoke(scope=Scope(workspace), by=alice, pk=made.token.pk)
    refused = made.ask("get", path)
    assert code(refused) == (401, "token_revoked")
    assert "Make a new one." in refused.json()["detail"]


def test_a_rotated_token_has_one_value_that_works(program, alice, workspace, path):
    old = program(alice, Role.EDITOR, days=30)
    made = tokens.rotate(scope=Scope(workspace), by=alice, pk=old.token.pk)
    assert code(old.ask("get", path)) == (401, "token_unknown")
    new = Program(made.value)
    assert new.get("/me")["token"]["name"] == "ci-deploy"
    left = made.token.expires_at - timezone.now()
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_an_expired_token_is_refused(program, alice, path):
    made = program(alice)
    ApiToken.objects.update(expires_at=timezone.now())
    assert code(made.ask("get", path)) == (401, "token_expired")


def test_a_token_of_somebody_who_left_rests_until_an_admin_takes_it_over(
    program, alice, bob, workspace, path
):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made, own = program(bob, Role.EDITOR), program(bob, personal=True)
    members.remove(workspace=workspace, by=alice, user_id=bob.pk)
    assert code(made.ask("get", path)) == (403, "maker_left")
    assert own.ask("get", path).status_code == 404
    taken = tokens.rotate(scope=Scope(workspace), by=alice, pk=made.token.pk)
    assert Program(taken.value).get("/me")["email"] == alice.email


def test_an_account_that_ends_takes_its_own_tokens_and_leaves_those_of_the_workspace(
    program, alice, bob, workspace, path
):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made, own = program(bob, Role.EDITOR), program(bob, personal=True)
    workspace_actions.delete_account(user=User.objects.get(pk=bob.pk))
    assert code(own.ask("get", "/me")) == (401, "token_unknown")
    assert code(made.ask("get", path)) == (403, "maker_left")
    assert ApiToken.objects.get(pk=made.token.pk).maker_label == "bob@example.org"


def test_a_blocked_account_has_no_tokens(program, bob, olga, path):
    own = program(bob, personal=True)
    operators.block_user(user=bob, by=olga)
    assert code(own.ask("get", path)) == (401, "account_blocked")


def test_a_suspended_workspace_is_read_and_not_changed(program, alice, olga, workspace, path):
    made = program(alice)
    operators.suspend_workspace(workspace=workspace, by=olga)
    assert made.get(path)["name"] == "Analytics"
    assert code(made.ask("patch", path, {"name": "Two"})) == (403, "workspace_suspended")


def test_a_token_of_a_deployment_ends_with_it(program, alice, deployment, path):
    made = program(alice, Role.EDITOR, deployment=deployment)
    assert made.get(path)["name"] == "Analytics"
    operation = made.ask("delete", path, status=202).json()["operation"]["id"]
    Deployment.objects.update(deleted_at=timezone.now(), status="deleted")
    assert code(made.ask("get", path)) == (401, "content_gone")
    assert code(made.ask("get", "/me")) == (401, "content_gone")
    assert made.get(f"/operations/{operation}")["status"] == "done"  # how its own wish ended


def test_a_token_of_a_deployment_does_not_move_with_it(program, alice, deployment, path):
    made = program(alice, Role.EDITOR, deployment=deployment)
    other = workspace_actions.create_workspace(by=alice, name="Other")
    transfer_deployment(deployment=deployment, by=alice, to=other)
    assert code(made.ask("get", path)) == (401, "content_gone")


def test_a_token_of_a_deployment_reaches_no_other(program, alice, workspace, deployment, choices, path):
    other = create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Other")
    )
    made = program(alice, Role.EDITOR, deployment=deployment)
    assert made.ask("get", f"/deployments/{other.release_name}").status_code == 404
    for listing in ("/deployments", f"/workspaces/{workspace.pk}/deployments"):
        assert [each["name"] for each in made.get(listing)["items"]] == ["Analytics"]
    assert code(made.ask("post", f"/workspaces/{workspace.pk}/deployments", {"name": "X"})) == (
        403,
        "token_limited",
    )


def test_nobody_else_s_membership_helps(program, charlie, workspace, path):
    own = program(charlie, personal=True)
    assert own.ask("get", path).status_code == 404
    Membership.objects.create(workspace=workspace, user=charlie, role=Role.MEMBER)
    assert own.get(path)["name"] == "Analytics"


def test_a_deleted_deployment_is_read_by_tokens_of_its_workspace(program, alice, deployment, path):
    made = program(alice)
    delete_deployment(deployment=deployment, by=alice)
    Deployment.objects.update(deleted_at=timezone.now(), status="deleted")
    assert made.get(path)["status"] == "deleted"
    assert made.ask("patch", path, {"name": "X"}).status_code == 404
