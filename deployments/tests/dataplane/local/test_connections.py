"""How many connections a Deployment's role may hold while the number of its schedulers changes."""

# ruff: noqa: F811 - fixtures of another module

from dataclasses import replace

import pytest

from deployments.dataplane.contract import Component, Outcome, Ref
from deployments.dataplane.local import driver
from deployments.dataplane.local.environment import connection_limit
from deployments.dataplane.local.health.observe import Observed
from deployments.dataplane.postgres import databases
from deployments.domain.spec import Release, RuntimeSpec, au_size
from deployments.domain.states import ComponentState, Executor
from deployments.tests.dataplane.contract import CANARIES
from deployments.tests.dataplane.local.airflow_local import config
from deployments.tests.dataplane.postgres.test_databases import ID, RELEASE, admin, made  # noqa: F401

REF = Ref(ID, RELEASE)
ONE = Release(ID, RELEASE, 1, RuntimeSpec("0.0-1", "0.0"), Executor.LOCAL, au_size(5), 1)
FOUR = replace(ONE, scheduler_replicas=4)


@pytest.fixture
def subject(admin, made, tmp_path):
    found = config()
    settings = {**found.settings, "state_dir": str(tmp_path)}
    return driver.LocalDriver(replace(found, database_url=admin, settings=settings))


def test_a_higher_limit_comes_before_what_needs_it_and_a_lower_one_when_nothing_does(
    subject, admin, monkeypatch
):
    """Two steps of `apply`, the first and the last one of a change of the number of schedulers."""

    def limit():
        return databases.find(admin, RELEASE, ID).connection_limit

    def ready(state):
        seen = Observed((Component("scheduler", state, 1, 1),), {}, (), {})
        monkeypatch.setattr(driver, "observe", lambda *_: seen)

    assert subject._database_step(REF, FOUR, CANARIES) is None
    assert limit() == connection_limit(FOUR) > connection_limit(ONE)
    assert subject._database_step(REF, ONE, CANARIES) is None
    assert limit() == connection_limit(FOUR)  # four schedulers run still
    ready(ComponentState.STOPPING)
    assert subject._readiness(REF, ONE).outcome is Outcome.WAITING
    assert limit() == connection_limit(FOUR)
    ready(ComponentState.READY)
    assert subject._readiness(REF, ONE).outcome is Outcome.FINISHED
    assert limit() == connection_limit(ONE)
