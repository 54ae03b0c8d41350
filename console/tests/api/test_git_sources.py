"""The Git source of a Deployment for programs: all that people do on its page."""

import pytest
from django.utils import timezone

from deployments.actions import git_sources as actions
from deployments.actions.git_sources import GitSourceWish
from deployments.actions.refusals import NothingToDeploy
from deployments.models import Deployment, GitSource
from deployments.outgoing.git import keys
from deployments.secrets import vault
from deployments.tests.reconciler.test_deploys import code, deployed, healthy  # noqa: F401 - fixtures
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db

ADDRESS = "https://github.com/acme/dags.git"
TOKEN = "ghp_canary4711"
SSH = "git@github.com:acme/dags.git"


@pytest.fixture
def path(healthy) -> str:  # noqa: F811
    return f"/deployments/{healthy.release_name}/git-source"


@pytest.fixture
def editor(program, bob):
    return program(bob, Role.EDITOR, personal=True)


def errors_of(answer) -> dict[str, str]:
    return {each["path"]: each["sentence"] for each in answer.json()["errors"]}


def token_of(deployment) -> str:
    return vault.open_git(deployment)[vault.GIT_TOKEN]


def test_a_repository_is_connected_read_and_disconnected(
    editor, program, vera, deployment, path, enqueued_git
):
    missing = editor.ask("get", path, status=404)
    assert missing.json()["code"] == "git_not_connected"
    made = editor.ask("put", path, {"address": ADDRESS, "subfolder": "/dags/", "token": TOKEN}, status=201)
    document = made.json()
    chosen = ("address", "branch", "subfolder", "every_minutes", "automatic", "token_user", "has_token")
    assert [document[each] for each in chosen] == [ADDRESS, "main", "dags", 5, True, "git", True]
    assert (document["state"], document["title"]) == ("looking", "Looking")
    assert (document["deploy"], document["updated_by"], document["public_key"]) == (None, "Bob", "")
    assert document["webhook_url"].endswith(f"/hooks/git/{deployment.release_name}/")
    assert TOKEN not in made.content.decode()
    assert token_of(deployment) == TOKEN
    member = program(vera, Role.MEMBER, personal=True)
    read = member.ask("get", path, status=200)
    assert read.json() == document
    assert read["ETag"] == made["ETag"]
    member.ask("put", path, {"address": ADDRESS}, status=403)

    editor.ask("delete", path, status=204)
    editor.ask("delete", path, status=204)  # twice is once
    assert not GitSource.objects.exists()
    assert token_of(deployment) == ""
    verbs = list(AuditEvent.objects.filter(verb__contains="Git repository").values_list("verb", flat=True))
    assert sorted(verbs) == ["connected a Git repository to", "disconnected the Git repository of"]


def test_every_field_that_is_wrong_is_named_at_once_with_the_sentence_of_the_page(editor, path):
    answer = editor.ask(
        "put",
        path,
        {
            "address": 7,
            "branch": "",
            "every_minutes": 2000,
            "automatic": "yes",
            "token": TOKEN,
            "colour": "red",
        },
        status=422,
    )
    assert errors_of(answer) == {
        "address": "Enter text.",
        "branch": "Enter a branch, for instance main.",
        "every_minutes": "Enter 1 to 1,440 minutes, or nothing for never.",
        "automatic": "Enter true or false.",
        "colour": "There is no field colour here.",
    }
    answer = editor.ask("put", path, {"address": "http://x/y", "branch": "a b", "token": TOKEN}, status=422)
    assert set(errors_of(answer)) == {"address", "branch"}
    assert TOKEN not in answer.content.decode()
    answer = editor.ask("put", path, {"address": f"https://me:{TOKEN}@github.com/a/b"}, status=422)
    assert TOKEN not in answer.content.decode()
    private = editor.ask("put", path, {"address": "https://192.168.0.1/a"}, status=422)
    assert "is not a public address" in errors_of(private)["address"]
    with_key = editor.ask("put", path, {"address": SSH, "token": TOKEN}, status=422)
    assert "A token is for https:// addresses" in errors_of(with_key)["token"]
    assert not GitSource.objects.exists()


