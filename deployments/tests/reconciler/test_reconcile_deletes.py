"""Deleting, pass by pass: it ends with a receipt, or says what is in the way."""

import pytest

from deployments import actions
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.states import Status
from deployments.reconciler.reconcile import reconcile
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)


def test_deleting_ends_gone_with_a_receipt(deployment, driver, alice):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    settle(deployment)
    assert deployment.status == Status.DELETED
    assert deployment.deleted_at is not None
    assert driver.worlds == {}
    receipt = [line for step in deployment.steps.filter(operation="delete") for line in step.receipt]
    name = deployment.release_name
    assert receipt == ["3 processes", f"database {name}", "files"]
    assert deployment.secrets.count() == 0
    assert deployment.components.count() == 0


@pytest.mark.parametrize("passes", range(4))
def test_deleting_while_creating_leaves_nothing(deployment, driver, alice, passes):
    driver.slow_start = 1
    for _ in range(passes):
        reconcile(deployment.pk)
    actions.delete_deployment(deployment=deployment, by=alice)
    assert settle(deployment).status == Status.DELETED
    assert driver.worlds == {}


def test_a_delete_that_is_blocked_names_the_blocker_and_goes_on_later(deployment, driver, alice):
    settle(deployment)
    driver.fail["drop"] = "Database x is used by 2 sessions."
    actions.delete_deployment(deployment=deployment, by=alice)
    settle(deployment, passes=3)
    assert deployment.status == Status.DELETING
    assert deployment.reason.startswith("Database x is used by 2 sessions. Trying again in ")
    driver.fail.clear()
    assert settle(deployment).status == Status.DELETED


def test_a_delete_that_hears_nothing_says_so(deployment, driver, alice):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    driver.silent = "supervisord does not answer."
    settle(deployment, passes=1)
    assert deployment.status == Status.DELETING
    assert deployment.reason == "supervisord does not answer."
    driver.silent = ""
    assert settle(deployment).status == Status.DELETED


def test_a_delete_that_meets_a_bug_says_so(deployment, driver, alice, monkeypatch):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    reconcile(deployment.pk)  # the inventory
    with monkeypatch.context() as broken:
        broken.setattr(driver, "destroy", lambda ref: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert "unexpected ZeroDivisionError" in deployment.reason
    assert settle(deployment).status == Status.DELETED


def test_a_receipt_waits_for_the_first_look_that_works(deployment, driver, alice, monkeypatch):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)

    def refuse(ref):
        raise DataPlaneError("The primary Postgres has no free connections.")

    with monkeypatch.context() as broken:
        broken.setattr(driver, "observe", refuse)
        settle(deployment, passes=1)
    assert deployment.reason.startswith("The primary Postgres has no free connections. Trying again in ")
    settle(deployment)
    receipt = [line for step in deployment.steps.filter(operation="delete") for line in step.receipt]
    assert receipt == ["3 processes", f"database {deployment.release_name}", "files"]
