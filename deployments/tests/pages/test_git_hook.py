"""Push events: only a signature counts, and no answer tells whether a Deployment exists."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints, words_in
from deployments.actions import git_sources as actions
from deployments.actions.git_sources import GitSourceWish
from deployments.domain.git_hooks import signature
from deployments.models import GitSource
from deployments.tests.reconciler.test_deploys import healthy  # noqa: F401 - a fixture
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db
BODY = json.dumps({"ref": "refs/heads/main"}).encode()


def url(name) -> str:
    return reverse("deployments:git_hook", args=[name])


def send(name, *, body=BODY, **headers):
    client = Client(enforce_csrf_checks=True)
    return client.post(url(name), body, content_type="application/json", headers=headers)


@pytest.fixture
def resting(healthy, bob):  # noqa: F811
    """A source that is not due, and its webhook's secret."""
    actions.connect(deployment=healthy, by=bob, wish=GitSourceWish(address="https://github.com/acme/dags"))
    healthy.hook_secret = actions.new_hook_secret(deployment=healthy, by=bob)
    GitSource.objects.update(due_at=timezone.now() + timedelta(hours=1))
    return healthy


def is_due() -> bool:
    return GitSource.objects.get().due_at <= timezone.now()


def test_a_signed_event_makes_the_source_due(resting, enqueued_git, django_capture_on_commit_callbacks):
    enqueued_git.clear()
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(
            resting.release_name, **{"X-Hub-Signature-256": f"sha256={signature(BODY, resting.hook_secret)}"}
        )
    assert answer.status_code == 202
    assert enqueued_git == [resting.pk]
    assert is_due()
    assert not answer.cookies


def test_gitlab_s_token_and_gitea_s_signature(resting):
    for headers in (
        {"X-Gitlab-Token": resting.hook_secret},
        {"X-Gitea-Signature": signature(BODY, resting.hook_secret)},
    ):
        GitSource.objects.update(due_at=None)
        assert send(resting.release_name, **headers).status_code == 202
        assert is_due()


def test_unknown_unsigned_and_wrong_get_the_same_answer(resting, bob):
    good = {"X-Gitlab-Token": resting.hook_secret}
    answers = [
        send("no-such-0000", **good),
        send(resting.release_name),
        send(resting.release_name, **{"X-Gitlab-Token": "wrong"}),
        send(resting.release_name, **{"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        send(
            resting.release_name,
            body=BODY + b" ",
            **{"X-Gitea-Signature": signature(BODY, resting.hook_secret)},
        ),
    ]
    actions.new_hook_secret(deployment=resting, by=bob)
    answers.append(send(resting.release_name, **good))  # replaced: the old secret is worth nothing
    actions.disconnect(deployment=resting, by=bob)
    answers.append(send(resting.release_name, **good))
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (403, b"The secret of this webhook is wrong, or there is none.\n")
    }


def test_without_a_secret_no_event_is_accepted(resting):
    GitSource.objects.update(has_hook=False)
    assert send(resting.release_name, **{"X-Gitlab-Token": ""}).status_code == 403
    assert send(resting.release_name, **{"X-Gitea-Signature": signature(BODY, "")}).status_code == 403
    assert not is_due()


def test_many_events_are_one_look_in_ten_seconds(resting):
    GitSource.objects.update(tried_at=timezone.now())
    assert send(resting.release_name, **{"X-Gitlab-Token": resting.hook_secret}).status_code == 202
    wait = GitSource.objects.get().due_at - timezone.now()
    assert timedelta(seconds=5) < wait <= timedelta(seconds=10)


def test_large_events_and_floods_are_refused(resting, monkeypatch, one_window):
    headers = {"X-Gitlab-Token": resting.hook_secret}
    assert send(resting.release_name, body=b"x" * (1024 * 1024 + 1), **headers).status_code == 413
    monkeypatch.setattr("deployments.pages.git_hook.PER_ADDRESS", (2, 3600))
    answers = [send("no-such-0000") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0
    assert send(resting.release_name, **headers).status_code == 429


def test_the_secret_is_in_one_answer_and_in_no_audit_event(resting, as_, bob):
    answer = as_(bob).post(reverse("deployments:git_secret", args=[resting.release_name]))
    page = answer.content.decode()
    secret = page.split("data-copy=")[-1].split('"')[1]
    assert len(secret) == 32
    later = as_(bob).get(reverse("deployments:git", args=[resting.release_name])).content.decode()
    assert secret not in later
    assert "stops working at once" in words_in(
        later, "class", "menu menu--ask"
    )  # asked before it is replaced
    assert complaints(later) == []
    assert secret not in str(list(AuditEvent.objects.values()))
    assert send(resting.release_name, **{"X-Gitlab-Token": secret}).status_code == 202
