"""What `airdeck git deploy --wait` waits for: also a deploy that was under way when it was asked for."""

import pytest
from airdeck_cli import deploy_progress, git_looks
from airdeck_cli.errors import FAILED, NOT_ALLOWED, UNREACHABLE, CliError

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


def report(console: Console, looked: dict[str, object] = LOOKED) -> None:
    git_looks.report(
        console, FOUND, looked, since=8, seconds=5, output="table", table=lambda *_: print("shown")
    )


class Restarting(Console):
    """Does not answer for the first so many questions about the Git source."""

    def __init__(self, away: int, error: CliError) -> None:
        super().__init__("active", "done")
        self.away, self.error = away, error

    def get(self, path: str, **more: object) -> object:
        if not path.endswith("/git-source"):
            return super().get(path, **more)
        self.away -= 1
        if self.away >= 0:
            raise self.error
        return LOOKED


def test_a_look_outlives_a_console_that_restarts_meanwhile(monkeypatch, capsys) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    gone = CliError("It cannot be reached.", UNREACHABLE)
    report(
        Restarting(2, gone), {**LOOKED, "looking": True, "branch": "main", "address": "git@example.org:a/b"}
    )
    told = capsys.readouterr()
    assert told.out == "shown\n"
    assert told.err.count("It cannot be reached. Trying again.") == 2


def test_an_error_of_another_kind_ends_a_look_and_says_that_the_work_goes_on(monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(
        CliError, match=r"Revoked\. The work goes on\. .* airdeck git show calm-orbit"
    ) as ended:
        report(
            Restarting(1, CliError("Revoked.", NOT_ALLOWED)),
            {**LOOKED, "looking": True, "branch": "main", "address": "git@example.org:a/b"},
        )
    assert ended.value.exit_code == NOT_ALLOWED
