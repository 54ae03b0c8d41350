"""Passes over one row, against the scripted data plane: every one is a level-triggered step."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments import actions
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.states import Status, StepState
from deployments.models import Deployment
from deployments.reconciler import leases, recording
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.reconcile import reconcile
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)


def settle(deployment: Deployment, passes: int = 20) -> Deployment:
    """Run passes as a worker would, pretending that every rest is over."""
    for _ in range(passes):
        Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now() - timedelta(seconds=1))
        reconcile(deployment.pk)
        deployment.refresh_from_db()
        if deployment.status in {Status.HEALTHY, Status.DELETED}:
            break
    return deployment


def states(deployment: Deployment, operation: str = "create") -> list[str]:
    return [step.state for step in deployment.steps.filter(operation=operation)]


def test_a_new_deployment_becomes_healthy_step_by_step(deployment, driver):
    assert deployment.status == Status.CREATING
    settle(deployment)
    assert deployment.status == Status.HEALTHY
    assert deployment.reason == ""
    assert states(deployment) == [StepState.DONE] * 3
    assert deployment.first_healthy_at is not None
    assert deployment.airflow_url == f"http://{deployment.release_name}.localhost:8000/"
    assert deployment.observed_generation == deployment.generation


def test_progress_makes_the_next_pass_due_at_once_and_waiting_does_not(deployment, driver):
    driver.slow_start = 1
    assert reconcile(deployment.pk) is True  # database
    assert reconcile(deployment.pk) is True  # components
    assert reconcile(deployment.pk) is False  # waits
    deployment.refresh_from_db()
    assert deployment.due_at > timezone.now()
    assert deployment.reason == "Scheduler: waiting for its first heartbeat."


@pytest.mark.parametrize(("changes_in", "at_most"), [(None, 1500.0), (40.0, 40.0), (9000.0, 1500.0)])
def test_a_healthy_one_is_looked_at_when_something_of_it_may_read_otherwise(
    deployment, driver, monkeypatch, changes_in, at_most
):
    monkeypatch.setattr(driver, "healthy_rest", 1500.0)
    monkeypatch.setattr(driver, "load_wakes", True)
    driver.changes_in = changes_in
    settle(deployment)
    rest = (deployment.due_at - timezone.now()).total_seconds()
    assert at_most - 15 < rest <= at_most


def test_the_airflow_link_stays_away_while_creating(deployment, driver):
    reconcile(deployment.pk)
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert deployment.status == Status.CREATING
    assert deployment.airflow_url == ""


def test_a_healthy_row_is_left_alone_until_it_is_due(deployment, driver):
    settle(deployment)
    driver.calls.clear()
    assert reconcile(deployment.pk) is None
    assert driver.calls == []


def test_a_quiet_pass_over_a_healthy_row_only_observes_and_tells_nobody(deployment, driver, published):
    settle(deployment)
    settle(deployment)  # the steps are final now
    driver.calls.clear()
    published.clear()
    changed_at = deployment.changed_at
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now())
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert [call for call, _ in driver.calls] == ["observe"]
    assert published == []
    assert deployment.changed_at == changed_at


def test_two_workers_never_work_on_one_row(deployment, driver):
    claim = leases.claim(deployment.pk)
    assert claim is not None
    assert leases.claim(deployment.pk) is None
    assert reconcile(deployment.pk) is None
    assert driver.calls == []


def test_one_that_waits_keeps_the_moment_since_which_it_waits(deployment, driver):
    since = timezone.now() - timedelta(hours=3)
    Deployment.objects.filter(pk=deployment.pk).update(due_at=since)
    assert leases.mark_due([deployment.pk]) == 0  # its pass will see whatever changed
    deployment.refresh_from_db()
    assert deployment.due_at == since
    leases.claim(deployment.pk)
    assert leases.mark_due([deployment.pk]) == 1  # the pass that runs may have looked already


def test_a_dead_workers_lease_ends_and_the_next_pass_goes_on(deployment, driver):
    leases.claim(deployment.pk)
    Deployment.objects.filter(pk=deployment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert settle(deployment).status == Status.HEALTHY


def test_a_pass_that_lost_its_lease_writes_nothing(deployment, driver, monkeypatch):
    def steal(ref):
        Deployment.objects.filter(pk=deployment.pk).update(lease_epoch=99)
        return original(ref)

    original = driver.observe
    monkeypatch.setattr(driver, "observe", steal)
    assert reconcile(deployment.pk) is False
    deployment.refresh_from_db()
    assert deployment.steps.count() == 0
    assert deployment.reason == "Queued. Starting in a few seconds."


def test_a_wish_during_a_pass_is_not_slept_over(deployment, driver, alice, monkeypatch):
    original = driver.apply

    def delete_meanwhile(*args):
        actions.delete_deployment(deployment=deployment, by=alice)
        return original(*args)

    monkeypatch.setattr(driver, "apply", delete_meanwhile)
    reconcile(deployment.pk)
    monkeypatch.setattr(driver, "apply", original)
    deployment.refresh_from_db()
    assert deployment.status == Status.DELETING
    assert deployment.due_at <= timezone.now()


def test_a_pass_in_flight_says_what_it_saw_but_nothing_of_a_newer_wish(
    deployment, driver, alice, monkeypatch
):
    settle(deployment)
    original = driver.observe

    def edit_meanwhile(ref):
        seen = original(ref)
        with actions.changing(deployment, by=alice) as row:
            Deployment.objects.filter(pk=row.pk).update(scheduler_au=9)
        driver.observe = original
        return seen

    driver.observe = edit_meanwhile
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler keeps crashing.", "boom")
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now(), failures=3)
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert (deployment.status, deployment.reason) == (Status.DEPLOYING, "Queued. Starting in a few seconds.")
    assert deployment.status_changes.latest("at").new == Status.DEPLOYING
    assert deployment.due_at <= timezone.now()
    assert deployment.observed_generation == deployment.generation - 1
    assert states(deployment, "change") == []
    assert deployment.components.get(name="scheduler").reason == "Scheduler keeps crashing."
    driver.fix_component(ref_of(deployment), "scheduler")
    assert settle(deployment).status == Status.HEALTHY


def test_an_error_of_an_earlier_wish_does_not_put_off_the_newer_one(deployment, driver, alice, monkeypatch):
    settle(deployment)

    def edit_and_fail(ref):
        with actions.changing(deployment, by=alice) as row:
            Deployment.objects.filter(pk=row.pk).update(scheduler_au=9)
        raise DataPlaneError("The primary Postgres has no free connections.")

    monkeypatch.setattr(driver, "observe", edit_and_fail)
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now(), failures=3)
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert (deployment.status, deployment.reason) == (Status.DEPLOYING, "Queued. Starting in a few seconds.")
    assert deployment.failures == 0
    assert deployment.due_at <= timezone.now()


def test_a_failing_step_says_why_and_backs_off(deployment, driver):
    driver.fail["database"] = "The primary Postgres has no free connections."
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert deployment.status == Status.CREATING
    assert deployment.reason.startswith("The primary Postgres has no free connections. Trying again in ")
    assert StepState.FAILED in states(deployment)
    first = deployment.due_at - timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now())
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert deployment.failures == 2
    assert deployment.due_at - timezone.now() > first
    driver.fail.clear()
    assert settle(deployment).status == Status.HEALTHY
    assert deployment.failures == 0


def test_a_bug_in_a_driver_delays_its_own_row_and_says_so(deployment, driver, monkeypatch):
    monkeypatch.setattr(driver, "observe", lambda ref: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert "unexpected ZeroDivisionError" in deployment.reason
    assert deployment.due_at > timezone.now()
    assert deployment.lease_until <= timezone.now()


def test_a_crashing_component_makes_it_unhealthy_with_its_last_line(deployment, driver):
    settle(deployment)
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler keeps crashing.", "KeyError: 'x'")
    settle(deployment, passes=1)
    assert deployment.status == Status.UNHEALTHY
    assert deployment.reason == "Scheduler keeps crashing. Last line: KeyError: 'x'"
    driver.fix_component(ref_of(deployment), "scheduler")
    assert settle(deployment).status == Status.HEALTHY
    assert [c.new for c in deployment.status_changes.order_by("at")] == ["healthy", "unhealthy", "healthy"]


def test_a_component_that_crashes_before_the_first_healthy_keeps_it_creating(deployment, driver):
    reconcile(deployment.pk)
    reconcile(deployment.pk)
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler keeps crashing.", "boom")
    settle(deployment, passes=3)
    assert deployment.status == Status.CREATING
    assert deployment.reason == "Scheduler keeps crashing. Last line: boom"


def test_silence_keeps_the_last_word_for_two_minutes_and_is_unknown_after(deployment, driver):
    settle(deployment)
    driver.silent = "supervisord does not answer."
    settle(deployment, passes=1)
    assert deployment.status == Status.HEALTHY
    Deployment.objects.filter(pk=deployment.pk).update(observed_at=timezone.now() - timedelta(seconds=121))
    deployment.refresh_from_db()
    assert deployment.shown_status is Status.UNKNOWN  # already before any pass
    settle(deployment, passes=1)
    assert deployment.status == Status.UNKNOWN
    assert deployment.reason.startswith("No answer from cluster This machine since ")
    driver.silent = ""
    assert settle(deployment).status == Status.HEALTHY


def test_the_scaler_adds_workers_at_once_and_removes_them_after_five_minutes(
    deployment, driver, time_machine
):
    start = timezone.now()
    settle(deployment)
    world = driver.worlds[deployment.release_name]
    world.loads["default"] = (40, 8)  # 48 / 16 = 3 workers
    settle(deployment, passes=2)
    settle(deployment, passes=2)
    assert world.workers == {"default": 3}
    world.loads["default"] = (0, 0)
    settle(deployment, passes=2)
    assert deployment.queues.get().desired_workers == 3
    deployment.queues.update(scale_down_since=start - timedelta(minutes=6))
    settle(deployment, passes=1)
    settle(deployment, passes=1)
    assert deployment.queues.get().desired_workers == 1
    assert world.workers == {"default": 1}


def test_acting_twice_is_acting_once(deployment, alice, driver):
    actions.delete_deployment(deployment=deployment, by=alice)
    actions.delete_deployment(deployment=deployment, by=alice)
    assert AuditEvent.objects.filter(verb="deleted").count() == 1


def test_after_a_new_start_nothing_is_called_healthy_that_does_not_run(
    deployment, driver, cluster, workspace
):
    settle(deployment)
    claim_left_behind = Deployment.objects.filter(pk=deployment.pk)
    claim_left_behind.update(
        lease_until=timezone.now() + timedelta(minutes=1), due_at=timezone.now() + timedelta(minutes=1)
    )
    assert recording.mark_all_restarted(cluster) == 1
    deployment.refresh_from_db()
    assert deployment.status == Status.UNHEALTHY
    assert deployment.reason == "Airdeck was started again, and starts this Airflow again."
    assert deployment.airflow_url == ""
    assert deployment.components.count() == 0
    assert settle(deployment).status == Status.HEALTHY


def test_a_new_start_does_not_touch_what_is_being_created_or_deleted(deployment, driver, cluster, alice):
    recording.mark_all_restarted(cluster)
    deployment.refresh_from_db()
    assert deployment.status == Status.CREATING
    actions.delete_deployment(deployment=deployment, by=alice)
    assert recording.mark_all_restarted(cluster) == 0
    deployment.refresh_from_db()
    assert deployment.status == Status.DELETING


def test_a_wish_during_a_pass_that_breaks_is_not_slept_over(deployment, driver, alice, monkeypatch):
    def delete_and_break(ref):
        actions.delete_deployment(deployment=deployment, by=alice)
        return 1 / 0

    monkeypatch.setattr(driver, "observe", delete_and_break)
    with pytest.raises(ZeroDivisionError):
        reconcile(deployment.pk)
    deployment.refresh_from_db()
    assert deployment.due_at <= timezone.now()


def test_recovering_is_no_change_and_has_no_steps(deployment, driver):
    settle(deployment)
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler ended.")
    settle(deployment, passes=2)
    driver.fix_component(ref_of(deployment), "scheduler")
    settle(deployment)
    assert deployment.steps.filter(operation="change").count() == 0


def test_the_steps_of_a_second_change_begin_anew(deployment, driver):
    settle(deployment)
    for replicas in (2, 3):
        Deployment.objects.update(generation=replicas, scheduler_replicas=replicas)
        deployment.refresh_from_db()
        assert settle(deployment, passes=1).status in {Status.DEPLOYING, Status.HEALTHY}
        settle(deployment)
        assert states(deployment, "change") == [StepState.DONE] * 3
        deployment.steps.filter(operation="change").update(
            started_at=timezone.now() - timedelta(days=3), finished_at=timezone.now() - timedelta(days=3)
        )
    Deployment.objects.update(generation=4, scheduler_replicas=4)
    settle(deployment, passes=1)
    running = deployment.steps.filter(operation="change", key="components").get()
    assert timezone.now() - running.started_at < timedelta(minutes=1)
