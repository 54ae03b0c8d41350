"""Why a component of the local data plane is as it is: its processes, the last probe and the last exit of each."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.local.health.components import ApiAnswer, Heartbeat, RawState
from deployments.dataplane.local.health.instances import instances
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.domain.states import ComponentState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def process(name, state="RUNNING", *, ago=100, stopped=0, exit_status=0, error="") -> ProcessInfo:
    return ProcessInfo(
        group=f"calm-orbit-0001.{name}",
        name=name,
        state=state,
        pid=4242 if state == "RUNNING" else 0,
        started=EPOCH - ago,
        stopped=stopped and EPOCH - stopped,
        now=EPOCH,
        exit_status=exit_status,
        spawn_error=error,
        log="",
    )


def facts(*processes, **more) -> RawState:
    return RawState(now=NOW, processes={p.name: p for p in processes}, desired={}, **more)


@pytest.fixture
def daemon_log(tmp_path):
    return tmp_path / "supervisord.log"


def logged(daemon_log, *events) -> None:
    """Lines as supervisord writes them, in this machine's own time: (seconds ago, text)."""
    lines = [
        f"{(NOW - timedelta(seconds=ago)).astimezone():%Y-%m-%d %H:%M:%S},250 {text}\n"
        for ago, text in events
    ]
    daemon_log.write_text("".join(lines))


def test_a_scheduler_that_beats_says_when_it_last_did(daemon_log):
    beat = Heartbeat("SchedulerJob", "", NOW - timedelta(seconds=90), NOW - timedelta(seconds=2))
    [one] = instances(facts(process("scheduler"), heartbeats=(beat,)), "scheduler", daemon_log)
    assert (one.name, one.state) == ("scheduler", ComponentState.READY)
    assert one.facts == {
        "Process": "4242, running",
        "Started": "2026-11-21 11:58:20 UTC (2 min ago)",
        "Restarts": "0 since its settings last changed",
        "Last probe": "newest SchedulerJob heartbeat in Airflow's database: 2 s old (12:00:00 UTC)",
        "Last exit": "no exit recorded",
    }


@pytest.mark.parametrize(
    ("component", "known", "answer"),
    [
        ("api-server", {"api": ApiAnswer(healthy=True)}, "HTTP 200, metadata database healthy"),
        ("api-server", {"api": ApiAnswer(healthy=False)}, "HTTP 200, metadata database unhealthy"),
        ("api-server", {"api": ApiAnswer(healthy=False, problem="HTTP 500")}, "HTTP 500"),
        ("api-server", {}, "no answer"),
        ("triggerer", {}, "the database did not answer"),
        ("triggerer", {"heartbeats": ()}, "none in two minutes"),
        ("redis", {}, "no answer"),
        ("redis", {"redis_clients": frozenset({"worker-default-01"})}, "workers that listen: 1"),
        ("worker-default", {"redis_clients": frozenset({"worker-default-01"})}, "yes"),
        ("worker-default", {"redis_clients": frozenset()}, "no"),
        ("worker-default", {}, "Redis did not answer"),
    ],
)
def test_every_component_says_what_was_asked_and_what_came_back(daemon_log, component, known, answer):
    program = "worker-default-01" if component == "worker-default" else component
    [one] = instances(facts(process(program), **known), component, daemon_log)
    assert f": {answer} (12:00:00 UTC)" in one.facts["Last probe"]


def test_the_last_exit_names_the_signal_that_only_supervisord_knows(daemon_log):
    logged(
        daemon_log,
        (500, "INFO exited: scheduler (exit status 0; expected)"),
        (30, "WARN exited: triggerer (exit status 3; not expected)"),
        (30, "WARN exited: scheduler (terminated by SIGKILL; not expected)"),
    )
    dead = process("scheduler", "EXITED", stopped=30, exit_status=-1)
    [one] = instances(facts(dead), "scheduler", daemon_log)
    assert one.state is ComponentState.FAILING
    assert one.facts["Last exit"] == "terminated by SIGKILL, 2026-11-21 11:59:30 UTC (30 s ago)"
    assert one.facts["Process"] == "none"
    assert one.facts["Last probe"] == "not asked: no process runs"


@pytest.mark.parametrize(
    ("status", "events", "message"),
    [
        (3, (), "exit status 3"),
        (-1, (), "ended by a signal"),
        (0, (), "ended"),
        (
            -1,
            (
                (30, "WARN exited: scheduler (terminated by SIGKILL; not expected)"),
                (30, "WARN exited: scheduler (terminated by SIGTERM; not expected)"),
            ),
            "ended by a signal",  # of two Deployments in the same second: nobody knows which was which
        ),
    ],
)
def test_without_that_the_exit_status_tells(daemon_log, status, events, message):
    logged(daemon_log, *events)
    dead = process("scheduler", "EXITED", stopped=30, exit_status=status)
    [one] = instances(facts(dead), "scheduler", daemon_log)
    assert one.facts["Last exit"].startswith(f"{message}, 2026-")


def test_the_worst_instance_comes_first_and_others_are_left_out(daemon_log):
    found = instances(
        facts(
            process("worker-default-01"),
            process("worker-default-02", "BACKOFF", error="Exited too quickly"),
            process("worker-etl-01"),
            redis_clients=frozenset({"worker-default-01"}),
        ),
        "worker-default",
        daemon_log,
    )
    assert [one.name for one in found] == ["worker-default-02", "worker-default-01"]
    assert found[0].facts["Supervisor says"] == "Exited too quickly"
    assert all(one.sentence.endswith(".") for one in found)


def test_a_component_without_processes_has_no_instances(daemon_log):
    assert instances(facts(), "scheduler", daemon_log) == ()
