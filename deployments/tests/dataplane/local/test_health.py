"""From raw facts to components."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.local.health.components import (
    ApiAnswer,
    Heartbeat,
    RawState,
    component_of,
    components,
    silent,
)
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.domain.states import ComponentState

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
STARTED = int((NOW - timedelta(seconds=60)).timestamp())


def process(program: str, state: str = "RUNNING", started: int = STARTED, **changes) -> ProcessInfo:
    alive = state in ("RUNNING", "STARTING", "STOPPING")
    info = ProcessInfo(
        group=f"calm-orbit-0012.{program}",
        name=program,
        state=state,
        pid=100 if alive else 0,
        started=started,
        stopped=0,
        now=int(NOW.timestamp()),
        exit_status=0,
        spawn_error="",
        log="",
    )
    return replace(info, **changes)


def beat(job_type: str, began: float = 50, latest: float = 1) -> Heartbeat:
    """A job row; both in seconds ago."""
    return Heartbeat(job_type, "", NOW - timedelta(seconds=began), NOW - timedelta(seconds=latest))


def facts(*programs: ProcessInfo, **changes) -> RawState:
    desired: dict[str, int] = {}
    for info in programs:
        desired[component_of(info.name)] = desired.get(component_of(info.name), 0) + 1
    base = RawState(now=NOW, processes={p.name: p for p in programs}, desired=desired, heartbeats=())
    return replace(base, **changes)


def only(given: RawState):
    (component,) = components(given)
    return component


def test_an_api_server_is_ready_when_it_answers_and_reaches_its_database() -> None:
    given = facts(process("api-server"))
    assert only(given).state is ComponentState.STARTING
    assert only(given).reason == "API server: waiting for its first answer."
    assert only(replace(given, api=ApiAnswer(healthy=True))).state is ComponentState.READY
    assert (
        only(replace(given, api=ApiAnswer(healthy=False))).reason == "API server cannot reach its database."
    )
    broken = only(replace(given, api=ApiAnswer(healthy=False, problem="HTTP 500")))
    assert (broken.state, broken.reason) == (ComponentState.FAILING, "API server answers HTTP 500.")


@pytest.mark.parametrize(
    ("heartbeat", "state"),
    [
        (beat("SchedulerJob"), ComponentState.READY),
        (beat("SchedulerJob", began=50, latest=50), ComponentState.STARTING),  # began, never advanced
        (beat("SchedulerJob", began=50, latest=31), ComponentState.STARTING),  # stale
        (beat("SchedulerJob", began=90, latest=1), ComponentState.STARTING),  # a predecessor's
        (beat("TriggererJob"), ComponentState.STARTING),  # somebody else's
    ],
)
def test_a_heartbeat_counts_when_it_is_its_own_advanced_and_fresh(heartbeat, state) -> None:
    assert only(facts(process("scheduler-1"), heartbeats=(heartbeat,))).state is state


def test_a_silent_component_fails_after_three_minutes() -> None:
    old = int(NOW.timestamp()) - 240
    component = only(facts(process("scheduler-1", started=old)))
    assert component.state is ComponentState.FAILING
    assert (
        component.reason
        == "Scheduler is running but has not responded for 4 minutes: waiting for its heartbeat."
    )


def test_each_of_two_schedulers_needs_a_heartbeat() -> None:
    both = (process("scheduler-1"), process("scheduler-2", started=STARTED + 20))
    one = only(facts(*both, heartbeats=(beat("SchedulerJob", began=55),)))
    assert (one.state, one.ready, one.desired) == (ComponentState.STARTING, 1, 2)
    two = only(facts(*both, heartbeats=(beat("SchedulerJob", began=55), beat("SchedulerJob", began=30))))
    assert (two.state, two.ready, two.desired) == (ComponentState.READY, 2, 2)


@pytest.mark.parametrize("state", ["FATAL", "BACKOFF", "EXITED"])
def test_a_component_that_ended_fails_with_its_last_line(state: str) -> None:
    component = only(facts(process("scheduler-1", state), last_lines={"scheduler-1": "boom"}))
    assert component.state is ComponentState.FAILING
    assert "Scheduler" in component.reason
    assert component.last_line == "boom"
    assert component.ready == 0


def test_a_component_that_ended_twice_is_failing_until_it_works() -> None:
    given = facts(process("scheduler-1", "STARTING"), last_lines={"scheduler-1": "boom"})
    assert only(replace(given, restarts={"scheduler-1": 1})).state is ComponentState.STARTING
    looping = only(replace(given, restarts={"scheduler-1": 2}))
    assert looping.state is ComponentState.FAILING
    assert looping.reason == "Scheduler has crashed and restarted 2 times."
    assert (looping.last_line, looping.restarts) == ("boom", 2)
    working = replace(given, restarts={"scheduler-1": 2}, heartbeats=(beat("SchedulerJob"),))
    assert only(working).state is ComponentState.READY


def test_a_worker_is_ready_when_redis_knows_its_consumer() -> None:
    given = facts(process("worker-default-01"))
    assert only(given).reason == "Worker of queue default: waiting for it to accept tasks."
    assert only(replace(given, redis_clients=frozenset({"worker-default-02"}))).ready == 0
    assert only(replace(given, redis_clients=frozenset({"worker-default-01"}))).ready == 1


def test_a_draining_worker_is_stopping_but_does_not_hold_up_the_others() -> None:
    given = facts(process("worker-default-01"), process("worker-default-02"))
    given = replace(
        given,
        desired={"worker-default": 1},
        draining=frozenset({"worker-default-02"}),
        redis_clients=frozenset({"worker-default-01", "worker-default-02"}),
    )
    component = only(given)
    assert (component.state, component.ready, component.desired) == (ComponentState.READY, 1, 1)
    alone = replace(given, desired={"worker-default": 0}, draining=frozenset(given.processes))
    assert only(alone).state is ComponentState.STOPPING


def test_a_wanted_component_without_a_process_is_absent() -> None:
    component = only(facts(desired={"triggerer": 1}))
    assert (component.state, component.ready, component.desired) == (ComponentState.ABSENT, 0, 1)


def test_queue_names_may_end_in_digits() -> None:
    assert component_of("worker-gpu-7-01") == "worker-gpu-7"
    assert component_of("dag-processor") == "dag-processor"


@pytest.mark.parametrize(
    ("given", "patience"),
    [
        (facts(process("scheduler-1"), heartbeats=(beat("SchedulerJob"),)), {}),
        (facts(process("scheduler-1"), heartbeats=(beat("SchedulerJob", latest=31),)), {"scheduler-1": 60}),
        (facts(process("scheduler-1"), heartbeats=()), {"scheduler-1": 180}),  # may still be starting
        (facts(process("scheduler-1"), heartbeats=(beat("SchedulerJob", began=90),)), {"scheduler-1": 180}),
        (facts(process("scheduler-1"), heartbeats=None), {}),  # the database did not answer: nothing is known
        (facts(process("scheduler-1", state="STARTING")), {}),
        (facts(process("scheduler-1", state="EXITED")), {}),  # supervisord and `apply` see to that
        (facts(process("api-server")), {"api-server": 180}),
        (facts(process("api-server"), api=ApiAnswer(healthy=True)), {}),
        (facts(process("worker-default-01"), draining=frozenset({"worker-default-01"})), {}),
    ],
)
def test_what_runs_but_does_not_answer_is_silent(given, patience) -> None:
    assert silent(given) == patience
