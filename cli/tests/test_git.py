"""`airdeck git`: a Deployment follows a branch of a repository that is served for real, and a token comes in by every
way but an argument."""

import re
import threading

import pytest
from django.db import connections
from django.utils import timezone

from deployments.models import Deploy, GitSource
from deployments.outgoing.git import ask
from deployments.reconciler import git_sources as looking
from deployments.secrets import vault
from deployments.tests.git import fixtures as served_repositories
from deployments.tests.git.fixtures import DAG, FILES
from deployments.tests.git.repositories import SUBMODULE
from deployments.tests.outgoing.test_git import in_this_process
from tests.running import Terminal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

loopback, repository = served_repositories.loopback, served_repositories.repository
https, ssh = served_repositories.https, served_repositories.ssh
TOKEN = "hush-hush-4711"


@pytest.fixture
def looks(reconciled):
    """A worker that also looks at repositories."""
    failures, ended = [], threading.Event()

    def work() -> None:
        while not ended.wait(0.1):
            try:
                for pk in looking.due_keys():
                    looking.check(pk)
            except Exception as error:
                failures.append(error)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ended.set()
    thread.join(20)
    assert failures == []


@pytest.fixture
def apart(monkeypatch):
    """Looks are made in this process, which is fifty times as fast; host keys get lost in it."""
    monkeypatch.setattr(ask, "read", in_this_process)


@pytest.fixture
def git(airdeck, deployment, settled):
    """`airdeck git …` about Analytics, with its options at the end."""

    def run(what: str, *words: str, **more):
        where = ("-d", "Analytics") if what in {"connect", "trust"} else ("Analytics",)
        return airdeck("git", what, *words, *where, **more)

    return run


@pytest.fixture
def settled(deployment, driver):
    """It was Healthy once."""
    from deployments.tests.reconciler.test_reconcile import settle

    return settle(deployment)


def token_of(deployment) -> str:
    return vault.open_git(deployment)[vault.GIT_TOKEN]


def test_a_branch_is_followed_from_a_pipeline(git, airdeck, apart, looks, https, repository):
    https.token = TOKEN
    assert "airdeck git connect ADDRESS" in git("show", code=2).err
    made = git("connect", https.url("dags.git"), "--folder", "dags", "--token-stdin", "-w", text=f"{TOKEN}\n")
    assert made.out.splitlines() == [
        f"Analytics follows main of {https.url('dags.git')}.",
        "Deploy 1 is active.",
    ]
    assert "✓ Activated" in made.err
    told = git("show").out
    assert f"follows main of {https.url('dags.git')}: Up to date" in told
    assert re.search(rf"Newest commit +{repository.first}", told)
    assert re.search(r"Last deployed +deploy 1", told)
    assert re.search(r"Credentials +a token", told)
    same = git("deploy", "-w").out
    assert "This is the code of deploy 1 already. There is nothing to do." in same

    git("connect", "--manual", "--every", "never")
    newest = repository.commit({**FILES, "dags/two.py": DAG})
    found = git("check", "-w", "-o", "json").json
    assert (found["state"], found["head"], found["operation"]) == ("newer_commit", newest, None)
    assert (found["every_minutes"], found["has_token"]) == (None, True)
    assert "Deploy 2 is active." in git("deploy", "--wait").out
    assert Deploy.objects.get(number=2).by.name == "Alice"

    repository.commit({"dags/one.py": DAG, "dags/lib": (SUBMODULE, b"a" * 40)})
    refused = git("deploy", "-w", code=1)
    assert "Not deployed" in refused.out
    assert "lib is a submodule" in refused.err
    repository.commit({"dags/bad.py": b"def f(:\n"})
    assert "bad.py:1: " in git("deploy", "-w", code=1).err  # as airdeck deploy says it
    failed = str(Deploy.objects.latest("number").number)
    assert "\nbad.py:1: " in airdeck("deploys", "show", failed, "-d", "Analytics").out
    https.token = "another"
    assert git("check", "-w", code=1).err.strip().endswith(GitSource.objects.get().problem)

    assert "Disconnect it with --yes." in git("disconnect", code=2).err
    assert "is disconnected from Analytics." in git("disconnect", "--yes").out
    assert git("check", code=2).err.startswith("Analytics is not connected to a Git repository.")


