"""Real Airflow on real nodes: it becomes Healthy and runs a DAG under every executor and on every runtime, sleeps,
wakes, and is upgraded.

Runs when KUBE_NODES=1, for a cluster (KUBECONFIG_TEST) whose nodes can pull apache/airflow and reach the Postgres that
KUBE_NODES_DATABASE_URL names, as an administrator of it. The DAG is one of Airflow's own examples.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import LiteralString

import pytest

from deployments.clusters.catalogue import RELEASES
from deployments.dataplane.contract import ClusterConfig
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.driver import KubernetesDriver
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import ComponentState, Executor
from deployments.tests.dataplane.contract import Case, converge, new_case, remove
from deployments.tests.dataplane.kubernetes.harness import REAL, real_kubeconfig
from deployments.tests.dataplane.life_contract import LifeContract
from deployments.tests.dataplane.local.airflow_local import REMEMBER, execute, table_in_the_way, until

NODES = REAL and os.environ.get("KUBE_NODES") == "1"
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not NODES, reason="KUBE_NODES=1 and KUBECONFIG_TEST name no cluster with real nodes"),
]
DATABASE_URL = os.environ.get("KUBE_NODES_DATABASE_URL", "")
DAG = "example_bash_operator"
EXAMPLES = {"AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
NEWEST, *OTHERS = [RuntimeSpec(version, airflow) for version, airflow, *_ in RELEASES]
RAN = f"SELECT state FROM dag_run WHERE dag_id = '{DAG}' AND state IN ('success', 'failed')"


class Nodes:
    """A cluster whose kubelets do the work; what `LifeContract` needs of a `contract.Harness`."""

    patience, pause = 900.0, 2.0  # the first Deployment waits for the image

    def __init__(self) -> None:
        assert DATABASE_URL, "KUBE_NODES_DATABASE_URL names no Postgres that the nodes can reach"
        settings = {**parse(real_kubeconfig()).settings(), "namespace_prefix": "airdeck-nodes-"}
        self.config = ClusterConfig("nodes", "kubernetes", DATABASE_URL, settings)

    def new_driver(self) -> KubernetesDriver:
        return KubernetesDriver(self.config)

    def failing_migration(self, case: Case) -> AbstractContextManager[None]:
        return table_in_the_way(case, DATABASE_URL)

    def remember(self, case: Case) -> None:
        rows(case, REMEMBER)

    def remembers(self, case: Case) -> bool:
        return rows(case, "SELECT count(*) FROM connection WHERE conn_id = 'kept'") == [(1,)]


def rows(case: Case, statement: LiteralString) -> list[tuple]:
    """What a statement finds in the metadata database, as the Deployment's own role."""
    return execute(case, statement, DATABASE_URL)


@pytest.fixture(
    params=[*((executor, NEWEST) for executor in Executor), *((Executor.CELERY, each) for each in OTHERS)],
    ids=lambda param: f"{param[0].value}-{param[1].version}",
)
def running(request) -> Iterator[tuple[Nodes, Case]]:
    """A Deployment with Airflow's examples, converged."""
    nodes, (executor, runtime) = Nodes(), request.param
    case = new_case(executor, runtime=runtime, environment=EXAMPLES)
    try:
        converge(nodes, case)
        yield nodes, case
    finally:
        remove(nodes, case)


def test_airflow_becomes_healthy_and_runs_a_dag(running) -> None:
    nodes, case = running
    components = nodes.new_driver().observe(case.ref).components
    assert {c.state for c in components} == {ComponentState.READY}, components
    until(lambda: rows(case, f"SELECT 1 FROM dag WHERE dag_id = '{DAG}'"), 300)
    rows(case, f"UPDATE dag SET is_paused = false WHERE dag_id = '{DAG}'")
    assert until(lambda: rows(case, RAN), 600) == [("success",)]
    message = {c.name: nodes.new_driver().logs(case.ref, c.name).lines for c in components}
    assert all(message.values()), message


class TestLife(LifeContract):
    """A Deployment sleeps, wakes, fails an upgrade, is upgraded and removed."""

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls) -> Nodes:
        return Nodes()
