"""A registered Kubernetes cluster that nobody asks anything."""

import pytest

from deployments import checking, registration
from deployments.actions import QueueChoice
from deployments.dataplane import registry
from deployments.dataplane.fake import ScriptedDataPlane
from deployments.dataplane.kubernetes.checks import Check
from deployments.models import Cluster
from deployments.options import options_for
from deployments.tests.registered import OK, reach


@pytest.fixture
def findings(monkeypatch) -> dict[str, list[Check]]:
    """What looking at a cluster finds, in place of asking one."""
    found: dict[str, list[Check]] = {"examine": [OK], "try_out": []}
    monkeypatch.setattr(checking, "examine", lambda config: found["examine"])
    monkeypatch.setattr(checking, "try_out", lambda config: found["try_out"])
    return found


@pytest.fixture
def production(db, cluster, findings, monkeypatch) -> Cluster:
    """A registered, checked Kubernetes cluster beside this machine."""
    monkeypatch.setitem(registry.DRIVERS, "kubernetes", lambda config: ScriptedDataPlane())
    made = registration.register(name="Production", reach=reach(namespace_prefix="airflow-"), by=None)
    checking.check(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def on_production(production, choices):
    def make(name: str = "Analytics"):
        types = options_for(production).worker_types
        return choices(name, cluster=production, queue=QueueChoice(types[0], 1, 10, 16))

    return make
