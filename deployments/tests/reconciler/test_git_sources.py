"""A Deployment follows a branch: what is asked for, what each look comes to, and what faults do. The repository is real
and served over HTTPS or SSH; the data plane is the scripted one."""

from datetime import timedelta
from uuid import uuid4

import asyncssh
import pytest
from django.utils import timezone

from console.kit.refusals import InvalidInput
from deployments import tasks
from deployments.actions import deploys as deploying
from deployments.actions import git_sources as actions
from deployments.actions.git_sources import GitSourceWish
from deployments.actions.refusals import GitChanged, GitConnected, GitNotConnected, NotNow
from deployments.domain.code_errors import CodeRefused
from deployments.domain.deploy_states import DeployStatus
from deployments.models import Deploy, DeploymentSecret, GitSource
from deployments.outgoing.git import ask, keys
from deployments.reconciler import git_sources as looking
from deployments.secrets import vault
from deployments.tests.git import fixtures as served_repositories
from deployments.tests.git.fixtures import DAG
from deployments.tests.reconciler.test_deploys import code, healthy, run  # noqa: F401 - fixtures
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

loopback, repository = served_repositories.loopback, served_repositories.repository
https, ssh = served_repositories.https, served_repositories.ssh


def wish(url, **changes) -> GitSourceWish:
    return GitSourceWish(**{"address": url, "subfolder": "dags", **changes})


def look(deployment, *, due=True) -> GitSource:
    """One look, as the sweep would have it done."""
    if due:
        GitSource.objects.filter(pk=deployment.pk).update(due_at=timezone.now())
    looking.check(deployment.pk)
    return GitSource.objects.select_related("deployment").get(pk=deployment.pk)


@pytest.fixture
def apart(monkeypatch):
    """Looks are made in this process, which is fifty times as fast; `test_reading` has the child process."""
    from deployments.tests.outgoing.test_git import in_this_process

    monkeypatch.setattr(ask, "read", in_this_process)


@pytest.fixture
def followed(healthy, https, alice, code, apart):  # noqa: F811
    """Analytics follows main, by itself every five minutes."""
    actions.connect(deployment=healthy, by=alice, wish=wish(https.url("dags.git")))
    return healthy


def test_a_commit_becomes_a_deploy_with_its_facts(followed, repository, code, https):  # noqa: F811
    source = look(followed)
    assert (source.problem, source.head, source.handled) == ("", repository.first, repository.first)
    deploy = Deploy.objects.get()
    assert (deploy.source, deploy.actor, deploy.by, deploy.description) == (
        "git",
        "Airdeck",
        None,
        "The first DAG",
    )
    assert deploy.git == {
        "remote": https.url("dags.git"),
        "branch": "main",
        "subfolder": "dags",
        "sha": repository.first,
        "author": "Ada <ada@example.org>",
        "subject": "The first DAG",
        "link": f"https://127.0.0.1:{https.port}/dags/commit/{repository.first}",
        "notes": [],
    }
    run(followed)
    assert code.versions[code.active()].files[1].path == "one.py"
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED
    event = AuditEvent.objects.get(verb="deployed code to")
    assert (event.actor_label, event.new["commit"]) == ("Airdeck", repository.first)


def test_a_look_at_the_same_commit_deploys_nothing_and_comes_again_after_its_minutes(followed, https):
    look(followed)
    https.asked.clear()
    source = look(followed)
    assert Deploy.objects.count() == 1
    assert not any(path.endswith("git-upload-pack") for path in https.asked)
    assert timedelta(minutes=4) < source.due_at - timezone.now() <= timedelta(minutes=5)
    assert not looking.check(followed.pk)  # not due
    assert source.lease_until is None


def test_a_newer_commit_is_deployed_and_a_change_elsewhere_is_nothing_to_do(followed, repository):
    look(followed)
    repository.commit({"README.md": b"new", "dags/one.py": DAG, "dags/lib/help.py": b"X = 1\n"})
    source = look(followed)
    assert Deploy.objects.count() == 1
    assert (source.problem, source.is_newer, source.handled_note) == ("", False, "")
    newest = repository.commit({"dags/two.py": DAG})
    look(followed)
    assert Deploy.objects.get(number=2).git["sha"] == newest


