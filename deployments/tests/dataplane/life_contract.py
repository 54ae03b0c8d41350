"""What the driver contract says of a Deployment through its life: asleep, awake, upgraded, removed."""

from dataclasses import replace

import pytest

from deployments.dataplane.contract import (
    UPGRADE_STEP,
    Observation,
    Outcome,
    UpgradeFailed,
)
from deployments.domain.spec import Release
from deployments.domain.states import Executor
from deployments.reconciler import plan
from deployments.tests.dataplane.contract import (
    CANARIES,
    NEWER,
    OLDER,
    Case,
    Harness,
    apply_once,
    converge,
    new_case,
    remove,
)


def assert_asleep(harness: Harness, case: Case) -> None:
    """Nothing runs, the database is there, and that is what was asked for."""
    observation = harness.new_driver().observe(case.ref)
    assert observation.asleep
    assert observation.digest == case.release.digest
    assert {"database", "files"} & {item.step for item in observation.leftovers}
    assert "processes" not in {item.step for item in observation.leftovers}
    assert harness.new_driver().endpoint(case.ref) is None
    assert harness.new_driver().tasks(case.ref).running == 0
    assert apply_once(harness, case).outcome is Outcome.FINISHED  # twice is once


class LifeContract:
    """Subclass me beside `DriverContract`. One Deployment goes through everything: starting one takes long."""

    def test_a_deployment_sleeps_wakes_fails_an_upgrade_is_upgraded_and_removed(
        self, harness: Harness
    ) -> None:
        case = self.first(harness)
        try:
            harness.remember(case)
            self._goes_back_half_way(harness, case)
            self._sleeps(harness, case)
            local = replace(case.release, executor=Executor.LOCAL, queues=())
            case = replace(case, release=local, workers={})
            self._wakes_into_an_upgrade_that_fails(harness, case)
            self._is_upgraded(harness, case)
        finally:
            remove(harness, case)
        assert harness.new_driver().observe(case.ref) == Observation("")

    def first(self, harness: Harness) -> Case:
        """A Deployment with Celery on the older runtime that is FINISHED, to be changed and removed."""
        case = new_case(runtime=OLDER)
        converge(harness, case)
        return case

    def _goes_back_half_way(self, harness: Harness, case: Case) -> None:
        """A worker is killed after its first change, and the change is taken back: that has to be applied too."""
        other = replace(case, release=replace(case.release, generation=2, environment={"COLOUR": "red"}))
        assert apply_once(harness, other).outcome is Outcome.PROGRESSED
        assert plan.needs_apply(case.release, harness.new_driver().observe(case.ref), case.workers)
        converge(harness, case)
        assert not plan.needs_apply(case.release, harness.new_driver().observe(case.ref), case.workers)

    def _sleeps(self, harness: Harness, case: Case) -> None:
        asleep = replace(case, release=replace(case.release, generation=2, hibernating=True))
        assert asleep.release.digest != case.release.digest
        converge(harness, asleep)
        assert_asleep(harness, asleep)

    def _wakes_into_an_upgrade_that_fails(self, harness: Harness, case: Case) -> None:
        """With another executor, to which it goes back as well: nothing of Celery's is left."""
        with harness.failing_migration(case):
            with pytest.raises(UpgradeFailed) as caught:
                converge(harness, replace(case, release=upgraded(case.release)))
            assert str(caught.value)
            assert CANARIES.database_password not in str(caught.value)
            converge(harness, case)
        observation = harness.new_driver().observe(case.ref)
        assert observation.ready
        assert observation.digest == case.release.digest
        assert not any(c.name.startswith(("worker-", "redis")) for c in observation.components)
        assert observation.queues == ()
        assert harness.remembers(case)

    def _is_upgraded(self, harness: Harness, case: Case) -> None:
        later = replace(case, release=upgraded(case.release))
        steps = [step.key for step in harness.new_driver().create_steps(later.release)]
        before = [step.key for step in harness.new_driver().create_steps(case.release)]
        assert len(steps) == len(before) + 1
        assert set(steps) - set(before) == {UPGRADE_STEP}  # by which its duration is found
        before_it = len(harness.new_driver().observe(case.ref).leftovers)
        converge(harness, later)
        done = harness.new_driver().observe(case.ref)
        assert done.ready
        assert done.digest == later.release.digest
        assert len(done.leftovers) == before_it  # the copy of the database is gone
        assert harness.remembers(case)
        cleared = replace(later, release=replace(later.release, upgrade_from=None))
        assert apply_once(harness, cleared).outcome is Outcome.FINISHED  # restarts nothing
        assert harness.new_driver().observe(case.ref).components == done.components


def upgraded(release: Release) -> Release:
    """The same on the newer runtime."""
    return replace(release, generation=3, runtime=NEWER, upgrade_from=release.runtime)
