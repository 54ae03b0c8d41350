"""Answers that are lost: what the command line repeats by itself ends as if nothing was lost, and what it says of the
rest is true."""

import pytest

from deployments.models import AlertChannel, Deployment, VariableRevision
from tests.played_servers import Cutter, Server, reply
from tests.running import Airdeck
from workspaces import token_values
from workspaces.permissions import Role

NAME = "calm-orbit-0012"
GONE = {"detail": "There is nothing at this address that you can see.", "code": "not_found"}
ONCE = "It may be done. Run the command again, nothing is done twice."
LOOK = "Look before you run the command again: airdeck"
TOKEN = {"id": "t1", "name": "CI", "beginning": "adk_w_1", "role": "editor", "expires_at": None}
READ = {
    "/api/v1/me/tokens": {"items": [TOKEN]},
    f"/api/v1/deployments/{NAME}": {"release_name": NAME, "name": "Analytics", "url": "http://x/d"},
    "/api/v1/workspaces": {"items": [{"id": "w1", "name": "Acme"}], "next": None},
    "/api/v1/workspaces/w1/alert-channels": {"items": [{"id": "c1", "name": "Pager", "rules": []}]},
}


def run(folder, command, lose=lambda handler, asked: True, *, code):
    """This command against a console that answers READ and, of what changes something, what `lose` does not answer
    itself; True loses the answer. What was said, and the methods and paths that were asked for a change."""
    asked: list[str] = []

    def answer(handler):
        path = handler.path.partition("?")[0]
        if handler.command == "GET":
            reply(handler, 200 if path in READ else 404, READ.get(path, GONE))
            return
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked.append(f"{handler.command} {path.removeprefix('/api/v1')}")
        handler.close_connection = True
        lose(handler, asked)

    with Server(answer) as here:
        at = Airdeck(folder, AIRDECK_URL=here.url, AIRDECK_TOKEN=token_values.mint("w"))
        return at(*command, code=code), asked


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            ("token", "create", "-n", "CI"),
            f"If it is there, revoke it, because its value is lost. {LOOK} token list",
        ),
        (("token", "rotate", "CI", "--yes"), "Rotate it again, by its id: t1"),
        (("alert", "channel", "test", "Pager"), f"{LOOK} alert deliveries --channel c1"),
        (("alert", "resend", "d1"), f"{LOOK} alert deliveries"),
        (("airflow-token", NAME), "Run the command again: it prints another token."),
    ],
)
def test_what_would_be_done_twice_is_asked_once_and_says_how_to_look(tmp_path, command, says):
    done, asked = run(tmp_path, command, code=6)
    assert len(asked) == 1, asked
    assert "It may be done. " in done.err
    assert says in done.err
    assert "nothing is done twice" not in done.err


def test_an_image_whose_tag_may_be_another_by_then_says_how_to_look(tmp_path):
    command = ("deploy", "--image", "registry.example.org/a:1", "-d", NAME)
    done, asked = run(tmp_path, command, code=6)
    assert len(asked) == 4  # with the same key: one deploy
    assert done.err.endswith(f"It may be done. {LOOK} deploys list {NAME}\n")


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_lost_the_answer_is_no_console_that_did_nothing(tmp_path, status):
    def lose(handler, _asked):
        reply(handler, status, {})

    done, asked = run(tmp_path, ("token", "create", "-n", "CI"), lose, code=6)
    assert len(asked) == 1
    assert done.err.endswith(f"{LOOK} token list\n")
    done, asked = run(tmp_path, ("deployment", "hibernate", NAME), lose, code=6)
    assert len(asked) == 4
    assert done.err.endswith(f"{ONCE}\n")


