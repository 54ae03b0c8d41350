"""Decisions as tables: status, reasons, rests, scaling, names and sizes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.clusters.options import version_key
from deployments.dataplane.contract import Component, Observation, Outcome, Progress
from deployments.domain.names import RELEASE_NAME, mint_release_name, name_key
from deployments.domain.spec import QueueLoad, QueueSpec, Release, RuntimeSpec, Size, au_size, desired_workers
from deployments.domain.states import (
    COMPONENT_APPEARANCE,
    STATUS_APPEARANCE,
    STEP_APPEARANCE,
    ComponentState,
    Executor,
    Status,
)
from deployments.reconciler.plan import backoff, needs_apply, next_delay, scale, verdict

QUEUE = QueueSpec("default", 1, 10, 16, Size(1000, 2048))
RELEASE = Release(
    deployment_id="d",
    release_name="calm-orbit-0001",
    generation=1,
    runtime=RuntimeSpec("3.3-1", "3.3.2"),
    executor=Executor.CELERY,
    scheduler=au_size(5),
    scheduler_replicas=1,
    queues=(QUEUE,),
)
READY = Component("scheduler", ComponentState.READY, 1, 1)
STARTING = Component("api-server", ComponentState.STARTING, 0, 1, "API server: waiting for its first answer.")
FAILING = Component("scheduler", ComponentState.FAILING, 0, 1, "Scheduler keeps crashing.", "KeyError: 'x'")
CRASHING = "Scheduler keeps crashing. Last line: KeyError: 'x'"
WAITING = Progress("components", Outcome.WAITING, "Scheduler is ready. API server: waiting.")


def workers(ready: int, desired: int) -> Component:
    """Of the default queue, some of them starting."""
    return Component("worker-default", ComponentState.STARTING, ready, desired, f"{ready} of {desired}")


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("digest", "components", "progress", "was_healthy", "status", "reason"),
    [
        (RELEASE.digest, (READY,), None, False, Status.HEALTHY, ""),
        (RELEASE.digest, (READY,), None, True, Status.HEALTHY, ""),
        ("", (), WAITING, False, Status.CREATING, WAITING.sentence),
        (RELEASE.digest, (READY, STARTING), WAITING, False, Status.CREATING, WAITING.sentence),
        (RELEASE.digest, (FAILING,), WAITING, False, Status.CREATING, CRASHING),
        (RELEASE.digest, (FAILING, READY), WAITING, True, Status.UNHEALTHY, CRASHING),
        # What crashes does not hide what else does not work.
        (RELEASE.digest, (STARTING, FAILING, replace(FAILING, name="triggerer"), workers(1, 2)), WAITING, True,
         Status.UNHEALTHY, "Scheduler keeps crashing. Also not ready: API server, Triggerer. Last line: KeyError: 'x'"),
        (RELEASE.digest, (STARTING, READY), None, True, Status.UNHEALTHY, STARTING.reason),
        ("", (), WAITING, True, Status.UNHEALTHY, WAITING.sentence),
        ("other", (READY,), WAITING, True, Status.DEPLOYING, WAITING.sentence),
        # Workers beyond min come with the load: while they start, nothing is wrong.
        (RELEASE.digest, (READY, workers(1, 6)), WAITING, True, Status.HEALTHY, "1 of 6"),
        (RELEASE.digest, (READY, workers(0, 1)), WAITING, True, Status.UNHEALTHY, WAITING.sentence),
        (RELEASE.digest, (STARTING, workers(1, 6)), None, True, Status.UNHEALTHY, STARTING.reason),
        (RELEASE.digest, (READY, replace(workers(5, 6), state=ComponentState.FAILING)), None, True,
         Status.UNHEALTHY, "5 of 6"),
        ("other", (READY, workers(1, 6)), WAITING, True, Status.DEPLOYING, WAITING.sentence),
    ],
)  # fmt: skip
def test_the_verdict(digest, components, progress, was_healthy, status, reason):
    seen = verdict(
        release=RELEASE,
        observation=Observation(digest, components),
        progress=progress,
        was_healthy=was_healthy,
    )
    assert (seen.status, seen.reason) == (status, reason)


def test_every_status_but_healthy_comes_with_a_sentence():
    for components in ((), (STARTING,), (FAILING,)):
        for was_healthy in (True, False):
            seen = verdict(
                release=RELEASE,
                observation=Observation("", components),
                progress=None,
                was_healthy=was_healthy,
            )
            assert seen.reason


def test_a_converged_deployment_needs_nothing():
    editable = Observation(RELEASE.digest, (READY,), queues=(QueueLoad("default", 0, 0, 1),))
    assert not needs_apply(RELEASE, editable, {"default": 1})
    assert needs_apply(RELEASE, editable, {"default": 2})
    assert needs_apply(RELEASE, Observation("other", (READY,)), {})
    assert needs_apply(RELEASE, Observation(RELEASE.digest, (FAILING,)), {})
    assert needs_apply(RELEASE, Observation(""), {})


def test_the_digest_changes_with_what_matters_only():
    from dataclasses import replace

    assert replace(RELEASE, generation=9).digest == RELEASE.digest
    assert replace(RELEASE, scheduler_replicas=2).digest != RELEASE.digest
    assert (
        replace(RELEASE, environment={"A": "1", "B": "2"}).digest
        == replace(RELEASE, environment={"B": "2", "A": "1"}).digest
    )


def test_parallelism_is_the_sum_over_queues():
    from dataclasses import replace

    assert RELEASE.parallelism == 160
    assert replace(RELEASE, queues=(QUEUE, QueueSpec("heavy", 0, 2, 4, QUEUE.size))).parallelism == 168
    assert replace(RELEASE, queues=()).parallelism == 32


@pytest.mark.parametrize(
    ("queued", "running", "workers"),
    [(0, 0, 1), (1, 0, 1), (16, 0, 1), (17, 0, 2), (12, 7, 2), (1000, 0, 10)],
)
def test_wanted_workers(queued, running, workers):
    assert desired_workers(QUEUE, queued, running) == workers


@given(
    queued=st.integers(0, 10_000),
    running=st.integers(0, 1_000),
    low=st.integers(0, 30),
    more=st.integers(0, 30),
)
def test_wanted_workers_stay_between_the_bounds(queued, running, low, more):
    queue = QueueSpec("q", low, max(1, low + more), 16, Size(1, 1))
    assert queue.min_workers <= desired_workers(queue, queued, running) <= queue.max_workers


def test_scaling_is_up_at_once_and_down_after_five_quiet_minutes():
    def step(desired, running, since, minutes):
        return scale(
            QUEUE,
            desired=desired,
            queued=0,
            running=running,
            scale_down_since=since,
            now=NOW + timedelta(minutes=minutes),
        )

    assert step(1, 33, None, 0) == (3, None)
    assert step(3, 0, None, 0) == (3, NOW)
    assert step(3, 0, NOW, 4.9) == (3, NOW)
    assert step(3, 33, NOW, 4.9) == (3, None)  # busy again: the five minutes start anew
    assert step(3, 0, NOW, 5) == (1, None)
    assert step(30, 0, None, 0) == (10, NOW)  # a lowered maximum holds at once


def test_rests():
    done = Progress("x", Outcome.PROGRESSED, "")
    assert next_delay(Status.CREATING, done, healthy=30, scaled=False) == 0
    assert next_delay(Status.CREATING, WAITING, healthy=30, scaled=False) == 1
    assert next_delay(Status.HEALTHY, None, healthy=30, scaled=True) == 10
    assert next_delay(Status.HEALTHY, WAITING, healthy=30, scaled=True, editable=False) == 1
    assert next_delay(Status.HEALTHY, WAITING, healthy=30, scaled=False, watched=True, editable=False) == 3
    assert next_delay(Status.HEALTHY, None, healthy=30, scaled=False) == 30


def test_backoff_grows_to_a_minute_and_no_further():
    assert 1.6 <= backoff(1) <= 2.4
    assert all(backoff(n) <= 72 for n in range(100))
    assert backoff(50) >= 48


def test_release_names_are_safe_everywhere():
    for _ in range(500):
        name = mint_release_name()
        assert RELEASE_NAME.fullmatch(name)
        assert len(name) <= 63 - len("airflow-")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Analytics", "ANALYTICS", True),
        ("Straße", "STRASSE", True),
        ("a  b", " a b ", True),
        ("ﬁne", "fine", True),
        ("Analytics", "Analytic", False),
        ("а", "a", False),  # Cyrillic
    ],
)
def test_two_names_are_one_name(one, other, same):
    assert (name_key(one) == name_key(other)) is same


def test_sizes_in_words():
    assert (au_size(5).cpu_text, au_size(5).memory_text) == ("0.5", "1.88")
    assert (au_size(24).cpu_text, au_size(24).memory_text) == ("2.4", "9")
    assert (Size(1000, 2048).cpu_text, Size(1000, 2048).memory_text) == ("1", "2")


def test_versions_are_ordered_by_number():
    assert sorted(["3.10-1", "3.9-2", "3.9-11"], key=version_key) == ["3.9-2", "3.9-11", "3.10-1"]


@pytest.mark.parametrize("looks", [STATUS_APPEARANCE, STEP_APPEARANCE, COMPONENT_APPEARANCE])
def test_every_state_has_an_icon_of_its_own(looks):
    assert len({look.icon for look in looks.values()}) == len(looks)
    kind = type(next(iter(looks)))
    assert set(looks) == set(kind)


def test_secrets_are_never_shown():
    from deployments.domain.spec import Secrets

    secrets = Secrets("f1", "j1", "a1", "d1", "r1", "p1", "s1")
    assert repr(secrets) == str(secrets) == f"{secrets}" == "Secrets(…)"
