"""What a page says, sampled four times a second through a run of faults, against what is so: no wrong word for more
than ten seconds, and none that flips."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from deployments.actions import QueueChoice, create_deployment
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.postgres import databases
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment, RuntimeRelease
from deployments.reconciler import observer
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.harness import ADMIN, REAL

# Fixtures.
from deployments.tests.dataplane.kubernetes.test_observer import eventually, kubelet, running, there, world

__all__ = ["kubelet", "running", "there", "world"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(REAL), reason="plays an API server's faults"),
    pytest.mark.thorough,
]
SAMPLE_SECONDS = 0.25
WRONG_SECONDS = 10.0
Said = tuple[str, str]


class Sampler:
    """What one Deployment's page said, and since when."""

    def __init__(self, pk) -> None:
        self._pk, self._stop = pk, threading.Event()
        self.message: list[tuple[float, Said]] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            row = Deployment.objects.select_related("cluster").get(pk=self._pk)
            now = (row.shown_status.value, row.reason)
            if not self.message or self.message[-1][1] != now:
                self.message.append((time.monotonic(), now))
            self._stop.wait(SAMPLE_SECONDS)
        connection.close()

    @property
    def now(self) -> Said:
        return self.message[-1][1]

    def words(self, since: float) -> list[str]:
        """The status words from a moment on, each once while it stands."""
        before = [message[0] for at, message in self.message if at <= since][-1:]
        later = [message[0] for at, message in self.message if at > since]
        return [word for word, earlier in zip(later, [*before, *later], strict=False) if word != earlier]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)


@pytest.fixture
def page(workspace, alice, there, choices, running, kubelet, monkeypatch) -> Iterator[Sampler]:
    """A Healthy Deployment and what its page says."""
    monkeypatch.setattr(observer, "HEARTBEAT_SECONDS", 1.0)
    runtime = RuntimeRelease.objects.order_by("-released_on").first()
    queue = QueueChoice(there.worker_types.get(), 1, 1, 16)
    desired = choices(cluster=there, runtime=runtime, queue=queue)
    made = create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=desired)
    eventually(lambda: Deployment.objects.get(pk=made.pk).status == Status.HEALTHY, 60)
    sampler = Sampler(made.pk)
    sampler.deployment = made
    eventually(lambda: sampler.message)
    yield sampler
    sampler.close()


def within(sampler: Sampler, holds: Callable[[Said], bool]) -> None:
    eventually(lambda: holds(sampler.now), WRONG_SECONDS)


