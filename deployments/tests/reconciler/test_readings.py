"""Once a minute each running Airflow is read, by one process, and what it says is kept."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from deployments import actions
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.reading import QueueReading, Usage
from deployments.domain.states import Status
from deployments.models import Dag, Deployment, FailedRun, HourlyFigures, LatestReading, MinuteFigures
from deployments.reconciler import reading_records, readings
from deployments.reconciler.readings import Reader
from deployments.tests.readings import a_dag, a_failure, a_reading, a_run, broken, read
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(deployment) -> Deployment:
    return settle(deployment)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as found:
        yield found


def latest(deployment: Deployment) -> LatestReading:
    return LatestReading.objects.get(deployment=deployment)


def make_due(deployment: Deployment) -> None:
    LatestReading.objects.filter(deployment=deployment).update(due_at=Now() - timedelta(seconds=1))


def step_until(reader: Reader, pool: ThreadPoolExecutor, holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        reader.step(pool, 0.0)


def test_a_running_deployment_is_read_once_a_minute(running, driver, pool):
    reader = Reader(running.cluster_id, driver)
    step_until(reader, pool, lambda: LatestReading.objects.filter(at__isnull=False).exists())
    assert latest(running).due_at > timezone.now()
    assert reader.step(pool, 0.0) == 0
    assert [call for call in driver.calls if call[0] == "reading"] == [("reading", running.release_name)]


def test_those_that_were_never_read_are_looked_for_every_few_seconds_and_not_at_each_step(
    running, driver, pool
):
    reader = Reader(running.cluster_id, driver)
    Deployment.objects.update(deleted_at=Now())
    assert reader.step(pool, 100.0) == 0
    Deployment.objects.update(deleted_at=None)
    assert [reader.step(pool, now) for now in (100.5, 104.9, 105.0)] == [0, 0, 1]


def test_each_minute_gets_one_reading_at_the_same_second(running):
    assert readings.claim(running.cluster_id, 10)
    first = latest(running).due_at
    make_due(running)
    assert readings.claim(running.cluster_id, 10)
    assert (latest(running).due_at - first).total_seconds() % 60 == 0
    assert first.second < 50


@pytest.mark.usefixtures("patient")
def test_two_processes_never_read_the_same_row(running):
    readings.claim(running.cluster_id, 10)
    make_due(running)
    barrier, found = threading.Barrier(4), []

    def claim() -> None:
        try:
            barrier.wait(30)
            found.extend(readings.claim(running.cluster_id, 10))
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"status": Status.CREATING, "first_healthy_at": None},
        {"status": Status.UNKNOWN},
        {"status": Status.HIBERNATING, "hibernating": True},
        {"hibernating": True},
        {"status": Status.DELETING, "delete_requested_at": timezone.now()},
        {"status": Status.DELETED, "deleted_at": timezone.now()},
    ],
)
def test_what_does_not_run_is_not_read(running, values):
    Deployment.objects.filter(pk=running.pk).update(**values)
    assert readings.claim(running.cluster_id, 10) == []


def test_nobody_connects_to_a_database_that_an_upgrade_copies(running):
    Deployment.objects.filter(pk=running.pk).update(upgrade_from=running.runtime)
    assert readings.claim(running.cluster_id, 10) == []


def test_a_database_that_does_not_answer_leaves_a_sentence_and_what_was_known(running, driver, pool):
    read(running, a_reading(a_dag()))
    before = latest(running).at
    driver.silent = "The database server does not answer."
    make_due(running)
    reader = Reader(running.cluster_id, driver)
    step_until(reader, pool, lambda: latest(running).problem)
    assert latest(running).problem == "The database server does not answer."
    assert (latest(running).at, Dag.objects.count()) == (before, 1)
    assert latest(running).due_at > timezone.now()


def test_one_that_hangs_delays_no_other(running, choices, alice, driver, workspace, pool):
    other = settle(
        actions.create_deployment(
            workspace=workspace, choices=choices("Other"), by=alice, idempotency_key=workspace.pk
        )
    )
    hangs, release = threading.Event(), threading.Event()
    real = driver.reading

    def reading(ref, since):
        if ref.deployment_id == str(running.pk):
            hangs.set()
            release.wait(60)
        return real(ref, since)

    driver.reading = reading
    reader = Reader(running.cluster_id, driver)
    step_until(
        reader, pool, lambda: LatestReading.objects.filter(deployment=other, at__isnull=False).exists()
    )
    assert hangs.wait(30)
    assert latest(running).at is None
    release.set()
    step_until(reader, pool, lambda: latest(running).at is not None)


def test_what_breaks_in_a_driver_is_logged_and_noted(running, driver, pool):
    def reading(ref, since):
        raise ZeroDivisionError

    driver.reading = reading
    step_until(
        Reader(running.cluster_id, driver), pool, lambda: LatestReading.objects.exclude(problem="").exists()
    )
    assert latest(running).problem == readings.BROKE_OFF


@pytest.mark.parametrize(
    "said",
    [{"runs_running": -1}, {"import_error_count": 10**30}, {"dags": {"x": "[]"}}, {"dags": {"x\0": "{}"}}],
)
def test_a_reading_that_no_row_can_hold_is_noted_and_stops_no_other(running, driver, pool, said):
    driver.reading = lambda ref, since: replace(a_reading(), **said)
    reader = Reader(running.cluster_id, driver)
    reader.step(pool, 0.0)
    deadline = time.monotonic() + 30
    while reader.under_way and time.monotonic() < deadline:
        reader.step(pool, 0.0)
    assert latest(running).problem == readings.BROKE_OFF


def test_a_reading_that_is_overtaken_writes_nothing(running):
    [first] = readings.claim(running.cluster_id, 1)
    make_due(running)
    [second] = readings.claim(running.cluster_id, 1)
    assert reading_records.keep(second.pk, second.tried_at, a_reading(a_dag("new")))
    assert not reading_records.keep(first.pk, first.tried_at, a_reading(a_dag("old")))
    reading_records.failed(first.pk, first.tried_at, "too late")
    assert list(Dag.objects.values_list("dag_id", flat=True)) == ["new"]
    assert latest(running).problem == ""


def test_a_reading_that_is_written_twice_is_as_if_written_once(running):
    [claim] = readings.claim(running.cluster_id, 1)
    found = a_reading(a_dag(), failed_runs=(a_failure(),))
    reading_records.keep(claim.pk, claim.tried_at, found)
    reading_records.keep(claim.pk, claim.tried_at, found)
    assert HourlyFigures.objects.get().readings == 1
    assert FailedRun.objects.count() == MinuteFigures.objects.count() == 1


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [(2.0, 31.0, True), (31.0, 2.0, True), (2.0, 29.0, False), (31.0, 91.0, False)],
)
def test_a_reading_wakes_a_row_when_heartbeats_stop_or_come_back(running, enqueued, before, after, woken):
    read(running, a_reading(heartbeats={"scheduler": before, "triggerer": 3.0}))
    later = timezone.now() + timedelta(hours=1)
    Deployment.objects.filter(pk=running.pk).update(due_at=later, lease_until=None)
    enqueued.clear()
    read(running, a_reading(heartbeats={"scheduler": after, "triggerer": 3.0}))
    assert (Deployment.objects.get(pk=running.pk).due_at < later) == woken
    assert bool(enqueued) == woken


def test_a_dag_is_kept_as_it_was_read(running):
    newest, older = a_run("running", ago=timedelta(minutes=1)), a_run("success", seconds=125)
    read(running, a_reading(a_dag("nightly", newest, older, name="Nightly load")))
    dag = Dag.objects.get()
    assert (dag.name, dag.last_state, dag.last_seconds, dag.schedule) == (
        "Nightly load",
        "running",
        None,
        "0 4 * * *",
    )
    assert dag.last_success_at == older.ended_at
    assert [(run["state"], run["seconds"]) for run in dag.runs] == [("success", 125.0), ("running", None)]


def test_dags_that_did_not_change_are_not_written_again(running, django_assert_max_num_queries):
    found = a_reading(*(a_dag(f"dag-{number}", a_run()) for number in range(20)))
    read(running, found)
    first_seen = set(Dag.objects.values_list("first_seen_at", flat=True))
    [claim] = _claimed(running)
    with django_assert_max_num_queries(11) as ran:
        reading_records.keep(claim.pk, claim.tried_at, found)
    assert not [each for each in ran if 'INSERT INTO "deployments_dag"' in each["sql"]]
    read(running, a_reading(*(a_dag(f"dag-{number}", a_run("failed")) for number in range(20))))
    assert set(Dag.objects.values_list("last_state", flat=True)) == {"failed"}
    assert set(Dag.objects.values_list("first_seen_at", flat=True)) == first_seen


def test_a_dag_that_left_the_code_leaves_no_row(running):
    read(running, a_reading(a_dag("kept"), a_dag("dropped")))
    read(running, a_reading(a_dag("kept")))
    assert list(Dag.objects.values_list("dag_id", flat=True)) == ["kept"]


def test_the_last_success_is_remembered_when_it_is_no_longer_among_the_last_runs(running):
    success = a_run("success", ago=timedelta(days=20))
    read(running, a_reading(a_dag("nightly", success)))
    read(running, a_reading(a_dag("nightly", a_run("failed"))))
    assert Dag.objects.get().last_success_at == success.ended_at


def test_a_failed_run_is_reported_once_and_again_when_it_fails_again(running):
    first, again = a_failure(ago=90), a_failure(ago=10)
    for _ in range(2):
        read(running, a_reading(failed_runs=(first,)))
    read(running, a_reading(failed_runs=(again, first)))
    assert list(FailedRun.objects.order_by("pk").values_list("ended_at", flat=True)) == [
        first.ended_at,
        again.ended_at,
    ]


def test_a_queue_that_no_worker_serves_is_named(running):
    queues = (QueueReading("default", 1, 0, 5.0), QueueReading("big", 2, 0, 700.0), QueueReading("old", 0, 1))
    read(running, a_reading(queues=queues))
    assert latest(running).lost_queues == ["big"]
    Deployment.objects.filter(pk=running.pk).update(executor="local")
    read(running, a_reading(queues=queues))
    assert latest(running).lost_queues == []


def test_import_errors_and_heartbeats_are_kept(running):
    read(running, a_reading(**broken("one.py", "two.py")))
    row = latest(running)
    assert row.import_error_count == 2
    assert row.import_errors[0]["file"] == "one.py"
    assert row.at is not None
    assert row.scheduler_heartbeat_at == row.at - timedelta(seconds=2)
    assert row.is_fresh


def test_a_heartbeat_from_before_it_slept_says_nothing_while_it_wakes(running):
    Deployment.objects.filter(pk=running.pk).update(status=Status.DEPLOYING, status_since=Now())
    read(running, a_reading(heartbeats={"scheduler": 36_000.0}))
    assert latest(running).scheduler_heartbeat_at is None
    read(running, a_reading(heartbeats={"scheduler": 0.0}, at=datetime.now(UTC)))
    assert latest(running).scheduler_heartbeat_at is not None
    Deployment.objects.filter(pk=running.pk).update(status=Status.UNHEALTHY)
    read(running, a_reading(heartbeats={"scheduler": 36_000.0}))
    assert latest(running).scheduler_heartbeat_at is not None


def test_the_next_reading_knows_the_one_before(running, driver):
    found = a_reading(usage=Usage(cores=0.1, memory_bytes=1, cpu={"42 1700000000": 12.5}))
    read(running, found)
    [claim] = _claimed(running)
    assert claim.since is not None
    assert (claim.since.at, claim.since.cpu) == (found.at, {"42 1700000000": 12.5})


def test_a_deleted_deployment_leaves_no_reading(running, alice):
    read(running, a_reading(a_dag(), failed_runs=(a_failure(),)))
    [claim] = _claimed(running)
    actions.delete_deployment(deployment=running, by=alice)
    assert not reading_records.keep(claim.pk, claim.tried_at, a_reading(a_dag()))
    settle(running)
    running.refresh_from_db()
    assert running.status == Status.DELETED
    for model in (LatestReading, Dag, FailedRun, HourlyFigures, MinuteFigures):
        assert not model.objects.exists()


def test_a_scripted_airflow_without_a_database_is_not_read(driver, deployment):
    with pytest.raises(DataPlaneError):
        driver.reading(readings.Ref(str(deployment.pk), deployment.release_name), None)
    driver.silent = "away"
    with pytest.raises(DataPlaneUnreachable):
        driver.reading(readings.Ref(str(deployment.pk), deployment.release_name), None)


def _claimed(deployment: Deployment) -> list[readings.ReadingClaim]:
    make_due(deployment)
    return readings.claim(deployment.cluster_id, 1)
