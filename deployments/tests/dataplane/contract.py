"""The driver contract as tests: every sentence of `dataplane/contract.py` that a driver could break.

A driver's test module subclasses `DriverContract` and gives a `harness` fixture. Tests that need a running Airflow
share one (`harness.running`), because starting it may take half a minute; no test changes it.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from deployments.dataplane.contract import (
    CALL_BUDGET_SECONDS,
    DataPlaneError,
    DataPlaneUnreachable,
    Driver,
    Observation,
    Outcome,
    Progress,
    Ref,
)
from deployments.dataplane.reading import Since
from deployments.domain.spec import QueueSpec, Release, RuntimeSpec, Secrets, au_size
from deployments.domain.states import ComponentState, Executor
from deployments.tests.dataplane.asked_contract import AskedContract
from deployments.tests.dataplane.task_log_contract import TaskLogContract

OLDER, NEWER = RuntimeSpec("3.2-1", "3.2.2"), RuntimeSpec("3.3-1", "3.3.2")
# Of one pair, the private half and the public one; as in the first test of RFC 8032.
SIGN_IN_KEY = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
CANARIES = Secrets(
    fernet_key="Y2FuYXJ5LWZlcm5ldC1rZXktb2YtMzItYnl0ZXMtLS0=",
    jwt_secret="canary-jwt-" + "j" * 64,
    api_secret_key="canary-api-secret-key",
    database_password="canary-database-password",
    redis_password="canary-redis-password",
    admin_password="canary-admin-password",
    sign_in_key="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    variables={"TOKEN": "canary-secret-variable"},
    registry_login='{"auths": {"registry.example": {"auth": "canary-registry-login"}}}',
)


@dataclass(frozen=True)
class Case:
    """One Deployment as a test asks for it."""

    ref: Ref
    release: Release
    secrets: Secrets
    workers: dict[str, int]


class Harness(Protocol):
    """What a driver's test module provides."""

    patience: float  # seconds until a Deployment must be FINISHED
    pause: float  # seconds between two calls that wait
    components: frozenset[str]  # of a Deployment with Celery and the queue "default"

    def new_driver(self) -> Driver:
        """A driver made anew; it shares nothing in memory with the one before."""

    def unreachable(self) -> Driver:
        """A driver whose data plane does not answer."""

    def running(self) -> Case:
        """A Deployment that is FINISHED, shared by all tests of the module, and never changed by them."""

    def failing_migration(self, case: Case) -> AbstractContextManager[None]:
        """While it lasts, the metadata database of this Deployment cannot be migrated to the newer runtime."""

    def write_task_log(self, case: Case, path: str, text: str) -> None:
        """Have a task of it write this into its log, and end."""

    def remember(self, case: Case) -> None:
        """Put something into its metadata database."""

    def remembers(self, case: Case) -> bool:
        """Whether that is there."""


_numbers = iter(range(1000, 9999))


def new_case(executor: Executor = Executor.CELERY, **changes: object) -> Case:
    """A Deployment that nobody has seen before."""
    number = next(_numbers)
    queues = (QueueSpec("default", 1, 3, 2, au_size(5)),) if executor is Executor.CELERY else ()
    release = Release(
        deployment_id=f"00000000-0000-0000-0000-00000000{number}",
        release_name=f"contract-case-{number}",
        generation=1,
        runtime=RuntimeSpec("3.3-1", "3.3.2"),
        executor=executor,
        scheduler=au_size(5),
        scheduler_replicas=1,
        queues=queues,
        environment={"COLOUR": "blue"},
    )
    release = replace(release, **changes)
    return Case(
        Ref(release.deployment_id, release.release_name), release, CANARIES, {q.name: 1 for q in queues}
    )


def apply_once(harness: Harness, case: Case) -> Progress:
    """One call on a new driver, as a new worker would make it; bounded as the contract says."""
    began = time.monotonic()
    progress = harness.new_driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert time.monotonic() - began < CALL_BUDGET_SECONDS
    return progress


def converge(harness: Harness, case: Case) -> list[Progress]:
    """Apply until FINISHED; every answer on the way, each a sentence about a listed step, in their order."""
    steps = [step.key for step in harness.new_driver().create_steps(case.release)]
    seen: list[Progress] = []
    deadline = time.monotonic() + harness.patience
    while not seen or seen[-1].outcome is not Outcome.FINISHED:
        assert time.monotonic() < deadline, (
            f"not finished: {seen[-1]}, {harness.new_driver().observe(case.ref)}"
        )
        seen.append(apply_once(harness, case))
        if seen[-1].outcome is Outcome.WAITING:
            time.sleep(harness.pause)
    assert_in_order(steps, seen)
    assert all(progress.sentence.endswith(".") for progress in seen)
    return seen


