"""Another runtime: asked for by people, ended by the reconciler, against the scripted data plane."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.actions import upgrade
from deployments.actions.refusals import NotNow
from deployments.dataplane.contract import Component
from deployments.domain.states import ComponentState, Status, StepState
from deployments.models import RuntimeRelease
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old(deployment, driver):
    """Analytics, Healthy on the older runtime."""
    deployment.runtime = RuntimeRelease.objects.get(version="3.2-1")
    deployment.save(update_fields=["runtime"])
    return settle(deployment)


@pytest.fixture
def newest(cluster):
    return RuntimeRelease.objects.get(version="3.3-1")


@pytest.fixture
def later(cluster, monkeypatch):
    """One that is newer still, and that this machine could run."""
    monkeypatch.setattr("deployments.clusters.options.runs_on", lambda kind, release: True)
    return RuntimeRelease.objects.create(
        version="3.4-1",
        airflow_version="3.4.0",
        released_on=timezone.now(),
        maintained_until=timezone.now().date() + timedelta(days=90),
    )


def acts(deployment):
    return list(
        AuditEvent.objects.filter(object_id=str(deployment.pk))
        .order_by("pk")
        .values_list("actor_label", "verb")
    )


def test_an_upgrade_migrates_rolls_and_forgets_the_way_back(old, newest, alice, driver):
    driver.worlds[old.release_name].rows = ("a run",)
    assert upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    old.refresh_from_db()
    assert (old.status, old.runtime, old.upgrade_from.version) == (Status.DEPLOYING, newest, "3.2-1")
    settle(old)
    assert (old.status, old.runtime, old.upgrade_from) == (Status.HEALTHY, newest, None)
    world = driver.worlds[old.release_name]
    assert (world.runtime, world.snapshot, world.rows) == ("3.3-1", "", ("a run",))
    titles = [step.title for step in old.steps.filter(operation="change")]
    assert "Upgrade the metadata database" in titles
    assert acts(old)[-2:] == [("alice@example.org", "asked to upgrade"), ("Airdeck", "upgraded")]
    assert old.observed_generation == old.generation
    generation, applied = old.generation, len(driver.calls)
    settle(old)
    assert old.generation == generation  # forgetting the way back is no change
    assert ("apply", old.release_name) not in driver.calls[applied:]


def test_an_upgrade_that_fails_goes_back_by_itself_and_says_why(old, newest, alice, driver):
    driver.worlds[old.release_name].rows = ("a run",)
    driver.fail_migration = "airflow db migrate failed: a table is in the way."
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    settle(old)
    assert (old.status, old.runtime.version, old.upgrade_from) == (Status.HEALTHY, "3.2-1", None)
    assert old.upgrade_error == (
        "Upgrade to 3.3-1 failed: airflow db migrate failed: a table is in the way. "
        "It runs 3.2-1 again with its data as before."
    )
    world = driver.worlds[old.release_name]
    assert (world.runtime, world.snapshot, world.rows) == ("3.2-1", "", ("a run",))
    assert acts(old)[-1] == ("Airdeck", "gave up the upgrade of")
    reasons = [change.reason for change in old.status_changes.all()]
    assert not any("unexpected" in reason for reason in reasons)
    driver.fail_migration = ""
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    old.refresh_from_db()
    assert old.upgrade_error == ""
    settle(old)
    assert (old.status, old.runtime) == (Status.HEALTHY, newest)


def test_the_step_that_failed_is_shown_until_the_way_back_begins(old, newest, alice, driver):
    driver.fail_migration = "no disk"
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    while not old.upgrade_error:
        settle(old, passes=1)
    step = old.steps.get(operation="change", key="upgrade")
    assert step.state == StepState.FAILED
    assert "Upgrade to 3.3-1 failed: no disk." in step.sentence
    assert old.status == Status.DEPLOYING
    assert old.reason == old.upgrade_error


def test_only_newer_offered_runtimes_are_taken(old, newest, alice, driver):
    older = old.runtime
    assert not upgrade.upgrade_runtime(deployment=old, by=alice, to=older)  # it is there already
    newest.yanked = True
    newest.save()
    with pytest.raises(upgrade.RuntimeNotOffered):
        upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    newest.yanked, newest.maintained_until = False, timezone.now().date() - timedelta(days=1)
    newest.save()
    with pytest.raises(upgrade.RuntimeNotOffered):
        upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    newest.maintained_until = timezone.now().date() + timedelta(days=90)
    newest.save()
    assert upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    settle(old)
    with pytest.raises(upgrade.RuntimeNotOffered):  # no way down
        upgrade.upgrade_runtime(deployment=old, by=alice, to=older)


def test_one_upgrade_at_a_time_and_none_while_creating(deployment, newest, later, alice, driver):
    deployment.runtime = RuntimeRelease.objects.get(version="3.2-1")
    deployment.save(update_fields=["runtime"])
    with pytest.raises(NotNow):
        upgrade.upgrade_runtime(deployment=deployment, by=alice, to=newest)
    settle(deployment)
    assert upgrade.upgrade_runtime(deployment=deployment, by=alice, to=newest)
    assert not upgrade.upgrade_runtime(
        deployment=deployment, by=alice, to=newest
    )  # the same again: twice is once
    with pytest.raises(NotNow, match=r"3\.3-1 is under way"):
        upgrade.upgrade_runtime(deployment=deployment, by=alice, to=later)


@pytest.fixture
def stuck(old, newest, alice, driver):
    """Migrated to 3.3-1, on which its scheduler does not start."""
    world = driver.worlds[old.release_name]
    world.rows = ("a run",)
    world.broken["scheduler"] = Component("scheduler", ComponentState.FAILING, 0, 1, "The scheduler ended.")
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    settle(old)
    assert (world.runtime, old.status, old.upgrade_from.version) == ("3.3-1", Status.DEPLOYING, "3.2-1")
    return old


def test_one_that_migrated_but_never_gets_healthy_may_go_on_to_a_newer_runtime(
    stuck, later, alice, as_, driver
):
    page = reverse("deployments:upgrade", args=[stuck.release_name])
    assert "This one begins there; the copy from 3.2-1 is dropped." in as_(alice).get(page).content.decode()
    assert upgrade.upgrade_runtime(deployment=stuck, by=alice, to=later)
    stuck.refresh_from_db()
    assert (stuck.runtime, stuck.upgrade_from.version) == (later, "3.3-1")
    driver.worlds[stuck.release_name].broken.clear()
    settle(stuck)
    assert (stuck.status, stuck.runtime, stuck.upgrade_from) == (Status.HEALTHY, later, None)
    assert driver.worlds[stuck.release_name].rows == ("a run",)


def test_when_that_fails_too_it_is_back_where_its_database_was(stuck, later, alice, driver):
    driver.fail_migration = "no disk"
    upgrade.upgrade_runtime(deployment=stuck, by=alice, to=later)
    settle(stuck)
    world = driver.worlds[stuck.release_name]
    assert (stuck.runtime.version, stuck.upgrade_from, world.runtime) == ("3.3-1", None, "3.3-1")
    assert "It runs 3.3-1 again with its data as before." in stuck.upgrade_error
    assert world.rows == ("a run",)


def test_what_an_earlier_upgrade_reached_says_nothing_about_this_one(old, newest, later, alice, driver):
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    settle(old)
    assert old.status == Status.HEALTHY
    RuntimeRelease.objects.create(
        version="3.5-1",
        airflow_version="3.5.0",
        released_on=timezone.now(),
        maintained_until=later.maintained_until,
    )
    upgrade.upgrade_runtime(deployment=old, by=alice, to=later)
    with pytest.raises(NotNow, match=r"3\.4-1 is under way"):
        upgrade.upgrade_runtime(deployment=old, by=alice, to=RuntimeRelease.objects.get(version="3.5-1"))


def test_a_change_during_an_upgrade_is_kept_when_it_fails(old, newest, alice, driver):
    driver.fail_migration = "no disk"
    upgrade.upgrade_runtime(deployment=old, by=alice, to=newest)
    settle(old, passes=1)
    old.scheduler_au = 9
    old.save(update_fields=["scheduler_au"])
    settle(old)
    assert (old.status, old.runtime.version, old.scheduler_au) == (Status.HEALTHY, "3.2-1", 9)
    assert driver.worlds[old.release_name].release.scheduler.cpu_millis == 900