def test_put_is_the_whole_patch_is_what_is_sent_and_both_keep_the_token(editor, deployment, path):
    assert editor.ask("patch", path, {"branch": "next"}, status=404).json()["code"] == "git_not_connected"
    sent = {"address": ADDRESS, "branch": "next", "every_minutes": None, "automatic": False, "token": TOKEN}
    editor.ask("put", path, sent, status=201)
    changed = editor.ask("patch", path, {"subfolder": "dags"}, status=200).json()
    kept = ("branch", "subfolder", "every_minutes", "automatic", "has_token")
    assert [changed[each] for each in kept] == ["next", "dags", None, False, True]
    whole = editor.ask("put", path, {"address": ADDRESS}, status=200).json()
    assert [whole[each] for each in kept] == ["main", "", 5, True, True]
    assert token_of(deployment) == TOKEN

    editor.ask("patch", path, {"token": "another"}, status=200)
    assert token_of(deployment) == "another"
    assert AuditEvent.objects.order_by("pk").last().new == {"token": "changed"}
    elsewhere = editor.ask("patch", path, {"address": "https://gitlab.com/acme/dags"}, status=422)
    assert "Enter the token again" in errors_of(elsewhere)["token"]
    assert editor.ask("patch", path, {"token": None}, status=200).json()["has_token"]
    assert not editor.ask("patch", path, {"token": ""}, status=200).json()["has_token"]
    assert token_of(deployment) == ""


def test_the_same_wish_again_writes_nothing_and_looks_again(editor, path):
    sent = {"address": ADDRESS, "token": TOKEN}
    first = editor.ask("put", path, sent, status=201)
    GitSource.objects.update(due_at=None)
    for method in ("put", "patch"):
        again = editor.ask(method, path, sent, status=200)
        assert again["ETag"] == first["ETag"]
    assert AuditEvent.objects.filter(object_type="deployment", verb__contains="Git").count() == 1
    assert GitSource.objects.get().due_at is not None  # what refused us may have changed


def test_what_another_person_changed_is_not_overwritten(editor, deployment, path, alice):
    tag = editor.ask("put", path, {"address": ADDRESS}, status=201)["ETag"]
    assert editor.ask("patch", path, {"branch": "next"}, if_match=tag, status=200)["ETag"] != tag
    for method in ("put", "patch"):
        stale = editor.ask(method, path, {"address": ADDRESS, "branch": "x"}, if_match=tag, status=412)
        assert stale.json()["code"] == "stale"
    editor.ask("delete", path, status=204)
    for given in (tag, "*"):
        editor.ask("put", path, {"address": ADDRESS}, if_match=given, status=412)
    editor.ask("put", path, {"address": ADDRESS}, status=201)
    editor.ask("put", path, {"address": ADDRESS}, if_match=tag, status=412)  # of the one before it
    assert GitSource.objects.get().branch == "main"


def test_a_change_between_reading_and_writing_is_stale_with_an_etag_and_a_conflict_without(
    editor,
    deployment,
    path,
    alice,
    monkeypatch,
):
    tag = editor.ask("put", path, {"address": ADDRESS}, status=201)["ETag"]
    change = actions.change

    def late(**wish):
        GitSource.objects.update(revision=wish["seen"] + 1)
        return change(**wish)

    monkeypatch.setattr(actions, "change", late)
    assert editor.ask("patch", path, {"branch": "x"}, if_match=tag, status=412).json()["code"] == "stale"
    assert editor.ask("patch", path, {"branch": "x"}, status=409).json()["code"] == "changed"


def test_a_look_and_a_deploy_are_asked_for(
    editor,
    deployment,
    path,
    enqueued_git,
    django_capture_on_commit_callbacks,
):
    for what in ("check", "deploy"):
        assert editor.ask("post", f"{path}/{what}", status=404).json()["code"] == "git_not_connected"
    editor.ask("put", path, {"address": ADDRESS, "automatic": False}, status=201)
    GitSource.objects.update(due_at=None, head="ab" * 20, checked_at=timezone.now())
    found = editor.get(path)
    assert (found["state"], found["head"], found["asked_at"]) == ("newer_commit", "ab" * 20, None)
    assert found["head_url"] == f"https://github.com/acme/dags/commit/{'ab' * 20}"
    with django_capture_on_commit_callbacks(execute=True):
        looking = editor.ask("post", f"{path}/check", status=202).json()
    assert (looking["state"], looking["asked_at"]) == ("looking", None)
    assert enqueued_git == [deployment.pk]
    with django_capture_on_commit_callbacks(execute=True):
        asked = editor.ask("post", f"{path}/deploy", {}, status=202).json()
    assert asked["asked_at"]
    assert asked["asked_by"] == "Bob"
    assert enqueued_git == [deployment.pk, deployment.pk]


