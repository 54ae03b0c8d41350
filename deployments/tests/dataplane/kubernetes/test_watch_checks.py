"""What a watch missed is found by the next check, which tells it from what changed since the watch ended."""

import pytest

from deployments.dataplane.kubernetes.watch import reflector
from deployments.tests.dataplane.kubernetes import test_watch
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.test_watch import REF, eventually, feed_of, watched

server, cluster = test_watch.server, test_watch.cluster


def test_a_lost_delete_is_found_by_the_next_check(cluster, monkeypatch):
    monkeypatch.setattr(reflector, "CHECK_SECONDS", 1.3)
    with cluster.watched() as watcher:
        cluster.emulator.script("EVENT DELETED deployments", Answer("lose"))
        cluster.delete(REF)
        held = feed_of(watcher, "Deployment")
        eventually(lambda: (REF.release_name, "scheduler") not in held.objects)
        watched(watcher)


@pytest.mark.parametrize(("newer", "lists"), [(True, 0), (False, 1)])
def test_what_changed_after_the_watch_ended_is_not_missed_and_what_changed_before_is(
    cluster, monkeypatch, newer, lists
):
    """Else a busy cluster lists everything again at each check."""
    monkeypatch.setattr(reflector, "CHECK_SECONDS", 1.3)
    with cluster.watched() as watcher:
        held = feed_of(watcher, "Deployment")
        check, listed = held._check, held.listed

        def changed_before_the_list() -> None:
            held._check = check  # once
            if newer:
                cluster.status(REF, readyReplicas=1)
            else:
                held.objects[REF.release_name, "scheduler"].version = "1"
            check()

        held._check = changed_before_the_list
        eventually(lambda: held._check == check)
        watched(watcher) if newer else eventually(lambda: held.listed > listed)
        assert held.listed == listed + lists