@contextmanager
def away(monkeypatch) -> Iterator[None]:
    """The primary Postgres refuses connections, to us; the kubelet's heartbeats go on."""
    real = databases.connect

    def refused(admin_url, database=None, **settings):
        return real("postgresql://a:b@127.0.0.1:1/x", database, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(databases, "connect", refused)
        yield


def test_a_database_server_that_is_away_is_named_within_ten_seconds_and_forgotten_within_ten(
    page, monkeypatch
):
    began = time.monotonic()
    with away(monkeypatch):
        within(
            page,
            lambda message: message[0] == "unhealthy" and "database server does not answer" in message[1],
        )
        assert 'connection to server at "127.0.0.1", port 1 failed: Connection refused' in page.now[1]
        stands = time.monotonic()
        time.sleep(5)
        assert [message for at, message in page.message if at > stands] == []  # one steady sentence
    within(page, lambda message: message[0] == "healthy")
    assert page.words(began) == ["unhealthy", "healthy"]


def test_an_api_server_that_restarts_is_no_news_of_a_healthy_deployment(page, world):
    """It is gone, then it forbids everything, then it knows its rules."""
    # On a busy machine the Deployment may be Healthy before the observer has listed every kind once.
    eventually(lambda: Cluster.objects.get(pk=page.deployment.cluster_id).last_seen_at is not None)
    began = time.monotonic()
    Deployment.objects.update(observed_at=page.deployment.created_at.replace(year=2020))  # as of a quiet one
    world.emulator.script(".*", Answer(status=503), always=True)
    time.sleep(3)
    world.emulator.heal()
    world.emulator.script(".*", Answer(status=403, message="User cannot get resource"), always=True)
    Deployment.objects.update(due_at=Now())
    time.sleep(3)
    world.emulator.heal()
    within(page, lambda message: message[0] == "healthy")
    assert not any("Grant" in message[1] for _, message in page.message)
    assert page.words(began) == []


def pods_of(world, page, component: str):
    namespace = names.namespace(world.prefix, page.deployment.release_name)
    label = f"{names.LABEL_COMPONENT}={component}"
    found = world.api().items(path_of("v1", "Pod", namespace), "pods", labelSelector=label)
    return [(path_of("v1", "Pod", namespace, pod["metadata"]["name"]), pod) for pod in found]


def test_a_scheduler_that_crashed_is_not_called_healthy_by_the_dead_ones_heartbeat(page, world, kubelet):
    kubelet.set()
    began = time.monotonic()
    ((path, pod),) = pods_of(world, page, "scheduler")
    workload = path_of(
        "apps/v1", "Deployment", names.namespace(world.prefix, page.deployment.release_name), "scheduler"
    )
    container = pod["status"]["containerStatuses"][0]
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": moment, "startedAt": moment}}

    def set_status(ready: bool, **changes) -> None:
        conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": moment}]
        status = {"conditions": conditions, "containerStatuses": [{**container, "ready": ready, **changes}]}
        world.api().merge(f"{path}/status", {"status": status}, "it", "kubelet")
        counts = {"readyReplicas": int(ready), "availableReplicas": int(ready)}
        world.api().merge(f"{workload}/status", {"status": counts}, "it", "kube-controller-manager")

    set_status(False, state=ended)
    within(page, lambda message: message[0] == "unhealthy" and "crashed once" in message[1])
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))  # beyond what clocks are apart
    set_status(True, state={"running": {"startedAt": later}}, lastState=ended, restartCount=1)
    time.sleep(4)  # the dead one's heartbeat is still fresh
    assert page.now[0] == "unhealthy"
    name = databases.database_name(page.deployment.release_name)
    with psycopg.connect(ADMIN, dbname=name, autocommit=True) as metadata:
        metadata.execute(
            "UPDATE job SET start_date = now() + interval '5 s', latest_heartbeat = now() + interval '6 s' "
            "WHERE job_type = 'SchedulerJob'"
        )
    Deployment.objects.update(due_at=Now())
    within(page, lambda message: message[0] == "healthy")
    assert page.words(began) == ["unhealthy", "healthy"]
    row = Deployment.objects.get(pk=page.deployment.pk)
    assert row.components.get(name="scheduler").restarts == 1


def test_a_mount_that_failed_once_is_no_news_of_a_pod_that_runs(page, world):
    began = time.monotonic()
    ((_, pod),) = pods_of(world, page, "redis")
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "mount", "namespace": namespace},
        "type": "Warning",
        "reason": "FailedMount",
        "message": "MountVolume.SetUp failed: timed out",
        "lastTimestamp": "2020-01-01T00:00:00Z",
        "involvedObject": {"kind": "Pod", "name": name},
    }
    world.api().apply(path_of("v1", "Event", namespace, "mount"), event)
    Deployment.objects.update(due_at=Now())
    time.sleep(3)
    assert page.words(began) == []


def test_an_ordinary_scale_down_is_no_news(page, world, kubelet):
    kubelet.set()
    began = time.monotonic()
    workload = path_of(
        "apps/v1", "Deployment", names.namespace(world.prefix, page.deployment.release_name), "worker-default"
    )
    more = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    world.api().merge(f"{workload}/status", {"status": more}, "it", "kube-controller-manager")
    Deployment.objects.update(due_at=Now())
    time.sleep(3)
    assert page.words(began) == []
    row = Deployment.objects.get(pk=page.deployment.pk)
    assert row.components.get(name="worker-default").state == "ready"
