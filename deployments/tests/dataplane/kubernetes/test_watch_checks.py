"""What a watch missed is found by the next check, which tells it from what changed since the watch ended."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.errors import ApiRefused, Busy
from deployments.dataplane.kubernetes.watch import kinds, reflector
from deployments.dataplane.kubernetes.watch.reflector import Feed
from deployments.tests.dataplane.kubernetes import test_watch
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.test_watch import REF, eventually, feed_of, watched

server, cluster = test_watch.server, test_watch.cluster


class Always:
    """An API server that gives every list, and answers every watch alike."""

    def __init__(self, watch: Callable[[], Iterator[bytes]]) -> None:
        self.lists, self._watch = 0, watch

    @contextmanager
    def stream(self, path, what, seconds, accept, **query):
        if query.get("watch"):
            yield self._watch()
            return
        self.lists += 1
        yield iter([json.dumps({"metadata": {"resourceVersion": "5"}, "items": []}).encode()])


def test_an_api_server_that_forgets_at_once_is_asked_less_and_less_often() -> None:
    """As one that answers 410 to the watch after each list."""

    def gone() -> Iterator[bytes]:
        raise ApiRefused(410, "too old")

    api, rests = Always(gone), []
    pulse = SimpleNamespace(stopped=False, wait=rests.append)
    kind = next(each for each in kinds.KINDS if each.kind == "Deployment")
    feed = Feed(kind, lambda: api, lambda owner, seen: None, pulse, set())

    def wait(seconds: float) -> None:
        rests.append(seconds)
        pulse.stopped = len(rests) == 6

    pulse.wait = wait
    feed.run()
    assert api.lists <= 8
    assert rests[-1] > rests[0]


def test_an_api_server_that_asks_for_time_gets_it() -> None:
    def busy() -> Iterator[bytes]:
        raise Busy("Come back later.", 7.0)

    rests: list[float] = []
    pulse = SimpleNamespace(stopped=False)

    def wait(seconds: float) -> None:
        rests.append(seconds)
        pulse.stopped = True

    pulse.wait = wait
    kind = next(each for each in kinds.KINDS if each.kind == "Deployment")
    Feed(kind, lambda: Always(busy), lambda owner, seen: None, pulse, set()).run()
    assert rests == [7.0]


@pytest.mark.parametrize(("kind", "wakes"), [("ConfigMap", False), ("Secret", False), ("Pod", True)])
def test_only_what_a_look_reads_wakes_a_deployment(kind, wakes) -> None:
    found = next(each for each in kinds.KINDS if each.kind == kind and each is not kinds.INVENTORIES)
    told: list[tuple[str, bool]] = []
    feed = Feed(found, lambda: None, lambda owner, seen: told.append((owner, seen)), None, set())
    labels = {names.LABEL_DEPLOYMENT: "d"}
    meta = {"name": "one", "namespace": "n", "uid": "u", "resourceVersion": "1", "labels": labels}
    feed._event({"type": "ADDED", "object": {"metadata": meta}})
    feed._event({"type": "DELETED", "object": {"metadata": meta}})
    assert told == [("d", wakes), ("d", wakes)]  # the judge of drift hears of it in any case


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
