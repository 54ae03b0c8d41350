"""The driver contract, held by the scripted data plane: what the other tests stand on behaves as the real one."""

from contextlib import contextmanager

import pytest

from deployments.dataplane.fake import ScriptedDriver
from deployments.tests.dataplane.code_contract import CodeContract
from deployments.tests.dataplane.contract import Case, DriverContract, converge, new_case
from deployments.tests.dataplane.life_contract import LifeContract


class ScriptedHarness:
    """See `contract.Harness`. The world is kept, because it stands for the cluster and not for the driver."""

    patience = 5.0
    pause = 0.0
    components = frozenset(("api-server", "scheduler"))

    def __init__(self) -> None:
        self._plane = ScriptedDriver()
        self._running: Case | None = None

    def new_driver(self) -> ScriptedDriver:
        return self._plane

    def unreachable(self) -> ScriptedDriver:
        driver = ScriptedDriver()
        driver.silent = "The scripted data plane does not answer."
        return driver

    def running(self) -> Case:
        if self._running is None:
            case = new_case()
            converge(self, case)
            self._running = case
        return self._running

    @contextmanager
    def failing_migration(self, case: Case):
        self._plane.fail_migration = "airflow db migrate failed: a table is in the way"
        yield
        self._plane.fail_migration = ""

    def write_task_log(self, case: Case, path: str, text: str) -> None:
        self._plane.worlds[case.ref.release_name].task_logs.write(path, *text.splitlines())

    def remember(self, case: Case) -> None:
        self._plane.worlds[case.ref.release_name].rows = ("a row",)

    def remembers(self, case: Case) -> bool:
        return self._plane.worlds[case.ref.release_name].rows == ("a row",)


@pytest.fixture(scope="module")
def harness():
    return ScriptedHarness()


class TestScriptedDataPlane(DriverContract, LifeContract, CodeContract):
    pass
