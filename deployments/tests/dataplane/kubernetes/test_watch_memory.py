"""What the observer keeps in memory of each Deployment: a cluster may have thousands."""

import json
import tracemalloc
from uuid import UUID

import pytest

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.watch import kinds
from deployments.dataplane.kubernetes.watch.pulse import Pulse
from deployments.dataplane.kubernetes.watch.reflector import Feed
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes import samples

pytestmark = pytest.mark.thorough

COUNT = 100
MOST_KIB = 34.0  # 1,000 Deployments are 34 MiB beside what the process holds anyway


def test_a_deployment_costs_the_observer_little_memory() -> None:
    events = [line for number in range(COUNT) for line in _events(number)]
    feeds = [Feed(kind, _no_api, lambda owner, reported: None, Pulse(_no_api), set()) for kind in kinds.KINDS]
    by_kind = {feed.kind.kind: feed for feed in feeds if feed.kind is not kinds.INVENTORIES}
    tracemalloc.start()
    try:
        for kind, line in events:
            (feeds[0] if kind == "inventory" else by_kind[kind])._event(json.loads(line))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(feed.objects) for feed in feeds) == len(events)
    assert all(len(held.inventory.entries) > 30 for held in feeds[0].objects.values())
    each = kept / COUNT / 1024
    assert each <= MOST_KIB


def _no_api() -> None:
    raise AssertionError("nothing is asked")


def _events(number: int) -> list[tuple[str, str]]:
    """What an API server would say of one Deployment: its objects, its pods and its inventory, as lines."""
    ref = Ref(str(UUID(int=number)), f"calm-orbit-{number:04d}")
    namespace, found = f"airdeck-{ref.release_name}", []
    for serial, manifest in enumerate(samples.documents(samples.inputs(Executor.CELERY, "smallest"))):
        found.append(_there(manifest["kind"], manifest["metadata"]["name"], namespace, ref, serial))
    pods = [
        _there("Pod", f"{name}-7d9f8c6b5d-{number:05d}", namespace, ref, 90 + serial)
        for serial, name in enumerate(("api-server", "scheduler", "triggerer", "redis", "worker-default"))
    ]
    entries = [drift.entry(one) for one in found]
    inside = {drift.INVENTORY_KEY: drift.dump(entries)}
    own = {**_there("ConfigMap", names.INVENTORY, namespace, ref, 99), "data": inside}
    lines = [(one["kind"], one) for one in [*found, *pods]] + [("inventory", own)]
    return [(kind, json.dumps({"type": "ADDED", "object": one})) for kind, one in lines]


def _there(kind: str, name: str, namespace: str, ref: Ref, serial: int) -> dict:
    uid = UUID(int=(int(UUID(ref.deployment_id)) << 16) + serial)
    fields = {"f:metadata": {"f:labels": {}}, "f:spec": {f"f:{name}": {}}}
    own = {"manager": names.MANAGER, "operation": "Apply", "time": "2026-11-28T20:00:00Z", "fieldsV1": fields}
    status = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"}
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": str(uid),
        "resourceVersion": str(10_000 + serial),
        "labels": names.labels(ref),
        "managedFields": [own, status],
    }
    return {"kind": kind, "metadata": meta}
