"""The driver contract, held by the local data plane with real Airflow."""

import pytest

from deployments.tests.airflow_local import LocalHarness, assert_runs_a_dag
from deployments.tests.contract import DriverContract, LifeContract, remove

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def harness():
    made = LocalHarness()
    made.running()
    yield made
    remove(made, made.running())


class TestLocalDataPlane(DriverContract, LifeContract):
    def test_a_dag_put_into_the_folder_runs_to_success(self, harness: LocalHarness) -> None:
        assert_runs_a_dag(harness, harness.running())