def test_what_is_gone_after_a_lost_answer_was_deleted_and_what_never_was_there_was_not(tmp_path):
    def once(handler, asked):
        if len(asked) > 1:
            reply(handler, 404, GONE)

    for command, says in (
        (("token", "revoke", "CI", "--yes"), "CI is revoked."),
        (("alert", "channel", "delete", "Pager", "--yes"), "Pager is deleted."),
        (("deployment", "delete", NAME, "--yes", "--wait"), "Deployment Analytics is deleted."),
    ):
        done, asked = run(tmp_path, command, once, code=0)
        assert len(asked) == 2, asked
        assert says in done.out
        done, asked = run(tmp_path, command, lambda handler, _: reply(handler, 404, GONE), code=2)
        assert len(asked) == 1
        assert done.err == f"{GONE['detail']}\n"


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_variables_and_queues_are_changed_although_an_answer_is_lost_and_followed(
    airdeck, deployment, reconciled
):
    airdeck("wait", f"{deployment.release_name}.create.1")
    at = ("-d", deployment.release_name, "--wait", "-o", "json")
    variable, queue = ("deployment", "variable"), ("deployment", "worker-queue")
    cutter = Cutter(airdeck.environment["AIRDECK_URL"])
    with cutter.server:
        for cut, command in (
            ("PUT", (*variable, "set", "A=1", *at)),
            ("PUT", (*variable, "set", "B=2", "--secret", *at)),
            ("PUT", (*variable, "delete", "A", "--yes", *at)),
            ("variable-import", (*variable, "set", "--load", "--env", "-", *at)),
            ("DELETE", (*queue, "delete", "-n", "heavy", "--yes", *at)),
        ):
            if cut == "DELETE":
                airdeck(*queue, "create", "-n", "heavy", *at)
            cutter.cut, cutter.times = cut, 1
            text = "C=3\n" if "--load" in command else None
            done = airdeck(*command, environment={"AIRDECK_URL": cutter.server.url}, text=text)
            assert cutter.times == 0, command
            row = Deployment.objects.get()
            assert row.observed_generation == row.generation, command
            assert done.json.get("changed", True) is True, command
    assert sorted(row.variables.values_list("key", flat=True)) == ["B", "C"]
    assert not row.queues.filter(name="heavy").exists()
    assert VariableRevision.objects.count() == 4
    missing = airdeck(*variable, "delete", "A", "--yes", *at, code=2).err
    assert "has no variable A. Nothing was deleted." in missing


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_change_that_was_made_before_is_waited_for(airdeck, deployment, reconciled):
    airdeck("wait", f"{deployment.release_name}.create.1")
    reconciled.paused.set()
    for command in (
        ("variable", "set", "A=1", "-d", deployment.release_name),
        ("update", deployment.release_name, "-s", "7"),
        ("hibernate", deployment.release_name),
    ):
        airdeck("deployment", *command)
        told = airdeck("deployment", *command, "--wait", "--wait-time", "1", code=5).err
        assert "It is not done after 1 s." in told, command
    reconciled.paused.clear()
    airdeck("deployment", *command, "--wait")
    row = Deployment.objects.get()
    assert row.observed_generation == row.generation


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_channel_is_deleted_although_the_answer_is_lost(airdeck, token, alice):
    cutter = Cutter(airdeck.environment["AIRDECK_URL"])
    admin = {"AIRDECK_TOKEN": token(alice, Role.ADMIN)}
    airdeck("alert", "channel", "create", "Admins", "--kind", "admins", environment=admin)
    cutter.cut, cutter.times = "DELETE", 1
    with cutter.server:
        broken = {**admin, "AIRDECK_URL": cutter.server.url}
        done = airdeck("alert", "channel", "delete", "Admins", "--yes", environment=broken)
    assert done.out == "Admins is deleted. Nothing is sent there any more.\n"
    assert (cutter.times, AlertChannel.objects.count()) == (0, 0)


@pytest.mark.parametrize("words", [("A", "B"), ("A", "C=1", "B", "--secret")])
def test_several_keys_do_not_share_what_comes_on_standard_input(tmp_path, words):
    at = Airdeck(tmp_path, AIRDECK_URL="http://127.0.0.1:9", AIRDECK_TOKEN=token_values.mint("w"))
    told = at("deployment", "variable", "set", *words, "-d", NAME, code=2, text="x\n").err
    assert told.endswith(
        "Standard input holds one value, and A, B want one each. Give one KEY in a command, or lines KEY=VALUE "
        "with: --load --env -\n"
    )
