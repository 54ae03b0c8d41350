"""Revisions of variables for programs: which there are, and going back to one."""

import pytest

from deployments.actions.variables import latest_revision
from deployments.domain.variables import Setting
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
SECRET, OTHER = "hush-hush-4711", "hush-hush-4712"


@pytest.fixture
def path(deployment, driver) -> str:
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


@pytest.fixture
def editor(program, bob):
    return program(bob, Role.EDITOR, personal=True)


@pytest.fixture
def twice(editor, path) -> str:
    """Variables that were changed twice; where their revisions are."""
    first = [{"key": "A", "value": "1"}, {"key": "T", "value": SECRET, "secret": True}]
    editor.ask("put", f"{path}/variables", {"items": first}, status=202)
    second = [{"key": "T", "value": OTHER}, {"key": "B", "value": "2"}]
    editor.ask("put", f"{path}/variables", {"items": second}, status=202)
    return f"{path}/variable-revisions"


def test_revisions_name_what_changed_and_hold_no_value(program, vera, twice):
    member = program(vera, Role.MEMBER, personal=True)
    newest, first = member.get(twice)["items"]
    assert (first["number"], first["actor"], first["added"]) == (1, "Bob", ["A", "T"])
    assert [newest[each] for each in ("number", "added", "changed", "removed")] == [2, ["B"], ["T"], ["A"]]
    assert "hush" not in member.ask("get", twice).content.decode()
    member.ask("post", f"{twice}/1/rollback", status=403)


def test_going_back_makes_the_variables_what_they_were_as_a_new_revision(editor, deployment, path, twice):
    plan = editor.ask("post", f"{twice}/1/rollback?dry_run=true", status=200)
    would = {"added": ["A"], "changed": ["T"], "removed": ["B"], "refused": []}
    assert plan.json() == {**would, "revision": None, "operation": None}
    assert plan["ETag"] == editor.ask("get", f"{path}/variables")["ETag"]
    assert latest_revision(deployment) == 2  # it only said so
    done = editor.ask("post", f"{twice}/1/rollback", status=202, If_Match=plan["ETag"])
    assert {**done.json(), "operation": None} == {**would, "revision": 3, "operation": None}
    assert done.json()["operation"]["id"].endswith(".change.4")
    assert done["ETag"] == editor.ask("get", f"{path}/variables")["ETag"] != plan["ETag"]
    settings = vault.variables_of(deployment)
    assert {key: each.value for key, each in settings.items()} == {"A": "1", "T": SECRET}
    assert SECRET not in plan.content.decode() + done.content.decode()
    again = editor.ask("post", f"{twice}/1/rollback", status=200).json()
    assert (again["revision"], again["operation"], again["added"]) == (None, None, [])
    editor.ask("post", f"{twice}/2/rollback", status=412, If_Match=plan["ETag"])


def test_what_is_not_kept_cannot_be_gone_back_to(editor, deployment, twice):
    for number in (3, 2**40):
        gone = editor.ask("post", f"{twice}/{number}/rollback", status=404).json()
        assert (gone["code"], gone["detail"]) == (
            "revision_gone",
            f"There is no revision {number} of the variables.",
        )
    assert latest_revision(deployment) == 2


def test_a_name_that_is_refused_today_is_left_out_and_named(editor, deployment, twice):
    row = deployment.variable_revisions.get(number=1)
    then = vault.open_revision(deployment, row)
    row.sealed = vault.seal_revision(deployment, 1, {**then, "PATH": Setting("/x", False)})
    row.save()
    done = editor.ask("post", f"{twice}/1/rollback", status=202).json()
    (refused,) = done["refused"]
    assert refused["key"] == "PATH"
    assert refused["reason"].endswith(".")
    assert set(vault.variables_of(deployment)) == {"A", "T"}
