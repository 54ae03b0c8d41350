"""The watcher against an API server that misbehaves: nothing is missed for long, and a dead cache is never quiet."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.objects import drift, inventory
from deployments.dataplane.kubernetes.watch import kinds, pulse, reflector
from deployments.dataplane.kubernetes.watch.watcher import ClusterWatcher
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator

REF = Ref("00000000-0000-0000-0000-000000000001", "calm-orbit-0012")
OTHER = Ref("00000000-0000-0000-0000-000000000002", "busy-comet-0034")
REFS = {ref.deployment_id: ref for ref in (REF, OTHER)}


def eventually(holds, seconds: float = 30.0):
    """What `holds()` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return found


class Cluster:
    """The emulator, with a namespace of one Deployment in it, as another program would see it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.connection = Connection(emulator.credentials)

    def api(self) -> Api:
        return Api(self.connection)

    def apply(self, ref: Ref, kind: str = "Deployment", name: str = "scheduler", **spec: object) -> dict:
        """As the driver applies it."""
        version = {"Deployment": "apps/v1"}.get(kind, "v1")
        meta = {"name": name, "namespace": ref.release_name, "labels": names.labels(ref, name)}
        body = {"spec": {"replicas": 1, **spec}} if kind == "Deployment" else {"data": dict(spec)}
        manifest = {"apiVersion": version, "kind": kind, "metadata": meta, **body}
        return self.api().apply(path_of(version, kind, ref.release_name, name), manifest)

    def keep(self, ref: Ref, *objects: dict) -> None:
        """Write the inventory, as the driver does after an apply."""
        entries = {(o["kind"], o["metadata"]["name"]): drift.entry(o) for o in objects}
        inventory.write(self.api(), ref, ref.release_name, inventory.Inventory(entries=entries))

    def status(self, ref: Ref, name: str = "scheduler", **status: object) -> None:
        """As the controllers write it."""
        path = path_of("apps/v1", "Deployment", ref.release_name, name) + "/status"
        self.api().merge(path, {"status": status}, name, "kube-controller-manager")

    def edit(self, ref: Ref, name: str = "scheduler", manager: str = "kubectl-edit", **spec: object) -> None:
        """As a person does by hand."""
        path = path_of("apps/v1", "Deployment", ref.release_name, name)
        self.api().merge(path, {"spec": spec}, name, manager)

    def delete(self, ref: Ref, name: str = "scheduler") -> None:
        self.api().delete(path_of("apps/v1", "Deployment", ref.release_name, name), name)

    def annotated(self, ref: Ref) -> tuple[drift.Drift, ...]:
        return inventory.read(self.api(), ref, ref.release_name).drifts

    @contextmanager
    def watched(self, *, leading: bool = True) -> Iterator[ClusterWatcher]:
        """A watcher that has heard everything."""
        watcher = ClusterWatcher(self.api, "postgresql://nobody@127.0.0.1:1/none", lambda: leading)
        try:
            eventually(lambda: (watcher.changed(REFS, 0.02), not watcher.unreachable_reason())[1])
            while watcher.changed(REFS, 0.2):
                pass
            yield watcher
        finally:
            watcher.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        api = Api(Connection(emulator.credentials))
        for ref in REFS.values():
            meta = {"name": ref.release_name}  # bare: so that only what a test makes is of a Deployment
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
            api.apply(path_of("v1", "Namespace", "", ref.release_name), manifest)
        yield emulator


@pytest.fixture
def cluster(server, monkeypatch) -> Iterator[Cluster]:
    """One server for all; its objects are of this test. Times are shorter, in proportion."""
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.3)
    monkeypatch.setattr(pulse, "LOST_SECONDS", 0.2)
    monkeypatch.setattr(pulse, "REFUSED_SECONDS", 0.5)
    monkeypatch.setattr("deployments.dataplane.kubernetes.watch.drift_detector.HOLD_SECONDS", 0.5)
    monkeypatch.setattr("deployments.dataplane.kubernetes.watch.watcher.JUDGE_SECONDS", 0.05)
    found = Cluster(server)
    found.apply(REF)
    found.apply(OTHER)
    yield found
    server.heal()
    for ref in REFS.values():
        found.delete(ref)
        found.api().delete(inventory.path(ref.release_name), "the inventory")
    server.calls.clear()


def watched(watcher: ClusterWatcher, ref: Ref = REF, seconds: float = 30.0) -> float:
    """Wait until the watcher tells of that Deployment and of no other; how long it took."""
    began = time.monotonic()
    found = eventually(lambda: watcher.changed(REFS, 0.1), seconds)
    assert found == {ref.deployment_id}
    return time.monotonic() - began


def feed_of(watcher: ClusterWatcher, kind: str) -> reflector.Feed:
    return next(f for f in watcher._feeds if f.kind.kind == kind and f.kind is not kinds.INVENTORIES)


def since(cluster: Cluster, began: float) -> list[str]:
    return [call for at, call in cluster.emulator.calls if at >= began]


def most(began: float, rest: float) -> float:
    """How often one may have been asked who rests for so long after each answer."""
    return (time.monotonic() - began) / rest + 1


def test_a_changed_status_is_told_at_once_and_costs_no_request(cluster):
    with cluster.watched() as watcher:
        cluster.status(REF, readyReplicas=1)
        assert watched(watcher) < 5.0
        began = time.monotonic()
        assert watcher.changed(REFS, 1.0) == frozenset()
        assert {call.split("?")[0] for call in since(cluster, began)} <= {"GET /version"}


def test_every_kind_is_listed_and_watched_once_for_all_deployments_and_no_secret_is_read(cluster):
    cluster.emulator.calls.clear()
    with cluster.watched():
        calls = [call for _, call in cluster.emulator.calls]
    lists = [c for c in calls if "limit=" in c]
    assert len(lists) == len(kinds.KINDS)
    assert all("/namespaces/" not in call for call in calls)
    assert all(
        "as=PartialObjectMetadataList;" in kind.list_accept
        and "as=PartialObjectMetadata;" in kind.watch_accept
        for kind in kinds.KINDS
        if kind.kind in {"Secret", "Pod"}
    )


@pytest.mark.parametrize("kind", ["Deployment", "ConfigMap"])
def test_a_watch_goes_on_after_an_event(cluster, kind):
    with cluster.watched() as watcher:
        watched = feed_of(watcher, kind)
        listed = watched.listed
        made = [(REF.release_name, f"more-{number}") for number in range(3)]
        for each in made:
            found = cluster.apply(REF, kind, each[1])
            eventually(partial(watched.objects.get, each))
        assert watched.listed == listed
        for _, name in made:
            path = path_of(found["apiVersion"], kind, REF.release_name, name)
            cluster.api().delete(path, "it")


def test_what_tells_people_nothing_wakes_nobody(cluster):
    with cluster.watched() as watcher:
        path = path_of("apps/v1", "Deployment", REF.release_name, "scheduler")
        cluster.api().merge(path, {"metadata": {"annotations": {"seen": "yes"}}}, "it", "somebody")
        assert watcher.changed(REFS, 0.5) == frozenset()


def test_every_deployment_is_told_of_once_when_the_watch_begins(cluster):
    watcher = ClusterWatcher(cluster.api, "postgresql://nobody@127.0.0.1:1/none", lambda: True)
    missing = replace(REF, deployment_id="00000000-0000-0000-0000-000000000003")
    everyone = {**REFS, missing.deployment_id: missing}
    reported: set[str] = set()
    try:
        eventually(lambda: reported.update(watcher.changed(everyone, 0.1)) or reported == everyone.keys())
    finally:
        watcher.close()


def test_an_expired_version_is_answered_by_a_new_list_within_two_seconds(cluster):
    with cluster.watched() as watcher:
        before = feed_of(watcher, "Deployment").listed
        cluster.emulator.script(
            "EVENT MODIFIED deployments", Answer("status", 410, "too old resource version")
        )
        began = time.monotonic()
        cluster.status(REF, readyReplicas=1)
        watched(watcher)
        assert feed_of(watcher, "Deployment").listed == before + 1
        assert time.monotonic() - began < 10.0  # two seconds, and what a busy machine takes
        assert watcher.unreachable_reason() == ""


def test_a_watch_that_is_cut_goes_on_and_has_missed_nothing(cluster):
    with cluster.watched() as watcher:
        before = feed_of(watcher, "Deployment").listed
        cluster.emulator.script("EVENT MODIFIED deployments", Answer("reset"))
        cluster.status(REF, readyReplicas=1)
        watched(watcher)
        assert feed_of(watcher, "Deployment").listed == before  # resumed where it was
        assert watcher.unreachable_reason() == ""


@pytest.mark.thorough
def test_a_silent_watch_is_begun_again(cluster, monkeypatch):
    monkeypatch.setattr(reflector, "SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(reflector, "STEADY_SECONDS", 0.2)
    with cluster.watched():
        began = time.monotonic()
        watches = "GET /apis/apps/v1/deployments"
        eventually(lambda: sum(c.startswith(watches) and "watch" in c for c in since(cluster, began)) >= 2)


@pytest.mark.thorough
def test_rejected_credentials_are_said_at_once_and_hardly_knocked_with(cluster):
    with cluster.watched() as watcher:
        cluster.emulator.script("GET ", Answer("status", 401, "Unauthorized"), always=True)
        eventually(lambda: "rejects Airdeck's credentials" in watcher.unreachable_reason())
        began = time.monotonic()
        time.sleep(1.2)
        assert len(since(cluster, began)) <= most(began, pulse.REFUSED_SECONDS)  # 30 s in earnest
        cluster.emulator.heal()
        cluster.connection.hold(None, 0.0)
        eventually(lambda: not watcher.unreachable_reason())
        cluster.status(REF, readyReplicas=1)
        eventually(lambda: watcher.changed(REFS, 0.1) >= {REF.deployment_id})


def test_a_missing_right_is_named_and_asked_for_once_in_a_while(cluster, monkeypatch):
    monkeypatch.setattr(reflector, "FORBIDDEN_REST", 0.5)
    cluster.emulator.script(
        "GET /apis/apps/v1/deployments", Answer("status", 403, "deployments.apps is forbidden"), always=True
    )
    watcher = ClusterWatcher(cluster.api, "postgresql://nobody@127.0.0.1:1/none", lambda: True)
    try:
        watcher.changed(REFS, 0.1)
        eventually(lambda: "Grant the right" in watcher.unreachable_reason())
        began = time.monotonic()
        time.sleep(1.2)
        asked = [call for call in since(cluster, began) if "deployments" in call]
        assert len(asked) <= most(began, reflector.FORBIDDEN_REST)
        cluster.emulator.heal()
        eventually(lambda: not watcher.unreachable_reason())
    finally:
        watcher.close()


def test_a_server_that_hangs_is_called_silent_and_heals_by_itself(cluster, monkeypatch):
    monkeypatch.setattr("deployments.dataplane.kubernetes.api.client.READ_SECONDS", 0.2)
    monkeypatch.setattr("deployments.dataplane.kubernetes.api.client.TRIES", 1)
    with cluster.watched() as watcher:
        cluster.emulator.script("GET /version", Answer("hang"), always=True)
        eventually(lambda: "does not answer in time" in watcher.unreachable_reason())
        cluster.emulator.heal()
        eventually(lambda: not watcher.unreachable_reason())


@pytest.mark.thorough
def test_half_a_document_is_no_news(cluster):
    with cluster.watched() as watcher:
        cluster.emulator.script("EVENT MODIFIED deployments", Answer("status", 410))
        cluster.emulator.script("GET /apis/apps/v1/deployments.*limit", Answer("truncate"))
        cluster.status(REF, readyReplicas=1)
        watched(watcher)
        assert len(feed_of(watcher, "Deployment").objects) == 2


# -- Drift --


@pytest.mark.thorough
def test_what_somebody_changes_is_written_on_the_inventory_with_their_manager(cluster):
    cluster.keep(REF, cluster.apply(REF))
    with cluster.watched() as watcher:
        cluster.edit(REF, replicas=3)
        found = eventually(lambda: cluster.annotated(REF))
        assert found == (drift.Drift("Deployment", "scheduler", "kubectl-edit"),)
        eventually(lambda: watcher.changed(REFS, 0.1) == {REF.deployment_id})


@pytest.mark.thorough
def test_what_somebody_removes_is_noticed(cluster):
    cluster.keep(REF, cluster.apply(REF))
    with cluster.watched():
        cluster.delete(REF)
        found = eventually(lambda: cluster.annotated(REF))
        assert found == (drift.Drift("Deployment", "scheduler", removed=True),)


@pytest.mark.thorough
def test_what_was_put_back_is_no_drift_any_more(cluster):
    cluster.keep(REF, cluster.apply(REF))
    with cluster.watched():
        cluster.edit(REF, replicas=3)
        eventually(lambda: cluster.annotated(REF))
        cluster.keep(REF, cluster.apply(REF))
        known = inventory.read(cluster.api(), REF, REF.release_name)
        inventory.clear_drift(cluster.api(), REF.release_name, known)
        time.sleep(1.0)
        assert cluster.annotated(REF) == ()


@pytest.mark.thorough
def test_scaling_status_and_our_own_applies_are_no_drift(cluster):
    cluster.keep(REF, cluster.apply(REF))
    with cluster.watched():
        cluster.edit(REF, manager=names.SCALER, replicas=3)
        cluster.status(REF, readyReplicas=3)
        time.sleep(1.0)
        cluster.keep(OTHER, cluster.apply(OTHER))
        cluster.apply(OTHER, paused=False)  # the inventory is written a moment later
        time.sleep(1.0)
        assert cluster.annotated(REF) == cluster.annotated(OTHER) == ()


def test_who_does_not_lead_writes_nothing(cluster):
    cluster.keep(REF, cluster.apply(REF))
    with cluster.watched(leading=False):
        cluster.edit(REF, replicas=3)
        time.sleep(1.2)
        assert cluster.annotated(REF) == ()


def test_a_watcher_that_is_closed_leaves_no_thread_behind(cluster):
    with cluster.watched() as watcher:
        threads = watcher._threads
        assert len(threads) == len(kinds.KINDS) + 3
    eventually(lambda: not any(thread.is_alive() for thread in threads))
