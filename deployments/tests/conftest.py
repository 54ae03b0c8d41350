"""A registered Kubernetes cluster that nobody asks anything."""

import pytest

from deployments.actions import QueueChoice, clusters
from deployments.clusters import checks
from deployments.clusters.options import options_for
from deployments.dataplane import registry
from deployments.dataplane.fake import ScriptedDriver
from deployments.dataplane.kubernetes.checks.verdicts import Check
from deployments.models import Cluster
from deployments.tests.registered import OK, reach


@pytest.fixture
def findings(monkeypatch) -> dict[str, list[Check]]:
    """What looking at a cluster finds, in place of asking one."""
    found: dict[str, list[Check]] = {"examine": [OK], "try_out": []}
    monkeypatch.setattr(checks, "examine", lambda config: found["examine"])
    monkeypatch.setattr(checks, "try_out", lambda config: found["try_out"])
    return found


@pytest.fixture
def production(db, cluster, findings, monkeypatch) -> Cluster:
    """A registered, checked Kubernetes cluster beside this machine."""
    monkeypatch.setitem(registry.DRIVERS, "kubernetes", lambda config: ScriptedDriver())
    made = clusters.register(name="Production", reach=reach(namespace_prefix="airflow-"), by=None)
    checks.check(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def on_production(production, choices):
    def make(name: str = "Analytics"):
        types = options_for(production).worker_types
        return choices(name, cluster=production, queue=QueueChoice(types[0], 1, 10, 16))

    return make
