"""What somebody else changed is put right and told; and when a row is looked at next where changes are heard."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from deployments.dataplane.contract import Outcome, Progress
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.queries import activity
from deployments.reconciler import plan
from deployments.reconciler.reconcile import reconcile
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SAID = "Deployment scheduler was changed by kubectl-edit; it was put back."


def look_now(deployment: Deployment) -> None:
    Deployment.objects.update(due_at=timezone.now())
    reconcile(deployment.pk)
    deployment.refresh_from_db()


@pytest.mark.django_db(transaction=True)
def test_a_repair_is_told_in_the_activity_as_airdecks_own_act(deployment, driver, monkeypatch):
    settle(deployment)
    observe, drifted = driver.observe, [True]
    monkeypatch.setattr(driver, "observe", lambda ref: replace(observe(ref), drifted=bool(drifted)))

    def repair(*args):
        drifted.clear()
        return Progress("components", Outcome.PROGRESSED, "Applied 1 object.", (SAID,))

    monkeypatch.setattr(driver, "apply", repair)
    look_now(deployment)
    event = AuditEvent.objects.get(verb="repaired")
    assert event.actor_id is None
    assert event.new == {"repair": SAID}
    entries = activity.entries(deployment.workspace, deployment, activity.ActivityFilters())
    reported = next(e for e in entries if e.act == "repaired")
    assert reported.sentence == "Airdeck repaired Deployment Analytics"
    assert reported.details == [f"repair: {SAID}"]
    assert deployment.status == Status.HEALTHY
    look_now(deployment)
    assert AuditEvent.objects.filter(verb="repaired").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("load_wakes", [True, False])
def test_a_healthy_row_whose_load_is_heard_is_left_alone_until_fewer_workers_may_do(
    deployment, driver, monkeypatch, load_wakes
):
    monkeypatch.setattr(driver, "healthy_rest", 1500.0)
    monkeypatch.setattr(driver, "load_wakes", load_wakes)
    settle(deployment)
    look_now(deployment)
    next_delay = (deployment.due_at - timezone.now()).total_seconds()
    assert next_delay == pytest.approx(1500.0 if load_wakes else plan.REST_SCALED, abs=5)
    driver.worlds[deployment.release_name].loads["default"] = (64, 0)
    settle(deployment)
    look_now(deployment)
    driver.worlds[deployment.release_name].loads["default"] = (0, 0)
    look_now(deployment)
    next_delay = (deployment.due_at - timezone.now()).total_seconds()
    assert next_delay == pytest.approx(300.0 if load_wakes else plan.REST_SCALED, abs=5)


@pytest.mark.parametrize(
    ("since", "seconds"),
    [
        ([], math.inf),
        ([None, None], math.inf),
        ([NOW], 300.0),
        ([NOW - timedelta(minutes=4), NOW, None], 60.0),
        ([NOW - timedelta(hours=1)], 0.0),
    ],
)
def test_the_time_until_a_queue_may_have_fewer_workers(since, seconds):
    assert plan.until_fewer(since, NOW) == seconds


def test_a_row_that_waits_is_looked_at_less_often_where_changes_are_heard():
    waiting = Progress("components", Outcome.WAITING, "Scheduler: waiting.")
    asked = plan.next_delay(Status.CREATING, waiting, healthy=30.0, scaled=False)
    watched = plan.next_delay(Status.CREATING, waiting, healthy=1500.0, scaled=False, watched=True)
    assert (asked, watched) == (plan.REST_WAITING, plan.REST_WATCHED)


@pytest.mark.django_db(transaction=True)
def test_a_data_plane_hears_that_it_ran_before_and_the_digest_stays(deployment, driver, monkeypatch):
    """So that it makes no empty metadata database in place of one that was lost with everything else."""
    told, apply = [], driver.apply

    def noted(ref, release, secrets, workers):
        told.append(release)
        return apply(ref, release, secrets, workers)

    monkeypatch.setattr(driver, "apply", noted)
    settle(deployment)
    assert {each.ran_before for each in told} == {False}
    observe = driver.observe
    monkeypatch.setattr(driver, "observe", lambda ref: replace(observe(ref), drifted=True))
    look_now(deployment)
    assert told[-1].ran_before
    assert told[-1].digest == told[0].digest
