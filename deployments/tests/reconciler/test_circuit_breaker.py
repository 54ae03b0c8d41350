"""A cluster that does not answer is tried by one pass at a time, so that it holds one worker and not all of them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments.actions import create_deployment
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment
from deployments.reconciler.reconcile import TRIED_BY_ANOTHER, reconcile

pytestmark = pytest.mark.django_db(transaction=True)

SILENCE = "The cluster's API server does not answer in time."


@pytest.fixture
def second(deployment, workspace, alice, choices) -> Deployment:
    return create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Billing")
    )


def one_pass(deployment: Deployment) -> Deployment:
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    return deployment


def breaker_retry_at():
    return Cluster.objects.get().breaker_retry_at


def asking_meanwhile(driver, monkeypatch, other: Deployment) -> list[str]:
    """Who asks the cluster from now on. While the first waits for an answer, another worker makes a pass of `other`."""
    asked: list[str] = []
    observe = driver.observe

    def observe_slowly(ref):
        asked.append(ref.release_name)
        if len(asked) == 1:
            one_pass(other)
        return observe(ref)

    monkeypatch.setattr(driver, "observe", observe_slowly)
    return asked


def test_nobody_else_asks_while_one_pass_tries_a_silent_cluster(deployment, second, driver, monkeypatch):
    driver.silent = SILENCE
    assert SILENCE in one_pass(deployment).reason
    asked = asking_meanwhile(driver, monkeypatch, second)
    one_pass(deployment)
    assert asked == [deployment.release_name]
    assert second.reason == TRIED_BY_ANOTHER
    assert second.status == Status.CREATING
    assert second.due_at < timezone.now() + timedelta(seconds=10)
    one_pass(second)  # its turn, now that the other is done
    assert asked == [deployment.release_name, second.release_name]
    assert SILENCE in second.reason


def test_the_first_answer_lets_everybody_ask_again(deployment, second, driver, monkeypatch):
    driver.silent = SILENCE
    one_pass(deployment)
    driver.silent = ""
    one_pass(deployment)
    assert breaker_retry_at() is None
    asked = asking_meanwhile(driver, monkeypatch, second)
    one_pass(deployment)
    assert second.release_name in asked


def test_the_trial_of_a_worker_that_died_ends_by_itself(deployment, driver):
    Cluster.objects.update(breaker_retry_at=timezone.now() + timedelta(seconds=50))
    assert one_pass(deployment).reason == TRIED_BY_ANOTHER
    Cluster.objects.update(breaker_retry_at=timezone.now() - timedelta(seconds=1))
    assert one_pass(deployment).reason != TRIED_BY_ANOTHER
    assert breaker_retry_at() is None


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_bug_says_nothing_about_the_cluster_and_keeps_nobody_out(deployment, driver, monkeypatch, in_doubt):
    before = timezone.now() - timedelta(seconds=1)
    Cluster.objects.update(breaker_retry_at=before if in_doubt else None)
    monkeypatch.setattr(driver, "observe", lambda ref: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        one_pass(deployment)
    assert (breaker_retry_at() is not None) == in_doubt
    if in_doubt:
        assert before < breaker_retry_at() <= timezone.now()


def test_a_refusal_is_an_answer(deployment, driver):
    Cluster.objects.update(breaker_retry_at=timezone.now() - timedelta(seconds=1))
    driver.fail["database"] = "The quota of the namespace is used up."
    one_pass(deployment)
    assert "quota" in deployment.reason
    assert breaker_retry_at() is None
