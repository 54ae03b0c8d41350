"""Deployment files over the API: who may, what is refused, and that a plan is kept to."""

import pytest

from deployments.models import Deployment
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)
FILE = "deployment: {configuration: {name: %s}, environment_variables: [{key: A, value: b}]}"


@pytest.fixture
def running(deployment, driver) -> Deployment:
    return settle(deployment)


@pytest.fixture
def place(workspace) -> str:
    return f"/workspaces/{workspace.pk}/deployment-file"


def plan(program, place, text, status=200, **more):
    return program.ask("post", f"{place}/plan", {"text": text, **more}, status=status).json()


def test_a_plan_is_applied_once_it_was_seen_and_not_when_something_changed(program, alice, running, place):
    editor = program(alice, Role.EDITOR)
    text = FILE % "Analytics"
    seen = plan(editor, place, text)
    assert (seen["release_name"], [line["sign"] for line in seen["lines"]]) == (running.release_name, ["+"])
    editor.ask("put", f"/deployments/{running.release_name}/variables/B", {"value": "x"}, status=202)
    refused = editor.ask("post", f"{place}/apply", {"text": text, "base": seen["base"]}, status=409).json()
    assert refused["code"] == "changed"
    assert set(vault.variables_of(running)) == {"B"}
    base = plan(editor, place, text)["base"]
    done = editor.ask("post", f"{place}/apply", {"text": text, "base": base}, status=202).json()
    assert done["operation"]["kind"] == "change"
    assert set(vault.variables_of(running)) == {"A"}
    base = plan(editor, place, text)["base"]
    again = editor.ask("post", f"{place}/apply", {"text": text, "base": base}, status=200).json()
    assert again["operation"] is None


def test_a_file_makes_a_deployment_and_its_operation_is_create(program, alice, cluster, place):
    editor = program(alice, Role.EDITOR)
    seen = plan(editor, place, FILE % "New")
    assert (seen["release_name"], seen["base"]) == (None, "")
    made = editor.ask("post", f"{place}/apply", {"text": FILE % "New", "base": ""}, status=202).json()
    assert (made["operation"]["kind"], made["deployment"]["name"]) == ("create", "New")
    for mode, name, status, code in (("create", "new", 409, "exists"), ("update", "Other", 404, "missing")):
        assert plan(editor, place, FILE % name, status, mode=mode)["code"] == code


def test_a_token_of_one_deployment_applies_its_file_and_no_other(
    program, alice, running, place, choices, workspace
):
    from uuid import uuid4

    from deployments.actions import create_deployment

    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Other"))
    own = program(alice, Role.EDITOR, deployment=running)
    document = own.get(f"/deployments/{running.release_name}/file")
    assert document["deployment"]["configuration"]["workspace_name"] == workspace.name
    assert plan(own, place, FILE % "Analytics")["release_name"] == running.release_name
    assert plan(own, place, FILE % "Other", 404)["code"] == "not_found"
    assert plan(own, place, FILE % "Third", 403)["code"] == "token_limited"
    member = program(alice, Role.MEMBER, deployment=running, name="reader")
    assert plan(member, place, FILE % "Analytics", 403)["code"] == "missing_right"


def test_every_problem_of_a_file_comes_at_once(program, alice, running, place):
    editor = program(alice, Role.EDITOR)
    text = "deployment: {configuration: {name: Analytics, scheduler_au: 99, cluster_name: mars}}"
    refused = plan(editor, place, text, 422)
    assert (refused["code"], {each["path"] for each in refused["errors"]}) == (
        "file_refused",
        {"deployment.configuration.scheduler_au", "deployment.configuration.cluster_name"},
    )
    assert "this is not YAML" in plan(editor, place, "a: [", 422)["detail"]
    assert plan(editor, place, 5, 422)["errors"][0]["path"] == "text"
    assert plan(editor, place, "x", 422, mode="all", compat="yes")["errors"][0]["path"] in {"mode", "compat"}


def test_a_dotenv_file_is_taken_whole_or_not_at_all_and_secrets_stay(program, alice, running):
    editor = program(alice, Role.EDITOR)
    path = f"/deployments/{running.release_name}/variable-import"
    editor.ask(
        "put", f"/deployments/{running.release_name}/variables/KEPT", {"value": "hush", "secret": True}
    )
    refused = editor.ask("post", path, {"text": "A=1\nAIRFLOW_HOME=x\nno equals\n"}, status=422).json()
    assert {each["path"] for each in refused["errors"]} == {"line 2", "line 3"}
    assert set(vault.variables_of(running)) == {"KEPT"}
    text = "A=\"x=y # z\"\nexport B='q'\nKEPT=\n"
    done = editor.ask("post", path, {"text": text, "secret": False}, status=202).json()
    assert (done["added"], done["changed"], done["unchanged"]) == (["A", "B"], [], ["KEPT"])
    assert {key: each.value for key, each in vault.variables_of(running).items()} == {
        "A": "x=y # z",
        "B": "q",
        "KEPT": "hush",
    }
    assert editor.ask("post", path, {"text": text}, status=200).json()["operation"] is None
