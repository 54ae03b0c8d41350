"""Faults at every point of a pass: whatever dies, the Deployment still converges, and nothing is made twice."""

import os
import signal
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from console.kit import failpoints
from deployments import actions, tasks
from deployments.domain.states import Status
from deployments.models import Deployment, Step
from deployments.reconciler import leases
from deployments.reconciler.reconcile import reconcile
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)

POINTS = [
    "reconcile.after_claim",
    "reconcile.after_observe",
    "reconcile.after_apply",
    "reconcile.before_record",
    "reconcile.after_record",
]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is cleaned up."""


@pytest.fixture
def kill_at(monkeypatch):
    """Die at a named failpoint the nth time that it is passed; the lease stays behind as it would."""

    def arm(point: str, nth: int) -> None:
        passed = []

        def maybe(name: str) -> None:
            if name == point:
                passed.append(name)
                if len(passed) == nth:
                    raise Killed(name)

        monkeypatch.setattr("deployments.reconciler.reconcile.failpoint", maybe)
        monkeypatch.setattr("deployments.reconciler.leases.release", lambda claim: None)

    return arm


def converge(deployment: Deployment, goal: Status, driver) -> int:
    """Run passes as workers would, each surviving the death of the one before; how many died."""
    deaths = 0
    for _ in range(30):
        Deployment.objects.filter(pk=deployment.pk).update(
            due_at=timezone.now() - timedelta(seconds=1), lease_until=None
        )
        try:
            reconcile(deployment.pk)
        except Killed:
            deaths += 1
        deployment.refresh_from_db()
        if deployment.status == goal:
            return deaths
    raise AssertionError(f"stuck at {deployment.status}: {deployment.reason}")


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_while_creating_costs_nothing_but_time(deployment, driver, kill_at, point, nth):
    kill_at(point, nth)
    deaths = converge(deployment, Status.HEALTHY, driver)
    assert deaths == 1
    assert list(driver.worlds) == [deployment.release_name]
    assert Step.objects.filter(deployment=deployment, operation="create").count() == 3


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(
    "point", ["reconcile.after_claim", "reconcile.after_apply", "reconcile.before_record"]
)
def test_a_worker_killed_while_deleting_leaves_nothing(deployment, driver, alice, kill_at, point, nth):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    kill_at(point, nth)
    converge(deployment, Status.DELETED, driver)
    assert driver.worlds == {}


def test_a_lease_that_nobody_gives_back_ends_by_itself(deployment, driver, settings):
    settings.LEASE_SECONDS = 0.9
    assert leases.claim(deployment.pk) is not None
    assert leases.claim(deployment.pk) is None
    deadline = time.monotonic() + 30
    while leases.claim(deployment.pk) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_fifty_deliveries_of_one_hint_are_one_pass(deployment, driver):
    driver.slow_start = 1
    while reconcile(deployment.pk):
        pass
    driver.calls.clear()
    for _ in range(50):
        tasks.reconcile_task(str(deployment.pk))
    assert driver.calls == []  # it is not due


def test_a_lost_hint_is_made_good_by_the_sweep(deployment, driver, enqueued):
    enqueued.clear()
    assert tasks.sweep() == 1
    assert enqueued == [deployment.pk]


def test_the_sweep_leaves_claimed_and_resting_rows_alone(deployment, driver, enqueued):
    leases.claim(deployment.pk)
    enqueued.clear()
    assert tasks.sweep() == 0
    leases.release(leases.Claim(deployment, 1, deployment.due_at))
    Deployment.objects.update(due_at=timezone.now() + timedelta(seconds=60))
    assert tasks.sweep() == 0


def test_a_message_about_a_deleted_or_unknown_row_is_nothing(deployment, driver):
    from uuid import uuid4

    Deployment.objects.update(deleted_at=timezone.now())
    tasks.reconcile_task(str(deployment.pk))
    tasks.reconcile_task(str(uuid4()))
    assert driver.calls == []


def test_failpoints_are_off_unless_the_environment_arms_them():
    assert failpoints.ARMED == {}
    failpoints.failpoint("reconcile.after_claim")


def test_an_armed_failpoint_kills_the_process_for_real():
    import subprocess
    import sys

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from console.kit.failpoints import failpoint; failpoint('x'); print('alive')",
        ],
        env={**os.environ, "FAILPOINTS": "x:kill"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert "alive" not in done.stdout
