"""Real Airflow on real nodes: under every executor it becomes Healthy and runs a DAG.

Runs when KUBE_NODES=1, for a cluster (KUBECONFIG_TEST) whose nodes can pull apache/airflow and reach the Postgres that
KUBE_NODES_DATABASE_URL names, as an administrator of it. The DAG is one of Airflow's own examples.
"""

import os
from collections.abc import Iterator

import pytest

from deployments.dataplane import database
from deployments.dataplane.base import ClusterConfig
from deployments.dataplane.kubernetes.driver import KubernetesDataPlane
from deployments.dataplane.kubernetes.kubeconfig import parse
from deployments.states import ComponentState, Executor
from deployments.tests.airflow_local import until
from deployments.tests.contract import Case, converge, new_case, remove
from deployments.tests.kubernetes.harness import REAL, real_kubeconfig

NODES = REAL and os.environ.get("KUBE_NODES") == "1"
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not NODES, reason="KUBE_NODES=1 and KUBECONFIG_TEST name no cluster with real nodes"),
]
DATABASE_URL = os.environ.get("KUBE_NODES_DATABASE_URL", "")
DAG = "example_bash_operator"


class Nodes:
    """A cluster whose kubelets do the work; see `contract.Harness`."""

    patience, pause = 900.0, 2.0  # the first Deployment waits for the image

    def __init__(self) -> None:
        assert DATABASE_URL, "KUBE_NODES_DATABASE_URL names no Postgres that the nodes can reach"
        settings = {**parse(real_kubeconfig()).settings(), "namespace_prefix": "airdeck-nodes-"}
        self.config = ClusterConfig("nodes", "kubernetes", DATABASE_URL, settings)

    def plane(self) -> KubernetesDataPlane:
        return KubernetesDataPlane(self.config)


@pytest.fixture(params=list(Executor), ids=lambda executor: executor.value)
def running(request) -> Iterator[tuple[Nodes, Case]]:
    """A Deployment with Airflow's examples, converged."""
    nodes = Nodes()
    case = new_case(request.param, environment={"AIRFLOW__CORE__LOAD_EXAMPLES": "True"})
    try:
        converge(nodes, case)
        yield nodes, case
    finally:
        remove(nodes, case)


def rows(case: Case, statement: str) -> list[tuple]:
    name = database.database_name(case.ref.release_name)
    with database.connect(DATABASE_URL, database=name) as connection:
        return connection.execute(statement).fetchall()


def test_airflow_becomes_healthy_and_runs_a_dag(running) -> None:
    nodes, case = running
    components = nodes.plane().observe(case.ref).components
    assert {c.state for c in components} == {ComponentState.READY}, components
    until(lambda: rows(case, f"SELECT 1 FROM dag WHERE dag_id = '{DAG}'"), 300)
    rows(case, f"UPDATE dag SET is_paused = false WHERE dag_id = '{DAG}' RETURNING dag_id")
    ended = f"SELECT state FROM dag_run WHERE dag_id = '{DAG}' AND state IN ('success', 'failed')"
    assert until(lambda: rows(case, ended), 600) == [("success",)]
