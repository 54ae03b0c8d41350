"""One observer leads a cluster: the others stand by, take over within 15 s, and who slept writes nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.utils import timezone

from deployments.models import Cluster, Deployment
from deployments.reconciler import leadership, leases
from deployments.reconciler.observer import ClusterObserver

pytestmark = pytest.mark.django_db(transaction=True)


def lapse() -> None:
    """The lease ends now."""
    Cluster.objects.update(observer_until=timezone.now() - timedelta(seconds=1))


def test_the_first_leads_and_the_second_stands_by(cluster):
    assert leadership.lead(cluster.pk, "one")
    assert not leadership.lead(cluster.pk, "two")
    assert leadership.lead(cluster.pk, "one")  # renewed
    assert leadership.is_leading(cluster.pk, "one")
    assert not leadership.is_leading(cluster.pk, "two")


def test_a_lease_that_ends_is_taken_and_the_one_before_has_lost_it(cluster):
    leadership.lead(cluster.pk, "one")
    lapse()
    assert not leadership.is_leading(cluster.pk, "one")
    assert leadership.lead(cluster.pk, "two")
    assert not leadership.lead(cluster.pk, "one")


def test_who_resigns_leaves_no_wait_behind(cluster):
    leadership.lead(cluster.pk, "one")
    leadership.resign(cluster.pk, "two")  # not its own to give back
    assert leadership.is_leading(cluster.pk, "one")
    leadership.resign(cluster.pk, "one")
    assert leadership.lead(cluster.pk, "two")


def test_a_lease_is_renewed_often_enough_for_a_takeover_within_fifteen_seconds():
    standby = leadership.RENEW_SECONDS  # how often who stands by tries
    assert leadership.LEASE.total_seconds() + standby < 15
    assert leadership.LEASE.total_seconds() > 3 * leadership.RENEW_SECONDS


@pytest.mark.usefixtures("patient")
def test_of_many_that_try_at_once_one_leads(cluster):
    barrier, won = threading.Barrier(8), []

    def run(name: str) -> None:
        barrier.wait(30)
        if leadership.lead(cluster.pk, name):
            won.append(name)
        connection.close()

    threads = [threading.Thread(target=run, args=(f"observer {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    assert Cluster.objects.get().observer == won[0]


def test_what_a_former_leader_still_writes_is_refused(deployment, cluster, driver, enqueued):
    leadership.lead(cluster.pk, "one")
    observer = ClusterObserver(cluster.pk, driver, "one", leading=True)
    lapse()
    leadership.lead(cluster.pk, "two")
    Deployment.objects.update(due_at=timezone.now() + timedelta(hours=1))
    enqueued.clear()
    observer.tick(0.0)
    deployment.refresh_from_db()
    assert deployment.due_at > timezone.now() + timedelta(minutes=50)
    assert enqueued == []
    assert Cluster.objects.get().last_seen_at is None
    assert not observer.may_write()
    assert leases.mark_due([deployment.pk], leadership.leads("two", "cluster__")) == 1


# An observer with a lease of 2 s in place of 10 s; the figures themselves are tested above.
OBSERVER = """
import sys, threading
from datetime import timedelta
from uuid import UUID
import django
django.setup()
from deployments.reconciler import leadership, observer
from deployments.dataplane.fake import ScriptedDriver
from deployments.reconciler.observer import ClusterObserver
observer.HEARTBEAT_SECONDS = 0.5
leadership.LEASE, leadership.RENEW_SECONDS = timedelta(seconds=2), 0.5
watching = ClusterObserver(UUID(sys.argv[1]), ScriptedDriver(), sys.argv[2])
print("begun", flush=True)
watching.run(threading.Event())
"""


def begin(cluster, name: str) -> subprocess.Popen:
    """An observer process of its own on the database of this test."""
    here = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    env = {**os.environ, "DATABASE_URL": urlunsplit(here)}
    process = subprocess.Popen(
        [sys.executable, "-c", OBSERVER, str(cluster.pk), name], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    return process


def wait_for(holds, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.mark.thorough
def test_a_leader_that_is_frozen_loses_its_cluster_within_a_lease_and_a_renewal_and_stays_out(cluster):
    """Fault 7, with real processes: SIGSTOP, takeover, SIGCONT."""
    first = begin(cluster, "first")
    second = None
    try:
        wait_for(lambda: leadership.is_leading(cluster.pk, "first"), 60)
        second = begin(cluster, "second")
        os.kill(first.pid, signal.SIGSTOP)
        wait_for(lambda: leadership.is_leading(cluster.pk, "second"), 30)
        os.kill(first.pid, signal.SIGCONT)
        Cluster.objects.update(last_seen_at=None)
        wait_for(lambda: Cluster.objects.get().last_seen_at is not None, 30)  # the second one's heartbeat
        assert Cluster.objects.get().observer == "second"
        assert first.poll() is None
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait(5)
            process.stdout.close()
