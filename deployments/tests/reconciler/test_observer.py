"""The observer: what changed becomes due, what is quiet stays quiet, and one bad cluster costs the others nothing."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from console.kit import events
from deployments.clusters import connections
from deployments.dataplane.fake import ScriptedDriver
from deployments.domain.states import Status
from deployments.models import UNKNOWN_AFTER, Cluster, Deployment
from deployments.reconciler import leadership
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.observer import (
    QUIET_SECONDS,
    WAKE_AT_ONCE,
    ClusterObserver,
    DueRows,
    Watch,
    observer_of,
    run_forever,
)
from deployments.reconciler.reconcile import reconcile
from deployments.tasks import sweep
from deployments.tests.reconciler.test_reconcile import settle
from deployments.tests.reconciler.test_turns import gathered


def eventually(holds, seconds: float = 30.0) -> None:
    """Wait until `holds()`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watching(cluster, driver) -> ClusterObserver:
    observer = ClusterObserver(cluster.pk, driver, "this process")
    assert leadership.lead(cluster.pk, observer.holder)
    return observer


def test_a_change_in_the_data_plane_makes_its_row_due(deployment, driver, watching, enqueued):
    settle(deployment)
    watching.tick(0.0)
    enqueued.clear()
    assert watching.tick(QUIET_SECONDS) == 0
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler ended.")
    assert watching.tick(QUIET_SECONDS + 1) == 0  # Healthy rows are looked at every four seconds
    assert watching.tick(2 * QUIET_SECONDS) == 1
    assert enqueued == [deployment.pk]
    deployment.refresh_from_db()
    assert deployment.due_at <= timezone.now()


def test_a_row_on_the_move_is_looked_at_every_tick(deployment, driver, watching, enqueued):
    reconcile(deployment.pk)
    watching.tick(0.0)
    enqueued.clear()
    driver.worlds[deployment.release_name].loads["x"] = (1, 1)
    assert watching.tick(0.5) == 1


def test_the_heartbeat_keeps_quiet_rows_fresh_but_not_rows_that_nobody_looks_at(
    deployment, driver, watching, cluster
):
    settle(deployment)
    long_ago = timezone.now() - UNKNOWN_AFTER - timedelta(seconds=5)
    Deployment.objects.update(observed_at=long_ago, due_at=timezone.now() + timedelta(seconds=5))
    watching.tick(0.0)
    fresh = Deployment.objects.select_related("cluster").get()
    Deployment.objects.update(observed_at=long_ago, due_at=timezone.now() + timedelta(seconds=5))
    fresh = Deployment.objects.select_related("cluster").get()
    assert fresh.shown_status is Status.HEALTHY
    Deployment.objects.update(due_at=long_ago)  # every worker is dead
    assert Deployment.objects.select_related("cluster").get().shown_status is Status.UNKNOWN


def test_a_cluster_that_does_not_answer_gives_no_heartbeat(driver, watching, cluster, deployment):
    driver.silent = "supervisord does not answer."
    assert watching.tick(0.0) == 0
    assert Cluster.objects.get().last_seen_at is None
    assert Cluster.objects.get().unreachable_reason == "supervisord does not answer."
    driver.silent = ""
    watching.tick(0.5)
    assert Cluster.objects.get().last_seen_at is not None
    assert Cluster.objects.get().unreachable_reason == ""


def test_a_driver_that_breaks_its_contract_is_logged_and_tried_again(driver, cluster, monkeypatch):
    stop, calls = threading.Event(), []

    def broken(refs):
        calls.append(refs)
        return 1 / 0

    monkeypatch.setattr(driver, "fingerprint", broken)
    observer = ClusterObserver(cluster.pk, driver)
    thread = threading.Thread(target=observer.run, args=(stop,))
    thread.start()
    eventually(lambda: len(calls) >= 2)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert Cluster.objects.get().observer == ""  # resigned: who stands by need not wait


def test_a_cluster_whose_configuration_cannot_be_opened_is_passed_over(cluster, driver):
    broken = Cluster(name="Broken", kind=Cluster.Kind.LOCAL, sealed_config=b"nonsense")
    broken.save()
    assert observer_of(broken) is None
    assert observer_of(cluster).cluster_id == cluster.pk