def test_what_became_of_the_newest_commit_is_told(editor, deployment, path, bob, code):  # noqa: F811
    deployed(deployment, bob)
    editor.ask("put", path, {"address": ADDRESS}, status=201)
    sha, before = "cd" * 20, "ab" * 20
    deployment.deploys.update(git={"sha": sha, "rewritten": before})
    GitSource.objects.update(due_at=None)
    assert editor.get(path)["state"] == "not_looked_at"
    GitSource.objects.update(head=sha, handled=sha)
    found = editor.get(path)
    assert (found["state"], found["deploy"], found["rewritten"], found["note"]) == (
        "up_to_date",
        1,
        before,
        "",
    )
    GitSource.objects.update(handled_note="lib is a submodule.")
    found = editor.get(path)
    assert (found["state"], found["note"]) == ("not_deployed", "lib is a submodule.")
    same = str(NothingToDeploy(1))
    GitSource.objects.update(handled_note=same, same_code=True)
    found = editor.get(path)
    assert (found["state"], found["note"]) == ("up_to_date", same)  # what was asked for is so
    GitSource.objects.update(problem="The host is gone.", failures=3)
    found = editor.get(path)
    assert (found["state"], found["problem"], found["failures"]) == ("unreadable", "The host is gone.", 3)


def test_a_host_key_is_trusted_by_its_fingerprint(editor, path):
    document = editor.ask("put", path, {"address": SSH}, status=201).json()
    assert document["public_key"].startswith("ssh-ed25519 ")
    one, other = (" ".join(keys.make("")[1].split()[:2]) for _ in range(2))
    known = keys.fingerprint(one)
    for wrong in ({}, {"fingerprint": 7}, {"fingerprint": ""}):
        assert "fingerprint" in errors_of(editor.ask("post", f"{path}/host-key", wrong, status=422))
    early = editor.ask("post", f"{path}/host-key", {"fingerprint": known}, status=409)
    assert early.json()["code"] == "changed"
    GitSource.objects.update(offered_host_key=one)
    found = editor.get(path)
    assert (found["state"], found["offered_host_key"], found["host_key"]) == ("confirm_host_key", known, "")
    fingerprint = {"fingerprint": keys.fingerprint(other)}
    assert editor.ask("post", f"{path}/host-key", fingerprint, status=409).json()["code"] == "changed"
    for _ in range(2):  # twice is once
        trusted = editor.ask("post", f"{path}/host-key", {"fingerprint": f" {known}\n"}, status=200).json()
        assert (trusted["host_key"], trusted["offered_host_key"]) == (known, "")
    GitSource.objects.update(offered_host_key=other)
    assert editor.get(path)["state"] == "host_key_changed"


def test_the_secret_of_the_webhook_is_answered_once(editor, deployment, path):
    editor.ask("post", f"{path}/webhook-secret", status=404)
    editor.ask("put", path, {"address": ADDRESS}, status=201)
    assert not editor.get(path)["has_webhook_secret"]
    made = [editor.ask("post", f"{path}/webhook-secret", status=201).json() for _ in range(2)]
    assert made[0]["secret"] != made[1]["secret"]
    assert vault.open_git(deployment)[vault.GIT_HOOK] == made[1]["secret"]
    found = editor.get(path)
    assert found["has_webhook_secret"]
    assert found["webhook_url"] == made[1]["webhook_url"]
    assert made[1]["secret"] not in str(found)


def test_a_key_makes_one_secret_of_the_webhook_and_that_is_answered_again_for_an_hour(
    editor, program, alice, path
):
    editor.ask("put", path, {"address": ADDRESS}, status=201)

    def secret(by, key: str) -> str:
        return by.ask("post", f"{path}/webhook-secret", status=201, Idempotency_Key=key).json()["secret"]

    first = secret(editor, "k1")
    assert secret(editor, "k1") == first
    second = secret(program(alice), "k1")  # the key counts for a token
    assert second != first
    third = secret(editor, "k1")  # another one was made since
    assert third not in {first, second}
    GitSource.objects.update(hook_key_until=timezone.now())
    assert secret(editor, "k1") != third


def test_nothing_is_connected_before_it_was_healthy_and_a_read_costs_few_queries(
    editor,
    deployment,
    path,
    bob,
    django_assert_max_num_queries,
):
    Deployment.objects.update(first_healthy_at=None)
    refused = editor.ask("put", path, {"address": ADDRESS}, status=409).json()
    assert refused["code"] == "not_now"
    assert "is being created" in refused["detail"]
    Deployment.objects.update(first_healthy_at=timezone.now())
    actions.connect(deployment=deployment, by=bob, wish=GitSourceWish(address=ADDRESS))
    GitSource.objects.update(head="ab" * 20, handled="ab" * 20)
    with django_assert_max_num_queries(5):
        editor.get(path)
