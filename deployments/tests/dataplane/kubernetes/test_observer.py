"""From an event in a cluster to the row, all parts together: observer, watcher, hints, reconciler, driver, and the
emulator or (KUBECONFIG_TEST) a real API server."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from deployments.actions import QueueChoice, create_deployment
from deployments.clusters import catalogue, connections
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment, RuntimeRelease
from deployments.reconciler import observer
from deployments.reconciler.observer import ClusterObserver
from deployments.reconciler.reconcile import reconcile
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.harness import ADMIN, REAL, KubernetesHarness, real_kubeconfig
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)


def eventually(holds: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


class Worker:
    """Runs the passes that were hinted, as a worker does, and what is due, as the sweep does."""

    def __init__(self, enqueued: list[UUID]) -> None:
        self.enqueued, self.stop, self.passes = enqueued, threading.Event(), 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            pks = {self.enqueued.pop(0) for _ in range(len(self.enqueued))}
            for pk in pks or set(Deployment.objects.filter(deleted_at=None).values_list("pk", flat=True)):
                while reconcile(pk):
                    self.passes += 1
            time.sleep(0.02)
        connection.close()


@pytest.fixture
def world() -> Iterator[KubernetesHarness]:
    with Emulator() as emulator:
        played = None if REAL else emulator
        harness = KubernetesHarness(real_kubeconfig() if REAL else emulator.kubeconfig, emulator=played)
        yield harness
        harness.close()


@pytest.fixture
def there(world) -> Cluster:
    """The emulator, registered."""
    found = Cluster(name="Production", kind=Cluster.Kind.KUBERNETES, checked_at=timezone.now())
    config = world.config()
    connections.seal(found, database_url=ADMIN, settings=dict(config.settings))
    found.save()
    catalogue.apply()
    catalogue.add_worker_types(found, [("A5", 1000, 2048)])
    return found


@pytest.fixture
def running(there, enqueued) -> Iterator[None]:
    """An observer and a worker."""
    stop, worker = threading.Event(), Worker(enqueued)
    watching = ClusterObserver(there.pk, connections.driver_of(there))
    thread = threading.Thread(target=watching.run, args=(stop,))
    thread.start()
    yield
    stop.set()
    worker.stop.set()
    worker.thread.join(20)
    thread.join(10)


class Still(threading.Event):
    """Once it is set, no round of the kubelet is under way that would write over what a test writes then."""

    def __init__(self) -> None:
        super().__init__()
        self.round = threading.Lock()

    def set(self) -> None:
        super().set()
        with self.round:
            pass


@pytest.fixture
def kubelet(world) -> Iterator[Still]:
    """Plays the cluster until it is set."""
    still, stop = Still(), threading.Event()

    def play() -> None:
        while not stop.is_set():
            with still.round:
                if not still.is_set():
                    with suppress(DataPlaneError):  # the API server is away: a kubelet tries again
                        world.kubelet.play()
            time.sleep(0.05)

    thread = threading.Thread(target=play)
    thread.start()
    yield still
    stop.set()
    thread.join(10)


def a_pod_that_is_not_ready_makes_the_row_unhealthy(world, namespace, scheduler, row, kubelet) -> None:
    """The row follows without being looked for."""
    label = f"{names.LABEL_COMPONENT}=scheduler"
    (pod,) = world.api().items(path_of("v1", "Pod", namespace), "pods", labelSelector=label)
    unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    path = path_of("v1", "Pod", namespace, pod["metadata"]["name"]) + "/status"
    world.api().merge(path, unready, "it", "kubelet")
    if world.emulator:  # which has no controllers while the kubelet is still
        none = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
        world.api().merge(f"{scheduler}/status", none, "it", "kube-controller-manager")
    eventually(lambda: row().status == Status.UNHEALTHY)
    world.api().merge(path, {"status": {"conditions": pod["status"]["conditions"]}}, "it", "kubelet")
    kubelet.clear()
    eventually(lambda: row().status == Status.HEALTHY)


def quiet(world: KubernetesHarness) -> bool:
    """Whether for a while nobody asks anything."""
    began = time.monotonic()
    time.sleep(1.5)
    calls = [call for at, call in world.emulator.calls if at > began]
    return [each for each in calls if "watch=true" not in each and "/version" not in each] == []


@pytest.mark.thorough
def test_the_cluster_tells_and_the_row_follows(
    workspace, alice, there, choices, running, kubelet, world, monkeypatch
):
    monkeypatch.setattr("deployments.dataplane.kubernetes.watch.drift_detector.HOLD_SECONDS", 0.5)
    monkeypatch.setattr(observer, "HEARTBEAT_SECONDS", 0.2)
    runtime = RuntimeRelease.objects.order_by("-released_on").first()
    queue = QueueChoice(there.worker_types.get(), 1, 1, 16)
    desired = choices(cluster=there, runtime=runtime, queue=queue)
    made = create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=desired)

    def row() -> Deployment:
        return Deployment.objects.select_related("cluster").get(pk=made.pk)

    eventually(lambda: row().status == Status.HEALTHY, 60)
    eventually(lambda: row().cluster.last_seen_at is not None)
    namespace = names.namespace(world.prefix, made.release_name)
    scheduler = path_of("apps/v1", "Deployment", namespace, "scheduler")

    # Quiet: nothing is asked about a Healthy Deployment.
    kubelet.set()
    time.sleep(1.0)
    if world.emulator:
        eventually(lambda: quiet(world))  # on a busy machine a second later

    a_pod_that_is_not_ready_makes_the_row_unhealthy(world, namespace, scheduler, row, kubelet)

    # Somebody edits: it is put back, and told.
    world.api().merge(scheduler, {"spec": {"replicas": 0}}, "it", "kubectl-edit")
    eventually(lambda: AuditEvent.objects.filter(verb="repaired").exists())
    reported = AuditEvent.objects.get(verb="repaired")
    assert reported.new == {"repair": "Deployment scheduler was changed by kubectl-edit; it was put back."}
    assert world.api().get(scheduler)["spec"]["replicas"] == 1
    eventually(lambda: row().status == Status.HEALTHY)
