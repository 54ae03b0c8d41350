"""Sleep: by hand and by schedule, against the scripted data plane."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments import tasks
from deployments.actions import delete_deployment, hibernation
from deployments.actions.common import changing
from deployments.actions.refusals import NotNow
from deployments.domain.states import Status
from deployments.models import Deployment, HibernationSchedule
from deployments.reconciler import recording
from deployments.reconciler.deploy_rows import ref_of
from deployments.tasks import follow_schedules
from deployments.tests.domain.test_schedules import BERLIN, at
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

transactional = pytest.mark.django_db(transaction=True)


def rest(deployment):
    """Passes until it sleeps."""
    for _ in range(10):
        settle(deployment, passes=1)
        if deployment.status == Status.HIBERNATING:
            break
    return deployment


@pytest.fixture
def healthy(deployment, driver):
    return settle(deployment)


def verbs(deployment):
    return list(
        AuditEvent.objects.filter(object_id=str(deployment.pk)).order_by("pk").values_list("verb", flat=True)
    )


@transactional
def test_it_sleeps_with_a_sentence_and_wakes_to_healthy(healthy, bob, driver):
    driver.worlds[healthy.release_name].rows = ("a run",)
    healthy.queues.update(live_workers=3, running=2)
    assert hibernation.hibernate(deployment=healthy, by=bob)
    healthy.refresh_from_db()
    assert (healthy.status, healthy.airflow_url) == (Status.DEPLOYING, "")
    rest(healthy)
    assert healthy.status == Status.HIBERNATING
    assert healthy.reason == "Hibernated by Bob. It stays hibernated until someone wakes it; no data is lost."
    assert healthy.airflow_url == ""
    assert list(healthy.components.all()) == []
    assert list(healthy.queues.values_list("live_workers", "running")) == [(0, 0)]
    assert driver.observe(ref_of(healthy)).asleep
    assert hibernation.wake(deployment=healthy, by=bob)
    settle(healthy)
    assert (healthy.status, healthy.hibernation_cause) == (Status.HEALTHY, "")
    assert healthy.airflow_url
    assert driver.worlds[healthy.release_name].rows == ("a run",)
    assert verbs(healthy)[-2:] == ["hibernated", "woke"]


@transactional
def test_twice_is_once(healthy, bob):
    assert hibernation.hibernate(deployment=healthy, by=bob)
    before = Deployment.objects.get(pk=healthy.pk).generation
    assert not hibernation.hibernate(deployment=healthy, by=bob)
    assert Deployment.objects.get(pk=healthy.pk).generation == before
    assert hibernation.wake(deployment=healthy, by=bob)
    assert not hibernation.wake(deployment=healthy, by=bob)
    assert verbs(healthy)[1:] == ["hibernated", "woke"]


@transactional
def test_what_is_changed_in_its_sleep_is_applied_when_it_wakes(healthy, bob, driver):
    hibernation.hibernate(deployment=healthy, by=bob)
    rest(healthy)
    with changing(healthy, by=bob) as row:
        row.scheduler_au = 8
        row.save(update_fields=["scheduler_au"])
    rest(healthy)
    assert healthy.status == Status.HIBERNATING
    assert not driver.worlds[healthy.release_name].running
    hibernation.wake(deployment=healthy, by=bob)
    settle(healthy)
    assert driver.worlds[healthy.release_name].release.scheduler.cpu_millis == 800


@transactional
def test_a_start_of_airdeck_leaves_it_asleep(healthy, bob, cluster, driver):
    hibernation.hibernate(deployment=healthy, by=bob)
    rest(healthy)
    assert recording.mark_all_restarted(cluster) == 0
    rest(healthy)
    assert healthy.status == Status.HIBERNATING
    assert not driver.worlds[healthy.release_name].running


@transactional
def test_a_start_of_airdeck_while_it_falls_asleep_starts_nothing(healthy, bob, cluster, driver):
    hibernation.hibernate(deployment=healthy, by=bob)
    assert recording.mark_all_restarted(cluster) == 0
    rest(healthy)
    assert healthy.status == Status.HIBERNATING


@transactional
def test_a_sleeping_one_can_be_deleted(healthy, bob):
    hibernation.hibernate(deployment=healthy, by=bob)
    rest(healthy)
    delete_deployment(deployment=healthy, by=bob)
    settle(healthy)
    assert healthy.status == Status.DELETED


@pytest.mark.django_db
def test_nothing_sleeps_while_it_is_created_or_deleted(deployment, bob):
    with pytest.raises(NotNow):
        hibernation.hibernate(deployment=deployment, by=bob)
    delete_deployment(deployment=deployment, by=bob)
    with pytest.raises(NotNow):
        hibernation.wake(deployment=deployment, by=bob)


# -- Schedules: followed --


@pytest.fixture
def clock(monkeypatch):
    """The database's clock, as a test says."""
    now = [at("2026-11-20T12:00")]  # a Friday
    for module in (hibernation, tasks):
        monkeypatch.setattr(module, "database_now", lambda: now[0])

    def move(text: str) -> int:
        now[0] = at(text)
        return follow_schedules()

    return move