def test_what_was_rolled_back_is_not_deployed_by_the_next_look(followed, repository, alice, code):  # noqa: F811
    look(followed)
    run(followed)
    repository.commit({"dags/bad_idea.py": DAG})
    look(followed)
    run(followed)
    first = Deploy.objects.get(number=1)
    back = deploying.roll_back(
        deployment=followed, by=alice, to=first, idempotency_key=uuid4(), description=""
    )
    run(followed)
    look(followed)
    assert Deploy.objects.count() == 3
    assert back.git["sha"] == repository.first  # an artefact, and what it was
    newest = repository.commit({"dags/better.py": DAG})
    look(followed)
    assert Deploy.objects.get(number=4).git["sha"] == newest
    repository.move("main", repository.first)  # rewritten: it stands at the older commit again
    look(followed)
    rewritten = Deploy.objects.get(number=5)
    assert (rewritten.git["sha"], rewritten.git["rewritten"]) == (repository.first, newest)
    assert rewritten.git["notes"][0].startswith(
        "The history of main was rewritten: this commit does not descend"
    )
    assert "rewritten" not in Deploy.objects.get(number=4).git


def test_on_a_click_alone(followed, repository, bob):
    source = GitSource.objects.get()
    actions.change(
        deployment=followed, by=bob, wish=wish(source.address, automatic=False), seen=source.revision
    )
    source = look(followed)
    assert source.is_newer
    assert not Deploy.objects.exists()
    actions.deploy_newest(deployment=followed, by=bob)
    source = look(followed, due=False)
    deploy = Deploy.objects.get()
    assert (deploy.by, deploy.actor, source.asked_at, source.is_newer) == (bob, "Bob", None, False)
    actions.deploy_newest(deployment=followed, by=bob)
    source = look(followed, due=False)
    assert "deploy 1 already" in source.handled_note
    assert source.same_code


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"branch": "develop"}, "has no branch develop"),
        ({"address": "https://127.0.0.1:1/a"}, "No connection"),
    ],
)
def test_what_passes_is_tried_again_ever_later_and_the_code_stays(followed, bob, change, why, code):  # noqa: F811
    look(followed)
    run(followed)
    active = code.active()
    source = GitSource.objects.get()
    values = {"address": source.address, **change}
    values |= {"every_minutes": 1440}
    actions.change(
        deployment=followed, by=bob, wish=wish(values.pop("address"), **values), seen=source.revision
    )
    waits = []
    for _ in range(5):
        source = look(followed)
        waits.append((source.due_at - timezone.now()).total_seconds())
    assert why in source.problem
    assert source.failures == 5
    assert waits[0] == pytest.approx(60, abs=15)
    assert 700 < waits[4] < 1200
    assert run(followed).code_version == active == code.active()


def test_what_a_commit_cannot_be_is_said_until_there_is_another(followed, repository):
    repository.commit({"dags/a.py": b"", "dags/lib": (0o160000, b"1" * 40)})
    for _ in range(2):
        source = look(followed)
        assert "lib is a submodule" in source.handled_note
        assert (source.problem, source.failures, source.is_newer) == ("", 0, False)
    repository.commit({"dags/a.py": DAG})
    source = look(followed)
    assert source.handled_note == ""
    assert Deploy.objects.count() == 1


@pytest.mark.thorough
def test_the_host_key_is_shown_pinned_and_its_change_stops_everything(healthy, ssh, bob, code, repository):  # noqa: F811
    source = actions.connect(deployment=healthy, by=bob, wish=wish(ssh.url("dags.git")))
    assert source.public_key.endswith(f" airdeck {healthy.release_name}")
    ssh.accepted.append(source.public_key)
    source = look(healthy)
    shown = keys.fingerprint(source.offered_host_key)
    assert shown == ssh.host_key.get_fingerprint()
    assert (source.host_key, source.due_at, Deploy.objects.count()) == ("", None, 0)
    with pytest.raises(GitChanged):
        actions.confirm_host_key(deployment=healthy, by=bob, fingerprint="SHA256:other")
    for _ in range(2):
        actions.confirm_host_key(deployment=healthy, by=bob, fingerprint=shown)
    source = look(healthy, due=False)
    assert (source.problem, Deploy.objects.get().git["sha"]) == ("", repository.first)
    ssh.restart(asyncssh.generate_private_key("ssh-ed25519"))
    source = look(healthy)
    assert "changed, so nothing was sent" in source.problem
    assert source.due_at is None
    assert keys.fingerprint(source.host_key) == shown
    events = AuditEvent.objects.filter(verb="confirmed the Git host key of")
    assert [event.new for event in events] == [{"host_key": shown}]


