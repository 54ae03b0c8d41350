"""The driver contract, held by the local data plane with real Airflow."""

import pytest

from deployments.dataplane.contract import AIRFLOW_PASSWORD
from deployments.dataplane.local.driver import LocalDriver
from deployments.tests.dataplane import sign_in_story
from deployments.tests.dataplane.code_contract import CodeContract
from deployments.tests.dataplane.contract import Case, DriverContract, remove
from deployments.tests.dataplane.life_contract import LifeContract
from deployments.tests.dataplane.local.airflow_local import LocalHarness, assert_runs_a_dag, config, door

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


class WithPassword(LocalHarness):
    """Where an operator keeps the password of last resort; in test_airflow.py nobody does, as in production."""

    def new_driver(self) -> LocalDriver:
        return LocalDriver(config(**{AIRFLOW_PASSWORD: "yes"}))


@pytest.fixture(scope="module")
def harness():
    made = WithPassword()
    made.running()
    yield made
    remove(made, made.running())


class TestLocalDataPlane(DriverContract, CodeContract):
    pass


def test_three_people_come_in_as_themselves_and_nobody_else_does(harness):
    """On the older runtime; on the newer one in test_airflow.py."""
    case = harness.running()
    sign_in_story.story(harness, case, *door(case), password=case.secrets.admin_password)


class TestLife(LifeContract):
    def first(self, harness: LocalHarness) -> Case:
        """The one of the tests above, which are done with it: starting another takes half a minute."""
        return harness.running()

    def _is_upgraded(self, harness: LocalHarness, case: Case) -> None:
        """Once it has run a DAG under its new executor as well."""
        assert_runs_a_dag(harness, case, "proof_of_local")
        super()._is_upgraded(harness, case)