def test_clusters_are_watched_as_they_come_change_and_go_and_one_that_hangs_delays_none(
    cluster, driver, monkeypatch
):
    hanging = threading.Event()
    other = Cluster(name="Hanging", kind=Cluster.Kind.LOCAL)
    connections.seal(other, database_url="postgresql://nobody@nowhere/none", settings={})
    other.save()

    def plane_of(found):
        if found.pk == cluster.pk:
            return driver
        hung = ScriptedDriver()
        hung.fingerprint = lambda refs: hanging.wait(30) or {}
        return hung

    monkeypatch.setattr(connections, "driver_of", plane_of)
    watch = Watch()
    try:
        watch.refresh()
        eventually(lambda: Cluster.objects.get(pk=cluster.pk).last_seen_at)
        assert watch.leading
        assert Cluster.objects.get(pk=other.pk).last_seen_at is None
        first = watch._running[cluster.pk]
        watch.refresh()
        assert watch._running[cluster.pk] is first
        connections.seal(cluster, database_url="postgresql://nobody@nowhere/none", settings={"new": "yes"})
        cluster.save()
        watch.refresh()
        assert watch._running[cluster.pk] is not first
        first[2].join(30)
        assert not first[2].is_alive()
        hanging.set()
        Cluster.objects.filter(pk=other.pk).delete()
        watch.refresh()
        assert set(watch._running) == {cluster.pk}
    finally:
        hanging.set()
        watch.close(10)


def test_the_observer_process_watches_hints_and_ends_when_it_is_asked_to(deployment, cluster, enqueued):
    stop = threading.Event()
    thread = threading.Thread(target=lambda: (run_forever(stop), connection.close()))
    enqueued.clear()
    thread.start()
    eventually(lambda: Cluster.objects.get().last_seen_at)
    eventually(lambda: deployment.pk in enqueued)  # it is due
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert Cluster.objects.get().observer == ""


def test_a_due_row_is_hinted_at_once_and_then_every_five_seconds(deployment, driver, enqueued):
    due = DueRows()
    enqueued.clear()
    assert [due.enqueue(now) for now in (0.0, 0.5, 4.9, 5.0)] == [1, 0, 0, 1]
    Deployment.objects.update(due_at=timezone.now())  # due anew: it waited a second, or something changed
    assert due.enqueue(5.5) == 1
    assert len(enqueued) == 3


def test_no_more_is_hinted_than_workers_can_take_soon(deployment, driver, enqueued, monkeypatch):
    enqueued.clear()
    monkeypatch.setattr("console.kit.enqueue.waiting", lambda queue: 50)
    assert DueRows().enqueue(0.0) == 0
    assert sweep() == 0
    monkeypatch.setattr("console.kit.enqueue.waiting", lambda queue: 49)
    assert DueRows().enqueue(0.0) == 1
    assert sweep() == 1
    assert len(enqueued) == 2


# -- A data plane that tells of changes --


class ScriptedWatcher:
    """A scripted watcher."""

    def __init__(self) -> None:
        self.news: set[str] = set()
        self.silence = ""
        self.closed = False

    def changed(self, refs, wait):
        found = self.news & refs.keys()
        self.news -= found
        return frozenset(found)

    def unreachable_reason(self):
        return self.silence

    def close(self):
        self.closed = True


@pytest.fixture
def watcher(driver) -> ScriptedWatcher:
    driver.watching = ScriptedWatcher()
    return driver.watching


def test_what_a_watcher_tells_makes_its_row_due_and_nothing_is_asked(
    deployment, driver, watcher, watching, enqueued
):
    settle(deployment)
    watching.step(time.monotonic(), threading.Event())
    enqueued.clear()
    driver.calls.clear()
    assert watching.watch(time.monotonic()) == 0
    watcher.news.add(str(deployment.pk))
    assert watching.watch(time.monotonic()) == 1
    assert enqueued == [deployment.pk]
    assert driver.calls == []


def test_a_row_that_changes_in_many_steps_is_woken_at_the_first_and_again_a_little_later(
    deployment, watcher, watching
):
    now = time.monotonic()
    watching.step(now, threading.Event())
    watcher.news.add(str(deployment.pk))
    assert watching.watch(now) == 1
    watcher.news.add(str(deployment.pk))
    assert watching.watch(now) == 0
    eventually(lambda: watching.watch(time.monotonic()) == 1)


