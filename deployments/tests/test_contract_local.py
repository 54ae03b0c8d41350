"""The driver contract, held by the local data plane with real Airflow."""

import pytest

from deployments.tests.airflow_local import LocalHarness
from deployments.tests.contract import Case, DriverContract, LifeContract, remove

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def harness():
    made = LocalHarness()
    made.running()
    yield made
    remove(made, made.running())


class TestLocalDataPlane(DriverContract):
    pass


class TestLife(LifeContract):
    def first(self, harness: LocalHarness) -> Case:
        """The one of the tests above, which are done with it: starting another takes half a minute."""
        return harness.running()
