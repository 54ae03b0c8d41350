"""What `airdeck git deploy --wait` waits for: also a deploy that was under way when it was asked for."""

import pytest
from airdeck_cli import deploy_progress, git_looks
from airdeck_cli.errors import FAILED, CliError

FOUND = {"release_name": "calm-orbit-0012"}
LOOKED = {
    "url": "https://airdeck.example.org/deployments/calm-orbit-0012/git/",
    "looking": False,
    "state": "up_to_date",
    "note": "This is the code of deploy 8 already.",
    "deploy": None,
    "offered_host_key": "",
    "problem": "",
}


class Console:
    """Answers with one deploy, the newest, and its operation."""

    def __init__(self, status: str, outcome: str) -> None:
        self.answers = {
            "/deployments/calm-orbit-0012/deploys": {"items": [{"number": 8}]},
            "/deployments/calm-orbit-0012/deploys/8": {"number": 8, "status": status},
            "/operations/calm-orbit-0012.deploy.8": {"id": "calm-orbit-0012.deploy.8", "status": outcome},
        }

    def get(self, path: str, **_: object) -> object:
        return self.answers[path]


@pytest.mark.parametrize("status", ["received", "checking", "building", "activating"])
def test_a_deploy_of_the_same_code_that_is_under_way_is_waited_for(status, monkeypatch, capsys) -> None:
    console = Console(status, "failed")

    def fails(_: object, operation: dict[str, object], __: float) -> None:
        raise CliError(f"{operation['id']} failed.", FAILED)

    monkeypatch.setattr(deploy_progress, "follow", fails)
    monkeypatch.setattr("airdeck_cli.deploy_progress.file_problems", lambda *_: {})
    with pytest.raises(CliError, match=r"deploy\.8 failed"):
        report(console)


@pytest.mark.parametrize("status", ["active", "superseded", "failed"])
def test_one_that_was_over_before_is_nothing_to_wait_for(status, monkeypatch, capsys) -> None:
    monkeypatch.setattr(deploy_progress, "follow", lambda *_: pytest.fail("it is over"))
    report(Console(status, "succeeded"))
    assert capsys.readouterr().out == "shown\n"


def report(console: Console) -> None:
    git_looks.report(
        console, FOUND, LOOKED, since=8, seconds=5, output="table", table=lambda *_: print("shown")
    )