def remove(harness: Harness, case: Case) -> list[Progress]:
    """Destroy until FINISHED; every answer on the way, each about a listed step, in their order."""
    seen: list[Progress] = []
    deadline = time.monotonic() + harness.patience
    while not seen or seen[-1].outcome is not Outcome.FINISHED:
        assert time.monotonic() < deadline, f"not gone: {seen[-1]}"
        began = time.monotonic()
        seen.append(harness.new_driver().destroy(case.ref))
        assert time.monotonic() - began < CALL_BUDGET_SECONDS
        if seen[-1].outcome is Outcome.WAITING:
            time.sleep(harness.pause)
    assert_in_order([step.key for step in harness.new_driver().delete_steps()], seen)
    return seen


def assert_in_order(steps: list[str], seen: list[Progress]) -> None:
    """Every answer names a listed step, and never one before the step of an earlier answer."""
    places = [steps.index(progress.step) for progress in seen]
    assert places == sorted(places)


class DriverContract(TaskLogContract, AskedContract):
    """Subclass me, and define the fixture `harness`."""

    def test_the_steps_are_pure_and_have_keys_and_titles(self, harness: Harness) -> None:
        case = new_case()
        for driver in (harness.new_driver(), harness.unreachable()):
            for steps in (driver.create_steps(case.release), driver.delete_steps()):
                assert len({step.key for step in steps}) == len(steps) > 0
                assert all(step.title for step in steps)

    def test_a_deployment_never_applied_is_an_empty_observation(self, harness: Harness) -> None:
        case = new_case()
        assert harness.new_driver().observe(case.ref) == Observation("")
        assert harness.new_driver().endpoint(case.ref) is None
        assert harness.new_driver().logs(case.ref, "scheduler").lines == ()
        assert harness.new_driver().fingerprint([case.ref]) == {}

    def test_observing_has_no_side_effect(self, harness: Harness) -> None:
        case = new_case()
        for _ in range(3):
            harness.new_driver().observe(case.ref)
            harness.new_driver().details(case.ref)
        assert harness.new_driver().observe(case.ref).leftovers == ()

    def test_destroying_what_never_was_is_finished_at_once_and_removes_nothing(
        self, harness: Harness
    ) -> None:
        progress = harness.new_driver().destroy(new_case().ref)
        assert progress.outcome is Outcome.FINISHED

    def test_finished_means_applied_in_full_and_ready(self, harness: Harness) -> None:
        case = harness.running()
        observation = harness.new_driver().observe(case.ref)
        assert observation.digest == case.release.digest
        assert observation.ready
        assert observation.leftovers != ()
        assert all(c.ready == c.desired and c.reason == "" for c in observation.components)
        names = {component.name for component in observation.components}
        assert names == harness.components

    def test_applying_again_changes_nothing(self, harness: Harness) -> None:
        case = harness.running()
        before = harness.new_driver().observe(case.ref)
        for generation in (1, 2):  # saving the same thing twice restarts nothing
            later = replace(case, release=replace(case.release, generation=generation))
            assert apply_once(harness, later).outcome is Outcome.FINISHED
        after = harness.new_driver().observe(case.ref)
        assert after.components == before.components
        assert after.digest == before.digest

    def test_a_running_deployment_has_an_address_notes_and_queues(self, harness: Harness) -> None:
        case = harness.running()
        assert (harness.new_driver().endpoint(case.ref) or "").startswith(("http://", "https://"))
        assert harness.new_driver().details(case.ref)
        queues = harness.new_driver().observe(case.ref).queues
        assert [(q.name, q.workers, q.queued, q.running) for q in queues] == [("default", 1, 0, 0)]

    def test_who_may_come_in_is_told_to_a_running_airflow_and_restarts_nothing(
        self, harness: Harness
    ) -> None:
        case, driver = harness.running(), harness.new_driver()
        before = driver.observe(case.ref)
        assert before.signs_in
        for text in ("one", "two", "two"):
            assert driver.admit(case.ref, text) is True
        after = harness.new_driver().observe(case.ref)
        assert (after.digest, after.components, after.drifted) == (
            before.digest,
            before.components,
            before.drifted,
        )

    def test_one_that_never_was_has_no_place_for_it(self, harness: Harness) -> None:
        ref = new_case().ref
        assert harness.new_driver().admit(ref, "one") is False
        assert harness.new_driver().observe(ref) == Observation("")

    def test_a_running_airflow_is_read(self, harness: Harness) -> None:
        ref = harness.running().ref
        found = harness.new_driver().reading(ref, None)
        assert found.heartbeats["scheduler"] < 60
        assert (found.runs_running, found.failed_runs) == (0, ())
        used = found.usage
        assert (used.memory_bytes is None and used.absent.endswith(".")) or used.memory_bytes > 0
        again = harness.new_driver().reading(ref, Since(found.at, used.cpu))
        assert again.dags == found.dags
        assert again.usage.cores is None or 0 <= again.usage.cores < 100

    def test_what_never_was_cannot_be_read(self, harness: Harness) -> None:
        with pytest.raises(DataPlaneError) as caught:
            harness.new_driver().reading(new_case().ref, None)
        assert str(caught.value).endswith((".", "?"))

    def test_the_fingerprint_is_stable_and_leaves_out_what_is_not_there(self, harness: Harness) -> None:
        case, other = harness.running(), new_case()
        first = harness.new_driver().fingerprint([case.ref, other.ref])
        assert set(first) == {case.ref.deployment_id}
        assert harness.new_driver().fingerprint([other.ref, case.ref]) == first

    def test_a_watcher_tells_of_every_deployment_once_and_is_quiet_then(self, harness: Harness) -> None:
        case = harness.running()
        watcher = harness.new_driver().watcher(lambda: False)
        if watcher is None:
            return  # this data plane is asked for fingerprints
        refs = {case.ref.deployment_id: case.ref}
        deadline = time.monotonic() + harness.patience
        reported: list[str] = []
        try:
            while watcher.unreachable_reason() or not reported:
                assert time.monotonic() < deadline, watcher.unreachable_reason()
                reported += watcher.changed(refs, 0.1)
            assert set(reported) == refs.keys()
            assert watcher.changed({}, 0.0) == frozenset()
        finally:
            watcher.close()

    @pytest.mark.parametrize("calls", [1, 2, 3, 4])
    def test_a_deployment_half_created_is_removed_whole(self, harness: Harness, calls: int) -> None:
        case = new_case()
        for _ in range(calls):
            apply_once(harness, case)
        remove(harness, case)
        assert harness.new_driver().observe(case.ref) == Observation("")
        assert harness.new_driver().destroy(case.ref).outcome is Outcome.FINISHED

    def test_leftovers_are_empty_exactly_when_destroy_is_finished(self, harness: Harness) -> None:
        case = new_case(runtime=harness.running().release.runtime)  # which needs no preparation any more
        for _ in range(3):
            apply_once(harness, case)
        leftovers = harness.new_driver().observe(case.ref).leftovers
        assert leftovers != ()
        assert {item.step for item in leftovers} <= {step.key for step in harness.new_driver().delete_steps()}
        assert all(item.text for item in leftovers)
        deadline = time.monotonic() + harness.patience
        while harness.new_driver().destroy(case.ref).outcome is not Outcome.FINISHED:
            assert harness.new_driver().observe(case.ref).leftovers != ()
            assert time.monotonic() < deadline
        assert harness.new_driver().observe(case.ref).leftovers == ()

    def test_removing_one_deployment_leaves_the_other_alone(self, harness: Harness) -> None:
        case, other = harness.running(), new_case()
        before = harness.new_driver().observe(case.ref)
        for _ in range(3):
            apply_once(harness, other)
        remove(harness, other)
        after = harness.new_driver().observe(case.ref)
        assert after.ready
        assert after.leftovers == before.leftovers

    def test_an_unreachable_data_plane_says_so(self, harness: Harness) -> None:
        case, driver = new_case(), harness.unreachable()
        calls = (
            lambda: driver.observe(case.ref),
            lambda: driver.apply(case.ref, case.release, case.secrets, case.workers),
            lambda: driver.destroy(case.ref),
            lambda: driver.fingerprint([case.ref]),
        )
        for call in calls:
            with pytest.raises(DataPlaneUnreachable) as caught:
                call()
            assert str(caught.value).endswith((".", "?"))
            assert isinstance(caught.value, DataPlaneError)

    def test_no_answer_holds_a_secret(self, harness: Harness) -> None:
        case = harness.running()
        driver = harness.new_driver()
        message = [
            repr(driver.observe(case.ref)),
            repr(apply_once(harness, case)),
            repr(driver.fingerprint([case.ref])),
            repr(driver.details(case.ref)),
            repr(driver.reading(case.ref, None)),
            repr([driver.logs(case.ref, c.name) for c in driver.observe(case.ref).components]),
        ]
        canaries = {**vars(CANARIES), **CANARIES.variables}
        for secret in (canaries[name] for name in canaries if name != "variables"):
            assert not any(secret in text for text in message)

    def test_a_component_that_is_not_ready_says_why(self, harness: Harness) -> None:
        case = new_case(Executor.LOCAL)
        try:
            while apply_once(harness, case).outcome is Outcome.PROGRESSED:
                waiting = [
                    component
                    for component in harness.new_driver().observe(case.ref).components
                    if component.state is not ComponentState.READY
                ]
                assert all(component.reason.endswith(".") for component in waiting)
        finally:
            remove(harness, case)
