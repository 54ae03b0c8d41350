"""Rows that an earlier version wrote are there, under their new names, once the schema is that of today."""

from uuid import uuid4

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE_THE_WORDS = [("deployments", "0008_cluster_trial_at")]


def migrate_to(targets):
    """The models as of `targets`."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def newest():
    """The schema is that of today again at the end, whatever happened."""
    leaves = [
        each for each in MigrationExecutor(connection).loader.graph.leaf_nodes() if each[0] == "deployments"
    ]
    yield leaves
    MigrationExecutor(connection).migrate(leaves)


def earlier_rows(old, key):
    """A Deployment with a queue, and its cluster, in the columns of then."""
    Workspace = old.get_model("workspaces", "Workspace")
    workspace = Workspace.objects.create(name="Acme Data")
    cluster = old.get_model("deployments", "Cluster").objects.create(
        name="east", kind="kubernetes", trouble="The API server does not answer."
    )
    runtime = old.get_model("deployments", "RuntimeRelease").objects.create(
        version="9.9-1", airflow_version="9.9.9", released_on="2026-01-01", maintained_until="2027-01-01"
    )
    deployment = old.get_model("deployments", "Deployment").objects.create(
        workspace=workspace,
        cluster=cluster,
        runtime=runtime,
        release_name="native-cosmos-3782",
        name="Analytics",
        name_key="analytics",
        form_key=key,
        executor="celery",
        scheduler_au=5,
        scheduler_replicas=1,
        notes={"Namespace": "native-cosmos-3782"},
        upgrade_trouble="Upgrade to 3.3-1 failed.",
    )
    worker_type = old.get_model("deployments", "WorkerType").objects.create(
        cluster=cluster, name="A5", cpu_millis=1000, memory_mib=2048, is_default=True
    )
    old.get_model("deployments", "WorkerQueue").objects.create(
        deployment=deployment,
        name="default",
        worker_type=worker_type,
        min_workers=1,
        max_workers=10,
        concurrency=16,
        wanted_workers=7,
    )
    return deployment, cluster


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_an_installation_of_the_earlier_words_keeps_every_value(newest):
    old = migrate_to(BEFORE_THE_WORDS)
    key = uuid4()
    deployment, cluster = earlier_rows(old, key)
    new = migrate_to(newest)
    found = new.get_model("deployments", "Deployment").objects.get(pk=deployment.pk)
    assert (found.idempotency_key, found.plane_details, found.upgrade_error) == (
        key,
        {"Namespace": "native-cosmos-3782"},
        "Upgrade to 3.3-1 failed.",
    )
    assert new.get_model("deployments", "WorkerQueue").objects.get(deployment=found).desired_workers == 7
    assert new.get_model("deployments", "Cluster").objects.get(pk=cluster.pk).unreachable_reason == (
        "The API server does not answer."
    )
