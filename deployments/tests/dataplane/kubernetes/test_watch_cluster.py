"""The watcher against a real API server, when KUBECONFIG_TEST names a kubeconfig: what people do by kubectl is noticed
with the name by which the API server knows it, and what happens by itself is not."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.objects import drift, inventory
from deployments.dataplane.kubernetes.objects.drift import Drift
from deployments.dataplane.kubernetes.watch.watcher import ClusterWatcher

REAL = os.environ.get("KUBECONFIG_TEST", "")
pytestmark = pytest.mark.skipif(not REAL, reason="KUBECONFIG_TEST names no kubeconfig of a real API server")


class Namespace:
    """A namespace with one workload and one ConfigMap, applied and written into its inventory."""

    def __init__(self) -> None:
        self.connection = Connection(parse(Path(REAL).read_text()))
        token = secrets.token_hex(4)
        self.ref = Ref(f"00000000-0000-0000-0000-0000{token}", f"watched-{token}")
        self.own = path_of("v1", "Namespace", "", self.ref.release_name)
        self.deployment = path_of("apps/v1", "Deployment", self.ref.release_name, "scheduler")
        self.config = path_of("v1", "ConfigMap", self.ref.release_name, "variables")
        meta = {"name": self.ref.release_name, "labels": names.labels(self.ref)}
        self.api().apply(self.own, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        self.put_back()

    def api(self) -> Api:
        return Api(self.connection, 30.0)

    def put_back(self) -> None:
        """As the driver does."""
        labels = names.labels(self.ref, "scheduler")
        pod = {"containers": [{"name": "airflow", "image": "x:1", "env": [{"name": "A", "value": "x"}]}]}
        template = {"metadata": {"labels": labels}, "spec": pod}
        selector = {"matchLabels": names.selector(self.ref, "scheduler")}
        spec = {"replicas": 1, "selector": selector, "template": template}
        documents = (
            (self.deployment, self._document("apps/v1", "Deployment", "scheduler", labels, {"spec": spec})),
            (
                self.config,
                self._document("v1", "ConfigMap", "variables", labels, {"data": {"A": "1", "B": "2"}}),
            ),
        )
        applied = [self.api().apply(path, manifest) for path, manifest in documents]
        entries = {(o["kind"], o["metadata"]["name"]): drift.entry(o) for o in applied}
        known = inventory.Inventory(entries=entries)
        kept = inventory.write(self.api(), self.ref, self.ref.release_name, known)
        inventory.clear_drift(self.api(), self.ref.release_name, kept)

    def _document(self, version: str, kind: str, name: str, labels: dict, body: dict) -> dict:
        meta = {"name": name, "namespace": self.ref.release_name, "labels": labels}
        return {"apiVersion": version, "kind": kind, "metadata": meta, **body}

    def drifts(self) -> tuple[Drift, ...]:
        return inventory.read(self.api(), self.ref, self.ref.release_name).drifts


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    found = Namespace()
    yield found
    found.api().delete(found.own, "the namespace")


@pytest.fixture
def watcher(namespace, monkeypatch) -> Iterator[ClusterWatcher]:
    monkeypatch.setattr("deployments.dataplane.kubernetes.watch.drift_detector.HOLD_SECONDS", 0.5)
    found = ClusterWatcher(namespace.api, "postgresql://nobody@127.0.0.1:1/none", lambda: True)
    refs = {namespace.ref.deployment_id: namespace.ref}
    deadline = time.monotonic() + 30
    while found.changed(refs, 0.5) or found.unreachable_reason():
        assert time.monotonic() < deadline, found.unreachable_reason()
    yield found
    found.close()


def merge(path: str, change: dict, manager: str) -> Callable[[Namespace], object]:
    return lambda n: n.api().merge(getattr(n, path), change, "it", manager)


def scale(replicas: int, manager: str) -> Callable[[Namespace], object]:
    change = {"spec": {"replicas": replicas}}
    return lambda n: n.api().merge(n.deployment + "/scale", change, "it", manager)


FOREIGN = {
    "scaled by hand": (scale(3, "kubectl"), ("Deployment", "kubectl")),
    "edited": (
        merge("deployment", {"spec": {"replicas": 0}}, "kubectl-edit"),
        ("Deployment", "kubectl-edit"),
    ),
    "a value changed": (
        merge("config", {"data": {"A": "9"}}, "kubectl-patch"),
        ("ConfigMap", "kubectl-patch"),
    ),
    "a value dropped": (merge("config", {"data": {"B": None}}, "someone"), ("ConfigMap", None)),
    "our label dropped": (
        merge("deployment", {"metadata": {"labels": {names.LABEL_PART_OF: None}}}, "kubectl-label"),
        ("Deployment", None),
    ),
    "removed": (lambda n: n.api().delete(n.deployment, "it"), ("Deployment", "")),
    "owners wiped": (
        merge("config", {"metadata": {"managedFields": [{}]}}, "somebody"),
        ("ConfigMap", None),
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_people_do_is_noticed_within_seconds(namespace, watcher, case):
    act, (kind, manager) = FOREIGN[case]
    began = time.monotonic()
    act(namespace)
    while not (found := namespace.drifts()):
        assert time.monotonic() - began < 10
        time.sleep(0.1)
    namespace.put_back()
    assert [one.kind for one in found] == [kind]
    if manager is not None:
        assert found[0].manager == manager


def test_a_watch_goes_on_after_an_event(namespace, watcher):
    """Every kind's: one that ends at each event and is begun by a new list hears all the same, at a hundred times the
    price."""
    listed = {feed.kind.kind: feed.listed for feed in watcher._feeds}
    for number in range(4):
        merge("config", {"metadata": {"annotations": {"seen": str(number)}}}, "mesh")(namespace)
        merge("deployment", {"metadata": {"annotations": {"seen": str(number)}}}, "mesh")(namespace)
        time.sleep(0.5)
    assert {feed.kind.kind: feed.listed for feed in watcher._feeds} == listed


def test_what_happens_by_itself_is_no_drift(namespace, watcher):
    """Controllers write annotations and status; our scaler scales; strangers have fields of their own."""
    scale(2, names.SCALER)(namespace)
    merge("config", {"data": {"ZZ": "theirs"}}, "kubectl-patch")(namespace)
    merge("deployment", {"metadata": {"annotations": {"mesh": "yes"}}}, "mesh")(namespace)
    namespace.put_back()
    time.sleep(2.5)
    assert namespace.drifts() == ()


def test_a_changed_status_is_told_within_half_a_second(namespace, watcher):
    refs = {namespace.ref.deployment_id: namespace.ref}
    taken = []
    for number in range(10):
        while watcher.changed(refs, 0.3):
            pass
        began = time.monotonic()
        change = {"spec": {"replicas": 2 - number % 2}}  # its controller answers with a status
        namespace.api().merge(namespace.deployment + "/scale", change, "it", names.SCALER)
        assert watcher.changed(refs, 5.0)
        taken.append(time.monotonic() - began)
    assert sorted(taken)[8] < 0.5
