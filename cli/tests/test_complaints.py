"""What users of Astro's command line complained about, by number, shown not to happen here. 1, 2, 3, 11 and 13 are in
test_packing.py; 6 is deployments/tests/domain/test_deployment_file.py; 9 is in test_life.py."""

import pytest

from deployments.models import Deployment
from deployments.secrets import vault
from tests.played_servers import ME, Server, reply
from tests.running import Airdeck
from workspaces.actions import workspaces
from workspaces.token_values import mint

TRANSACTION = pytest.mark.django_db(transaction=True)


@pytest.mark.thorough
@TRANSACTION
def test_4_and_5_values_are_whole_quotes_are_read_and_secrets_are_kept(
    airdeck, deployment, reconciled, tmp_path
):
    name = deployment.release_name
    airdeck("wait", f"{name}.create.1")
    (tmp_path / ".env").write_text("URL=\"postgres://u:p@h/d?a=b&c=d\"\nEMPTY=\nexport QUOTED='it is'\n")
    loaded = airdeck("deployment", "variable", "create", "--load", "-d", name, "-w")
    assert "Added: EMPTY, QUOTED, URL" in loaded.err
    airdeck("deployment", "variable", "set", "KEY=hush=hush", "--secret", "-d", name, "-w")
    (tmp_path / "d.yaml").write_text(airdeck("deployment", "inspect", name).out + "  # the same\n")
    airdeck("deployment", "apply", "-f", "d.yaml", "--yes", "--wait")
    settings = vault.variables_of(deployment)
    assert {key: each.value for key, each in settings.items()} == {
        "URL": "postgres://u:p@h/d?a=b&c=d",
        "EMPTY": "",
        "QUOTED": "it is",
        "KEY": "hush=hush",
    }
    saved = airdeck("deployment", "variable", "list", "--save", "-e", "out.env", "-d", name)
    assert "4 variables are written" in saved.err
    text = (tmp_path / "out.env").read_text()
    assert "hush" not in text
    assert (tmp_path / "out.env").stat().st_mode & 0o777 == 0o600
    again = airdeck("deployment", "variable", "set", "--load", "-e", "out.env", "-d", name)
    assert "There was nothing to do." in again.out
    (tmp_path / "bad.env").write_text("A=1\nno equals\nAIRFLOW_HOME=x\n")
    refused = airdeck("deployment", "variable", "set", "--load", "-e", "bad.env", "-d", name, code=2).err
    assert "bad.env cannot be loaded, and nothing was changed:" in refused
    assert "  line 2: " in refused
    assert "  line 3: AIRFLOW_HOME cannot be set here." in refused


@pytest.mark.thorough
@TRANSACTION
def test_7_and_8_a_token_of_one_deployment_and_names_of_other_workspaces(
    airdeck, token, alice, deployment, reconciled, tmp_path
):
    other = workspaces.create_workspace(by=alice, name="Other")
    airdeck("wait", f"{deployment.release_name}.create.1")
    own = {"AIRDECK_TOKEN": token(alice, deployment=deployment)}
    (tmp_path / "d.yaml").write_text(airdeck("deployment", "inspect", "Analytics", environment=own).out)
    assert "nothing to do" in airdeck("deployment", "apply", "-f", "d.yaml", environment=own).out
    personal = {"AIRDECK_TOKEN": token(alice, personal=True), "AIRDECK_WORKSPACE": "Other"}
    airdeck("deployment", "create", "-n", "Analytics", "--wait", environment=personal)
    assert Deployment.objects.filter(workspace=other, name="Analytics").exists()
    unclear = airdeck(
        "deployment", "hibernate", "Analytics", code=2, environment={**personal, "AIRDECK_WORKSPACE": ""}
    )
    assert "Several Deployments are named Analytics" in unclear.err
    assert "in Other" in unclear.err
    refused = airdeck("deployment", "apply", "-f", "d.yaml", "--yes", code=2, environment=personal).err
    assert "deployment.configuration.workspace_name: This is applied to the Workspace Other." in refused


def test_10_lists_are_complete_however_many_pages_they_have(tmp_path):
    row = {
        "workspace": {"id": "1", "name": "Acme"},
        "cluster": {"id": "2", "name": "This machine"},
        "executor": "celery",
        "runtime": "3.3-1",
        "airflow_version": "3.3.2",
        "status": "healthy",
    }

    def answer(handler):
        at = int(handler.path.partition("cursor=")[2] or 0)
        items = [
            {**row, "name": f"D{n}", "release_name": f"calm-orbit-{n:04}"}
            for n in range(at, min(at + 100, 250))
        ]
        if "/workspaces?" in handler.path:
            reply(handler, 200, {"items": [{"id": "1", "name": "Acme", "role": "editor"}], "next": None})
        else:
            reply(handler, 200, {"items": items, "next": str(at + 100) if at < 200 else None})

    with Server(answer) as here:
        at = Airdeck(tmp_path, AIRDECK_URL=here.url, AIRDECK_TOKEN=mint("w"))
        listed = at("deployment", "list").out.splitlines()
    assert len(listed) == 251
    assert listed[-1].startswith("D249 ")


def test_12_signing_in_needs_no_browser_and_leaves_a_file_for_its_owner_alone(alone):
    value = mint("u")
    with Server(lambda handler: reply(handler, 200, ME)) as here:
        done = alone("login", here.url, "--token-stdin", text=f"{value}\n")
        assert done.out == f"Signed in to {here.url} as alice@example.org with the token ci.\n"
        kept = alone.home / "config" / "contexts.json"
        assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert "alice@example.org" in alone("whoami").out
        assert value not in alone("context", "list", "-o", "json").out
        # Another console by the environment is not given the token of this one.
        with Server(lambda handler: reply(handler, 200, ME)) as other:
            told = alone("whoami", code=3, environment={"AIRDECK_URL": other.url}).err
            assert other.seen == []
        assert "You are not signed in to" in told
    alone("logout")
    assert "No console is known." in alone("whoami", code=3).err


def test_a_token_is_no_argument_of_any_command(alone):
    """Arguments are in the list of processes for everybody on the machine."""
    told = alone("--help").out
    for command in ("login", "deploy", "deployment create", "deployment variable set", "api"):
        told += alone(*command.split(), "--help").out
    assert "--token " not in told
    assert "--password" not in told


def test_a_secret_value_in_an_argument_is_warned_of_and_one_from_standard_input_is_not(alone):
    argument = ("deployment", "variable", "set", "-s", "-d", "calm-orbit-0012")
    assert "list of processes" in alone(*argument, "A=hush", code=3).err
    assert "list of processes" not in alone(*argument, "A", code=3, text="hush").err
