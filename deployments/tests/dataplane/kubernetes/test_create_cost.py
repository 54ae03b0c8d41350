"""What a create costs on Kubernetes beside its objects: passes, queries of the console and connections to Postgres. A
fleet that is created at once is as fast as these are few."""

from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployments.actions import QueueChoice, create_deployment
from deployments.clusters import catalogue, connections
from deployments.dataplane.contract import Outcome, Ref
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment, RuntimeRelease
from deployments.reconciler.reconcile import reconcile
from deployments.tests.dataplane.kubernetes.harness import ADMIN, KubernetesHarness

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

# Of the queries one per pass asks whether what was pushed to open pages is still so (`recording.publish`). Of the
# connections two are for making the visitor (`visits`), at the first look.
PASSES, MOST_QUERIES, MOST_CONNECTIONS = 2, 65, 13


@pytest.fixture
def cluster(harness) -> Cluster:
    """The emulator, registered."""
    found = Cluster(name="Production", kind=Cluster.Kind.KUBERNETES, checked_at=timezone.now())
    connections.seal(found, database_url=ADMIN, settings=dict(harness.config().settings))
    found.save()
    catalogue.apply()
    catalogue.add_worker_types(found, [("A5", 1000, 2048)])
    return found


@pytest.fixture
def create(harness, cluster, workspace, alice, choices) -> Iterator:
    """Makes a row, whose objects and database are gone afterwards."""
    refs: list[Ref] = []

    def one(name: str) -> Deployment:
        runtime = RuntimeRelease.objects.order_by("-released_on")[0]
        queue = QueueChoice(cluster.worker_types.get(), 1, 10, 16)
        desired = choices(cluster=cluster, runtime=runtime, queue=queue, name=name)
        made = create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=desired)
        refs.append(Ref(str(made.pk), made.release_name))
        return made

    yield one
    for ref in refs:
        while harness.new_driver().destroy(ref).outcome is not Outcome.FINISHED:
            pass


def test_a_create_takes_two_passes_and_asks_little(harness, create, enqueued, monkeypatch) -> None:
    _healthy(harness, create("First"))  # makes the template database
    made, opened, connect = create("Second"), [], psycopg.Connection.connect.__func__

    def counted(kind: type, conninfo: str, **settings):
        if "application_name=airdeck" in conninfo:  # not the kubelet's
            opened.append(conninfo)
        return connect(kind, conninfo, **settings)

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(counted))
    with CaptureQueriesContext(connection) as queries:
        passes = _healthy(harness, made)
    assert passes == PASSES
    assert len(queries) <= MOST_QUERIES, [query["sql"][:200] for query in queries]
    assert 0 < len(opened) <= MOST_CONNECTIONS


def test_the_first_pass_of_a_create_sends_each_object_once_and_looks_once_after_it(
    harness, create, enqueued
) -> None:
    _healthy(harness, create("First"))
    made, before = create("Second"), len(harness.emulator.calls)
    reconcile(made.pk)
    calls = [call.partition("?")[0] for _, call in harness.emulator.calls[before:]]
    sent = Counter(call for call in calls if call.startswith("PATCH "))
    twice = {call.rpartition("/")[2] for call, times in sent.items() if times > 1}
    assert len(sent) > 40
    assert twice == {"airdeck-inventory"}  # before and after
    assert sum(call.endswith("/deployments") for call in calls) == 1


def _healthy(harness: KubernetesHarness, made: Deployment) -> int:
    """Run passes until it is; how many."""
    for passes in range(1, 20):
        reconcile(made.pk)
        if Deployment.objects.values_list("status", flat=True).get(pk=made.pk) == Status.HEALTHY:
            return passes
        harness.kubelet.play()
        Deployment.objects.filter(pk=made.pk).update(due_at=Now())  # as an observer that was told of its pods
    raise AssertionError(f"not Healthy: {Deployment.objects.get(pk=made.pk).status_reason}")
