"""Workspaces from a terminal."""

import json

import pytest

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
