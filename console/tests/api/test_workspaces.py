"""Workspaces for programs: what people change of one."""

import pytest

from workspaces.actions import invitations, members
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db


def test_a_workspace_is_renamed_by_an_admin_and_saying_the_same_again_writes_nothing(
    program, alice, bob, workspace
):
    admin, path = program(alice), f"/workspaces/{workspace.pk}"
    before = admin.ask("get", path, status=200)
    program(bob, Role.EDITOR, personal=True).ask("patch", path, {"name": "Ours"}, status=403)
    for _ in range(2):
        renamed = admin.ask("patch", path, {"name": "  Acme Reports "}, status=200)
        assert renamed.json() == {**before.json(), "name": "Acme Reports"}
    event = AuditEvent.objects.get(verb="renamed")
    assert (event.old, event.new) == ({"name": "Acme Data"}, {"name": "Acme Reports"})
    assert renamed["ETag"] == admin.ask("get", path)["ETag"] != before["ETag"]
    stale = admin.ask("patch", path, {"name": "Other"}, status=412, If_Match=before["ETag"])
    assert stale.json()["code"] == "stale"
    assert admin.ask("patch", path, {}, status=200).json()["name"] == "Acme Reports"


def test_a_name_that_is_none_is_refused_with_the_sentence_of_the_page(program, as_, alice, workspace):
    admin, path = program(alice), f"/workspaces/{workspace.pk}"
    for wrong in ("", "x" * 51, "a\u200bb"):
        refused = admin.ask("patch", path, {"name": wrong}, status=422).json()
        page = as_(alice).post(f"/w/{workspace.pk}/settings/", {"name": wrong})
        sentence = str(page.context["form"].errors["name"][0])
        assert refused["errors"] == [{"path": "name", "sentence": sentence}]
    refused = admin.ask("patch", path, {"name": 7, "colour": "red"}, status=422).json()
    assert {each["path"] for each in refused["errors"]} == {"name", "colour"}
    workspace.refresh_from_db()
    assert workspace.name == "Acme Data"


def test_an_invitation_whose_sender_may_no_longer_invite_is_not_valid(program, workspace, alice, bob):
    where = f"/workspaces/{workspace.pk}/invitations"
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    invitations.invite(workspace=workspace, by=bob, emails=["ida@example.org"], role=Role.MEMBER)
    assert [each["valid"] for each in program(alice).get(where)["items"]] == [True]
    members.remove(workspace=workspace, by=alice, user_id=bob.pk)
    (row,) = program(alice).get(where)["items"]
    assert (row["valid"], row["expired"], row["invited_by"]) == (False, False, "Bob")