def test_a_server_is_trusted_by_the_fingerprint_that_it_shows(git, looks, ssh, airdeck):
    made = git("connect", ssh.url("dags.git"), "--folder", "dags", "-w")
    key = made.out.splitlines()[1]
    assert key == GitSource.objects.get().public_key
    shown = ssh.host_key.get_fingerprint()
    assert f"airdeck git trust {shown} -d " in made.err
    ssh.accepted.append(key)
    assert "The server shows a host key" in git("check", "-w", code=1).err
    assert "Nothing was trusted." in git("trust", "SHA256:other", code=4).err
    assert f"Compare {shown} with what your Git host publishes" in git("trust", code=2).err
    terminal = Terminal(airdeck, "git", "trust", "-d", "Analytics")
    terminal.read_until(re.escape(f"shows the host key {shown}"))
    terminal.type("n\n")
    assert terminal.end(1) == ""
    trusted = git("trust", shown, "-w").out
    assert f"{shown} is trusted." in trusted
    assert "Deploy 1 is active." in trusted
    assert "no host key that waits" in git("trust", "SHA256:other", code=4).err
    git("trust", shown)  # twice is once


def test_a_token_comes_from_a_file_standard_input_or_the_environment(git, settled, tmp_path):
    address = "https://github.com/acme/dags.git"
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    git("connect", address, "--token-file", "token")
    assert token_of(settled) == TOKEN
    git("connect", environment={"AIRDECK_GIT_TOKEN": "of-the-job"})
    assert token_of(settled) == "of-the-job"
    elsewhere = git("connect", "https://gitlab.com/acme/dags.git", code=2)
    assert "token: Enter the token again" in elsewhere.err
    assert (
        "this job was not given the secret"
        in git("connect", code=3, environment={"AIRDECK_GIT_TOKEN": ""}).err
    )
    assert "holds no token" in git("connect", "--token-stdin", code=2, text="\n").err
    assert "open nowhere: " in git("connect", "--token-file", "nowhere", code=2).err
    assert (
        "Use only one of --token-stdin, --token-file, --no-token."
        in git("connect", "--no-token", "--token-stdin", code=2, text="x").err
    )
    git("connect", "--no-token")
    assert token_of(settled) == ""
    assert "Say what to change" in git("connect", code=2).err
    wrong = git("connect", "--every", "2000", "--branch", "a b", code=2).err
    assert "every_minutes: Enter 1 to 1,440 minutes" in wrong
    assert "whole minutes" in git("connect", "--every", "often", code=2).err
    git("connect", "--branch", "next", "--every", "7")
    source = GitSource.objects.get()
    assert (source.address, source.branch, source.every_minutes) == (address, "next", 7)


def test_a_webhook_gets_a_secret_which_is_alone_on_standard_output(git, settled):
    git("connect", "https://github.com/acme/dags.git")
    before = git("webhook")
    assert before.out.endswith(f"/hooks/git/{settled.release_name}/\n")
    assert "It has no secret yet" in before.err
    first = git("webhook", "--new-secret").out
    assert vault.open_git(settled)[vault.GIT_HOOK] == first.strip()
    assert "Say --yes to replace it." in git("webhook", "--new-secret", code=2).err
    second = git("webhook", "--new-secret", "--yes", "-o", "json").json["secret"]
    assert vault.open_git(settled)[vault.GIT_HOOK] == second != first.strip()
    assert second not in git("webhook", "-o", "json").out + git("show", "-o", "yaml").out


def test_waiting_for_a_look_ends_and_says_that_the_work_goes_on(git, settled):
    made = git("connect", "https://github.com/acme/dags.git", "-w", "--wait-time", "1", code=5)
    assert "It was not looked at within 1 s. The work goes on." in made.err
    assert f"airdeck git show {settled.release_name}" in made.err
    GitSource.objects.update(due_at=timezone.now())
    assert "Looking" in git("show").out