def plan_sleep(deployment, by, **changes):
    values = {
        "hibernate_cron": "0 20 * * 1-5",
        "wake_cron": "0 7 * * 1-5",
        "time_zone": "UTC",
        "enabled": True,
    }
    saved = HibernationSchedule.objects.filter(deployment=deployment).first()
    return hibernation.set_schedule(
        deployment=deployment, by=by, shown=hibernation.schedule_settings(saved), desired=values | changes
    )


@pytest.fixture
def editable(deployment):
    """Healthy once, without its passes."""
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at=timezone.now(), status=Status.HEALTHY)
    deployment.refresh_from_db()
    return deployment


def sleeps(deployment):
    return Deployment.objects.get(pk=deployment.pk).hibernating


@pytest.mark.django_db
def test_it_sleeps_and_wakes_by_its_schedule(editable, bob, clock):
    plan_sleep(editable, bob)
    assert not sleeps(editable)
    assert clock("2026-11-20T19:59:59") == 0
    assert clock("2026-11-20T20:00:03") == 1
    assert sleeps(editable)
    assert Deployment.objects.get(pk=editable.pk).hibernation_cause == "its schedule"
    assert clock("2026-11-20T20:00:13") == 0
    assert clock("2026-11-23T07:00:00") == 1
    assert not sleeps(editable)
    event = AuditEvent.objects.filter(object_id=str(editable.pk)).latest("pk")
    assert (event.actor_label, event.verb, event.new) == ("Airdeck", "woke", {"because": "of its schedule"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("back_at", "asleep"),
    [
        ("2026-11-20T22:00", True),  # missed: Friday's sleep
        ("2026-11-23T12:00", False),  # missed: Friday's sleep and Monday's wake
        ("2026-11-25T06:00", True),  # missed: many of both, the last was Tuesday's sleep
        ("2026-11-25T12:00", False),  # and then Wednesday's wake
    ],
)
def test_of_times_that_were_missed_only_the_last_counts(editable, bob, clock, back_at, asleep):
    plan_sleep(editable, bob)
    clock(back_at)
    assert sleeps(editable) is asleep
    assert clock(back_at) == 0
    held = HibernationSchedule.objects.get(deployment=editable)
    assert min(held.next_hibernate_at, held.next_wake_at) > at(back_at)


@pytest.mark.django_db
def test_of_both_at_the_same_minute_it_wakes(editable, bob, clock):
    plan_sleep(editable, bob, hibernate_cron="0 20 * * *", wake_cron="0 20 * * *")
    clock("2026-11-20T20:00:01")
    assert not sleeps(editable)


@pytest.mark.django_db
def test_what_somebody_does_by_hand_stays_until_the_next_time(editable, bob, clock):
    plan_sleep(editable, bob)
    clock("2026-11-20T20:00:01")
    hibernation.wake(deployment=editable, by=bob)
    assert clock("2026-11-21T12:00") == 0
    assert not sleeps(editable)
    hibernation.hibernate(deployment=editable, by=bob)
    assert clock("2026-11-23T06:59") == 0
    assert clock("2026-11-23T07:00") == 1
    assert not sleeps(editable)


@pytest.mark.django_db
def test_two_that_evaluate_at_once_act_once(editable, bob, clock):
    plan_sleep(editable, bob)
    now = at("2026-11-20T20:00:01")
    (first,), (second,) = hibernation.due_schedules(now), hibernation.due_schedules(now)
    assert hibernation.follow_schedule(first, now)
    hibernation.wake(deployment=editable, by=bob)  # before the second comes to it
    assert not hibernation.follow_schedule(second, now)
    assert not sleeps(editable)


@pytest.mark.django_db
def test_a_schedule_that_is_off_or_half_does_only_what_it_says(editable, bob, clock):
    plan_sleep(editable, bob, enabled=False)
    assert clock("2026-11-20T21:00") == 0
    plan_sleep(editable, bob, wake_cron="")
    assert clock("2026-11-23T21:00") == 1
    assert clock("2026-11-24T12:00") == 0
    assert sleeps(editable)


@pytest.mark.django_db
def test_switching_it_on_does_not_catch_up_and_changing_it_restarts_nothing(editable, bob, clock):
    generation = editable.generation
    plan_sleep(editable, bob, enabled=False)
    clock("2026-11-20T21:00")
    plan_sleep(editable, bob)
    assert clock("2026-11-20T21:01") == 0
    editable.refresh_from_db()
    assert editable.generation == generation
    events = AuditEvent.objects.filter(object_id=str(editable.pk), verb__startswith="changed the hibernation")
    assert events.count() == 2
    plan_sleep(editable, bob)
    assert events.count() == 2
    assert events.latest("pk").new == {"enabled": True}


@pytest.mark.django_db
def test_saved_in_the_second_pass_of_an_hour_it_sleeps_the_next_day(editable, bob, clock):
    clock("2026-10-25T01:10")  # 02:10 in Berlin, for the second time
    plan_sleep(editable, bob, hibernate_cron="30 2 * * *", wake_cron="", time_zone=BERLIN)
    assert clock("2026-10-25T01:11") == 0
    assert not sleeps(editable)
    assert clock("2026-10-26T01:30") == 1


@pytest.mark.django_db
def test_one_deployment_that_cannot_sleep_holds_up_no_other(
    editable, workspace, bob, choices, clock, monkeypatch
):
    from uuid import uuid4

    from deployments.actions import create_deployment

    other = create_deployment(workspace=workspace, by=bob, idempotency_key=uuid4(), choices=choices("Second"))
    Deployment.objects.filter(pk=other.pk).update(first_healthy_at=timezone.now())
    for row in (editable, other):
        plan_sleep(row, bob)
    follow = hibernation.follow_schedule

    def broken(schedule, now):
        if schedule.deployment_id == editable.pk:
            raise RuntimeError("a bug")
        return follow(schedule, now)

    monkeypatch.setattr(hibernation, "follow_schedule", broken)
    assert clock("2026-11-20T20:00:01") == 1
    assert (sleeps(editable), sleeps(other)) == (False, True)


@pytest.mark.django_db
def test_the_page_says_when_it_wakes_in_its_time_zone(editable, bob, clock):
    plan_sleep(editable, bob, time_zone=BERLIN)
    clock("2026-11-20T19:00:01")
    Deployment.objects.filter(pk=editable.pk).update(
        status=Status.HIBERNATING, observed_at=timezone.now() + timedelta(seconds=1)
    )
    editable.refresh_from_db()
    assert editable.reason == (
        "Hibernated by its schedule. It wakes up on Monday, 23 November at 07:00 (Europe/Berlin); no data is lost."
    )