def test_a_token_is_sealed_and_sent_for_no_other_repository(healthy, https, bob, code, apart):  # noqa: F811
    https.token = "canary-token"
    actions.connect(deployment=healthy, by=bob, wish=wish(https.url("dags.git"), token="canary-token"))
    assert look(healthy).problem == ""
    assert b"canary" not in bytes(DeploymentSecret.objects.get(name=vault.GIT_TOKEN).sealed)
    assert "canary" not in str(list(AuditEvent.objects.values()))
    revision = GitSource.objects.get().revision
    for elsewhere in ("https://evil.example/a", https.url("other.git"), https.url("dags.git/more")):
        with pytest.raises(InvalidInput) as caught:
            actions.change(deployment=healthy, by=bob, wish=wish(elsewhere), seen=revision)
        assert "Enter the token again" in caught.value.problems["token"]
        assert https.url("dags.git") in caught.value.problems["token"]
    actions.change(deployment=healthy, by=bob, wish=wish(https.url("dags/")), seen=revision)
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == "canary-token"
    actions.change(
        deployment=healthy, by=bob, wish=wish("https://evil.example/a", token=""), seen=revision + 1
    )
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == ""
    assert not GitSource.objects.get().has_token


def test_every_rule_is_said_at_once_beside_its_field(healthy, bob):  # noqa: F811
    with pytest.raises(InvalidInput) as caught:
        actions.connect(
            deployment=healthy,
            by=bob,
            wish=GitSourceWish(
                address="https://10.0.0.1/a", branch="a..b", subfolder="../x", every_minutes=0
            ),
        )
    assert caught.value.problems.keys() == {"address", "branch", "subfolder", "every_minutes"}
    assert "GIT_ADDRESSES" in caught.value.problems["address"]
    with pytest.raises(InvalidInput) as caught:
        actions.connect(deployment=healthy, by=bob, wish=wish("git@github.com:a/b", token="x"))
    assert "creates a key" in caught.value.problems["token"]


def test_one_source_and_nothing_on_what_is_not_connected(followed, deployment, bob, https):
    with pytest.raises(GitConnected):
        actions.connect(deployment=followed, by=bob, wish=wish(https.url("dags.git")))
    actions.disconnect(deployment=followed, by=bob)
    actions.disconnect(deployment=followed, by=bob)
    assert not DeploymentSecret.objects.filter(name__startswith="git_").exists()
    for action in (actions.check_now, actions.deploy_newest, actions.new_hook_secret):
        with pytest.raises(GitNotConnected):
            action(deployment=followed, by=bob)
    events = AuditEvent.objects.filter(verb__contains="Git").order_by("pk")
    assert [event.verb for event in events] == [
        "connected a Git repository to",
        "disconnected the Git repository of",
    ]


def test_a_deployment_that_is_being_created_takes_no_source(deployment, bob):
    with pytest.raises(NotNow):
        actions.connect(deployment=deployment, by=bob, wish=wish("https://github.com/a/b"))


def test_the_first_commit_keeps_the_folder_as_deploy_1(followed, code):  # noqa: F811
    code.loose = {"old.py": DAG}
    look(followed)
    assert [deploy.source for deploy in Deploy.objects.order_by("number")] == ["folder", "git"]


def test_a_commit_that_asks_for_packages_where_they_come_with_the_image_says_so_until_there_is_another(
    followed, repository, driver
):
    driver.takes_packages = False
    repository.commit({"dags/a.py": DAG, "dags/requirements.txt": b"pandas\n"})
    for _ in range(2):
        source = look(followed)
        assert "packages come with the image" in source.handled_note
        assert (source.problem, source.failures, source.is_newer) == ("", 0, False)
    assert not Deploy.objects.exists()


def test_a_folder_that_cannot_become_deploy_1_is_said_at_each_look(followed, code, monkeypatch):  # noqa: F811
    def too_much():
        raise CodeRefused("The DAGs folder holds more than a version may.")

    monkeypatch.setattr(code, "folder", too_much)
    source = look(followed)
    assert (source.problem, source.failures) == ("The DAGs folder holds more than a version may.", 1)


def test_what_does_not_compile_fails_as_a_deploy_and_is_not_tried_again(followed, repository, bob):
    sha = repository.commit({"dags/bad.py": b"def f(:\n"})
    look(followed)
    run(followed)
    assert Deploy.objects.get().status == DeployStatus.FAILED
    look(followed)
    assert Deploy.objects.count() == 1
    anyway = deploying.deploy_anyway(deployment=followed, by=bob, failed=Deploy.objects.get())
    assert anyway.git["sha"] == sha


def test_the_sweep_hints_sources_that_are_due(followed, monkeypatch):
    sent = []
    monkeypatch.setattr("deployments.enqueue.check_git", sent.append)
    tasks.sweep()
    assert sent == [followed.pk]
