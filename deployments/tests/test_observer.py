"""The observer: what changed becomes due, what is quiet stays quiet, and one bad cluster costs the others nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments import clusters
from deployments.models import UNKNOWN_AFTER, Cluster, Deployment
from deployments.observer import QUIET_SECONDS, ClusterObserver, DueRows, _tick, observers
from deployments.reconcile import reconcile, ref_of
from deployments.states import Status
from deployments.tests.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watching(cluster, plane) -> ClusterObserver:
    return ClusterObserver(cluster.pk, plane)


def test_a_change_in_the_data_plane_makes_its_row_due(deployment, plane, watching, hints):
    settle(deployment)
    watching.tick(0.0)
    hints.clear()
    assert watching.tick(QUIET_SECONDS) == 0
    plane.break_component(ref_of(deployment), "scheduler", "Scheduler ended.")
    assert watching.tick(QUIET_SECONDS + 1) == 0  # Healthy rows are looked at every four seconds
    assert watching.tick(2 * QUIET_SECONDS) == 1
    assert hints == [deployment.pk]
    deployment.refresh_from_db()
    assert deployment.due_at <= timezone.now()


def test_a_row_on_the_move_is_looked_at_every_tick(deployment, plane, watching, hints):
    reconcile(deployment.pk)
    watching.tick(0.0)
    hints.clear()
    plane.worlds[deployment.release_name].loads["x"] = (1, 1)
    assert watching.tick(0.5) == 1


def test_the_heartbeat_keeps_quiet_rows_fresh_but_not_rows_that_nobody_looks_at(
    deployment, plane, watching, cluster
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


def test_a_cluster_that_does_not_answer_gives_no_heartbeat(plane, watching, cluster, deployment):
    plane.silent = "supervisord does not answer."
    assert watching.tick(0.0) == 0
    assert Cluster.objects.get().last_seen_at is None


def test_a_driver_that_breaks_its_contract_is_logged_and_passed_over(
    plane, watching, deployment, monkeypatch
):
    monkeypatch.setattr(plane, "fingerprint", lambda refs: 1 / 0)
    _tick(watching, 0.0)


def test_a_cluster_whose_configuration_cannot_be_opened_is_passed_over(cluster, plane):
    broken = Cluster(name="Broken", kind=Cluster.Kind.LOCAL, sealed_config=b"nonsense")
    broken.save()
    assert [o.cluster_id for o in observers()] == [cluster.pk]
    assert clusters.config(cluster)


def test_a_due_row_is_hinted_at_once_and_then_every_five_seconds(deployment, plane, hints):
    due = DueRows()
    hints.clear()
    assert [due.hint(now) for now in (0.0, 0.5, 4.9, 5.0)] == [1, 0, 0, 1]
    Deployment.objects.update(due_at=timezone.now())  # due anew: it waited a second, or something changed
    assert due.hint(5.5) == 1
    assert len(hints) == 3
