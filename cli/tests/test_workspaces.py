"""Workspaces from a terminal."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from workspaces import audit
from workspaces.actions.invitations import invite
from workspaces.models import Invitation
from workspaces.permissions import Role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_a_workspace_is_renamed_and_commands_go_on_using_it(airdeck, token, alice, workspace):
    refused = airdeck("workspace", "rename", "Ours", code=3)  # by an Editor's token
    assert "the role Admin" in refused.err
    url = airdeck.environment["AIRDECK_URL"]
    del airdeck.environment["AIRDECK_TOKEN"], airdeck.environment["AIRDECK_URL"]
    airdeck("login", url, "--token-stdin", text=token(alice, Role.ADMIN))
    airdeck("workspace", "switch", "Acme Data")
    assert airdeck("workspace", "rename", "Acme Reports").out == "Acme Data is Acme Reports from now on.\n"
    workspace.refresh_from_db()
    assert workspace.name == "Acme Reports"
    kept = json.loads((airdeck.home / "config" / "contexts.json").read_text())["contexts"]
    assert {each["workspace_name"] for each in kept.values()} == {"Acme Reports"}
    listed = airdeck("workspace", "list").out
    assert "*  Acme Reports" in listed
    assert "name: " in airdeck("workspace", "rename", "", code=2).err
    assert (
        "There is no Workspace Acme Data."
        in airdeck("workspace", "rename", "X", "--workspace", "Acme Data", code=2).err
    )


def test_members_and_invitations_are_listed(airdeck, workspace, alice, bob):
    invite(workspace=workspace, by=alice, emails=["dora@acme.test"], role=Role.MEMBER)
    listed = airdeck("workspace", "members").out
    assert f"{alice.name}  {alice.email}" in listed
    (invited,) = [line for line in listed.splitlines() if "dora@acme.test" in line]
    assert "invited, until " in invited
    found = airdeck("workspace", "members", "-o", "json").json
    assert {each["email"] for each in found["members"]} >= {alice.email, bob.email}
    Invitation.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert "invited, expired on " in airdeck("workspace", "members").out


def test_what_happened_is_listed_newest_first_for_a_workspace_and_a_deployment(airdeck, deployment, alice):
    for number in (1, 2):
        audit.record(deployment, alice, "changed", new={"description": f"step {number}"})
    everything = airdeck("workspace", "activity").out
    assert f"{alice.email} changed Deployment Analytics" in everything
    one = airdeck("deployment", "activity", "Analytics", "-c", "1")
    assert len(one.out.splitlines()) == 2  # heads and one line
    assert one.err == "The newest 1 are listed.\n"
    events = airdeck("deployment", "activity", "Analytics", "-o", "json").json
    assert [each["new"]["description"] for each in events[:2]] == ["step 2", "step 1"]