def test_of_many_rows_that_changed_those_of_each_workspace_are_woken_in_turns(
    deployment, workspace, charlie, watcher, watching, enqueued
):
    crowd = gathered(workspace, deployment, WAKE_AT_ONCE)
    Deployment.objects.filter(pk=deployment.pk).update(workspace=charlie.memberships.get().workspace)
    watching.pending = dict.fromkeys([*(str(row.pk) for row in crowd), str(deployment.pk)])
    enqueued.clear()
    watching.step(time.monotonic(), threading.Event())
    assert enqueued[:2] == [crowd[0].pk, deployment.pk]
    assert len(enqueued) == WAKE_AT_ONCE


def test_what_a_leader_could_not_write_is_not_forgotten(deployment, watcher, watching, cluster, enqueued):
    watching.step(time.monotonic(), threading.Event())
    leadership.resign(cluster.pk, watching.holder)
    enqueued.clear()
    watcher.news.add(str(deployment.pk))
    watching.watch(time.monotonic())
    assert enqueued == []
    watching.step(time.monotonic(), threading.Event())  # leads again, as nobody else did
    assert enqueued == [deployment.pk]


def test_a_cluster_that_is_not_heard_says_why_on_every_page_and_only_then(
    deployment, watcher, watching, driver
):
    settle(deployment)
    watcher.silence = "The cluster rejects Airdeck's credentials (401). Register the cluster again."
    watching.step(time.monotonic(), threading.Event())
    assert Cluster.objects.get().last_seen_at is None
    long_ago = timezone.now() - UNKNOWN_AFTER - timedelta(seconds=5)
    Deployment.objects.update(observed_at=long_ago)
    shown = Deployment.objects.select_related("cluster").get()
    assert shown.shown_status is Status.UNKNOWN
    assert shown.reason.endswith(watcher.silence)
    watcher.silence = ""
    watching.watch(time.monotonic())
    assert Cluster.objects.get().unreachable_reason == ""
    assert Deployment.objects.select_related("cluster").get().shown_status is Status.HEALTHY


def test_a_cluster_known_to_be_silent_is_not_even_asked(deployment, cluster, driver):
    settle(deployment)
    leadership.lead(cluster.pk, "somebody")
    Cluster.objects.update(
        unreachable_reason="The cluster's API server does not answer.",
        last_seen_at=timezone.now() - timedelta(seconds=61),
    )
    driver.calls.clear()
    Deployment.objects.update(due_at=timezone.now())
    reconcile(deployment.pk)
    assert driver.calls == []
    leadership.resign(cluster.pk, "somebody")  # nobody watches it: then it is asked
    Deployment.objects.update(due_at=timezone.now())
    reconcile(deployment.pk)
    assert driver.calls != []


def test_a_cluster_that_is_silent_is_told_beside_every_badge_before_its_words_are_worth_nothing(
    deployment, driver, monkeypatch, as_, vera, olga
):
    """Healthy stands for two minutes after the last word; that it is the last word is said after fifteen seconds."""
    reported = []
    monkeypatch.setattr(
        events, "publish", lambda topic, frames: reported.append((topic, [f.html for f in frames]))
    )
    watching = ClusterObserver(deployment.cluster_id, driver)
    watching.leading = leadership.lead(deployment.cluster_id, watching.holder)
    watching._heartbeat(100.0, "")
    Deployment.objects.update(status=Status.HEALTHY)
    Cluster.objects.update(last_seen_at=timezone.now() - timedelta(seconds=21))
    for at in (101.0, 110.0, 115.0):
        watching._heartbeat(at, "The API server is away.")
    assert reported == []
    watching._heartbeat(116.5, "The API server is away.")
    ((topic, (html,)),) = reported
    assert topic == f"w:{deployment.workspace_id}"
    assert "Healthy" in html
    assert "No news for" in html
    page = as_(vera).get(deployment.url).content.decode()
    assert "No news for" in page
    cluster = Cluster.objects.get(pk=deployment.cluster_id)
    assert (
        f"Unreachable since {cluster.last_seen_at:%Y-%m-%d %H:%M:%S} UTC"
        in as_(olga).get("/admin/deployments/cluster/").content.decode()
    )
    reported.clear()
    watching._heartbeat(120.0, "")
    ((_, (html,)),) = reported
    assert "No news for" not in html
    assert "No news for" not in as_(vera).get(deployment.url).content.decode()
    assert "Unreachable" not in as_(olga).get("/admin/deployments/cluster/").content.decode()
