"""Real Airflow on the local data plane: faults heal, and changes touch only what they must. The older runtime and the
Local executor run their DAGs in the driver contract (test_contract_local.py) and in a browser (test_main_job.py)."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployments.dataplane.local import ports
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.local.supervisor.processes import tagged
from deployments.dataplane.postgres import databases
from deployments.domain.states import ComponentState, Executor
from deployments.tests.dataplane import sign_in_story
from deployments.tests.dataplane.contract import Case, apply_once, converge, new_case, remove
from deployments.tests.dataplane.local import canary, reading_story
from deployments.tests.dataplane.local.airflow_local import (
    DAG,
    LocalHarness,
    assert_runs_a_dag,
    config,
    door,
    rows,
    task_logs,
    until,
)

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
# The scheduler looks for free workers once in so many seconds when it has nothing else to do; short tasks, of which
# no more may wait than there are workers, would mostly wait for that.
EAGER = {
    "COLOUR": "blue",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
    "LINES": "a\n[program:evil]\ncommand=/bin/false 100%",
}
BROKEN = {"AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "atlantis.CONFIG"}
# A plugin: the first time, tasks wait for two seconds between being queued and being sent.
SLOW_SENDING = """
import os, time
from airflow.providers.celery.executors.celery_executor import CeleryExecutor

send = CeleryExecutor._process_workloads

def slowly(self, workloads):
    if not os.path.exists("{mark}"):
        open("{mark}", "w").close()
        time.sleep(2)
    send(self, workloads)

CeleryExecutor._process_workloads = slowly
"""
TASKS = 80  # each costs most of a second of a core
LOAD = f"""
from datetime import datetime
from airflow.sdk import DAG, task

with DAG(
    "load", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False,
    max_active_tasks={TASKS},
):
    @task
    def work(number):
        return None
    work.expand(number=list(range({TASKS})))
"""


@pytest.fixture(scope="module")
def harness() -> LocalHarness:
    return LocalHarness()


@contextlib.contextmanager
def deployment(harness: LocalHarness, executor: Executor, **changes) -> Iterator[Case]:
    """A Deployment that is FINISHED, and gone afterwards."""
    case = new_case(executor, **changes)
    try:
        converge(harness, case)
        yield case
    finally:
        remove(harness, case)


def processes(harness: LocalHarness, case: Case) -> dict[str, ProcessInfo]:
    prefix = case.ref.release_name + "."
    return {p.name: p for p in harness.supervisor.processes() if p.group.startswith(prefix)}


def state_of(harness: LocalHarness, case: Case, name: str) -> ComponentState:
    return next(c.state for c in harness.new_driver().observe(case.ref).components if c.name == name)


def test_faults_heal_and_changes_touch_only_what_they_must(harness) -> None:
    """One Deployment, one story: starting another one for each fault would take half a minute each."""
    with deployment(harness, Executor.CELERY, environment=EAGER) as made:
        case = made
        assert_runs_a_dag(harness, case)
        sign_in_story.story(harness, case, *door(case))
        reading_story.story(harness, case, "proof")
        _write_a_plugin_that_sends_slowly(harness, case)  # for the scheduler that starts next
        canary.write_hostile_code(harness, case)  # likewise
        _a_killed_scheduler_is_not_ready_until_it_beats_again(harness, case)
        _a_scheduler_sends_what_it_has_queued_before_it_ends(harness, case)
        _killed_with_its_children(harness, case)
        _hostile_code_reaches_nothing(harness, case)
        case = _more_workers_and_schedulers(harness, case)
        _fewer_workers_idle_first(harness, case)
        case = replace(case, release=replace(case.release, scheduler_replicas=1), workers={"default": 1})
        case = _changing_workers_under_a_steady_load_loses_no_task(harness, case)
        case = _new_variables_restart_airflow_but_not_redis(harness, case)
        _a_component_that_keeps_crashing_is_named_with_its_last_line(harness, case)
        _a_new_generation_is_tried_at_once(harness, case)
        assert not any("evil" in p.full_name for p in harness.supervisor.processes())
    assert tagged(harness.new_driver()._paths.root, case.ref.release_name) == []


def _a_killed_scheduler_is_not_ready_until_it_beats_again(harness, case) -> None:
    pid = processes(harness, case)["scheduler-1"].pid
    before = harness.new_driver().fingerprint([case.ref])
    os.kill(pid, signal.SIGKILL)
    until(lambda: processes(harness, case)["scheduler-1"].pid != pid, seconds=10)
    assert (
        state_of(harness, case, "scheduler") is not ComponentState.READY
    )  # its old heartbeat is still fresh
    assert harness.new_driver().fingerprint([case.ref]) != before
    converge(harness, case)
    scheduler = next(c for c in harness.new_driver().observe(case.ref).components if c.name == "scheduler")
    assert scheduler.restarts == 1


def _write_a_plugin_that_sends_slowly(harness, case) -> None:
    folder = Path(harness.new_driver().details(case.ref)["DAGs folder"]).parent
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "slow_sending.py").write_text(
        SLOW_SENDING.format(mark=str(folder / "home" / "sending"))
    )


def _a_scheduler_sends_what_it_has_queued_before_it_ends(harness, case) -> None:
    """Told to end in between, Airflow's own would leave the task to the queued timeout of ten minutes."""
    folder = Path(harness.new_driver().details(case.ref)["DAGs folder"])
    (folder / "sent.py").write_text(DAG.replace("proof", "sent"))
    until((folder.parent / "home" / "sending").exists)
    pid = processes(harness, case)["scheduler-1"].pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: processes(harness, case)["scheduler-1"].pid != pid, seconds=20)
    converge(harness, case)
    ended = "SELECT state FROM dag_run WHERE dag_id = 'sent' AND state IN ('success', 'failed')"
    assert until(lambda: rows(case, ended), seconds=60) == [("success",)]
    assert rows(case, "SELECT max(try_number) FROM task_instance WHERE dag_id = 'sent'") == [(1,)]
    (folder.parent / "plugins" / "slow_sending.py").unlink()


def _hostile_code_reaches_nothing(harness, case) -> None:
    """In a plugin, in a DAG file that is parsed, in a task, and in a process that a task starts."""
    assert canary.what_hostile_code_reached(harness, case) == {}


def _killed_with_its_children(harness, case) -> None:
    """A worker's pool outlives a killed worker; the next start of that program ends it first."""
    pid = processes(harness, case)["worker-default-01"].pid
    group = [p.pid for p in tagged(harness.new_driver()._paths.root) if os.getpgid(p.pid) == pid]
    assert len(group) > 1
    os.kill(pid, signal.SIGKILL)
    converge(harness, case)
    alive = {p.pid for p in tagged(harness.new_driver()._paths.root)}
    assert not alive & set(group)


def _more_workers_and_schedulers(harness, case: Case) -> Case:
    before = {name: p.pid for name, p in processes(harness, case).items()}
    case = replace(case, release=replace(case.release, scheduler_replicas=2), workers={"default": 2})
    assert harness.new_driver().observe(case.ref).digest != case.release.digest
    converge(harness, case)
    after = {name: p.pid for name, p in processes(harness, case).items()}
    assert set(after) - set(before) == {"scheduler-2", "worker-default-02"}
    assert {name: after[name] for name in before} == before
    observation = harness.new_driver().observe(case.ref)
    assert observation.digest == case.release.digest
    assert {c.name: c.ready for c in observation.components}["scheduler"] == 2
    assert observation.queues[0].workers == 2
    return case


def _fewer_workers_idle_first(harness, case: Case) -> None:
    """Worker 1 is idle, worker 2 runs a task: worker 1 goes, and the task is left in peace."""
    folder = harness.new_driver().details(case.ref)["DAGs folder"]
    code = DAG.replace("proof", "slow").replace("return 41", "import time; time.sleep(12); return 41")
    frozen = processes(harness, case)["worker-default-01"].pid
    os.kill(frozen, signal.SIGSTOP)  # so that worker 2 gets the task
    with open(f"{folder}/slow.py", "w") as file:
        file.write(code)
    until(lambda: rows(case, "SELECT 1 FROM task_instance WHERE state = 'running'"))
    os.kill(frozen, signal.SIGCONT)
    assert harness.new_driver().observe(case.ref).queues[0].running == 1
    fewer = replace(case, workers={"default": 1})
    converge(harness, fewer)
    until(
        lambda: (
            set(processes(harness, case)) & {"worker-default-01", "worker-default-02"}
            == {"worker-default-02"}
        ),
        between=lambda: apply_once(harness, fewer),
    )
    ended = "SELECT state FROM dag_run WHERE dag_id = 'slow' AND state IN ('success', 'failed')"
    assert until(lambda: rows(case, ended)) == [("success",)]
    assert rows(case, "SELECT max(try_number) FROM task_instance") == [(1,)]


def _changing_workers_under_a_steady_load_loses_no_task(harness, case: Case) -> Case:
    """80 short tasks while min, max and concurrency change: schedulers restart, workers come, drain and go."""
    folder = harness.new_driver().details(case.ref)["DAGs folder"]
    with open(f"{folder}/load.py", "w") as file:
        file.write(LOAD)

    def finished() -> int:
        query = "SELECT count(*) FROM task_instance WHERE dag_id = 'load' AND state IN ('success', 'failed')"
        return int(rows(case, query)[0][0])

    queue = case.release.queues[0]
    for reached, low, high, concurrency, workers in (
        (1, 2, 4, 2, 3),  # more of both
        (30, 0, 1, 2, 1),  # fewer than run
        (50, 1, 3, 4, 2),  # each worker is replaced
    ):
        until(
            lambda reached=reached: finished() >= reached,
            between=lambda case=case: apply_once(harness, case),
        )
        changed = replace(queue, min_workers=low, max_workers=high, concurrency=concurrency)
        case = replace(case, release=replace(case.release, queues=(changed,)), workers={"default": workers})
        apply_once(harness, case)
    until(lambda: finished() == TASKS, seconds=240, between=lambda: apply_once(harness, case))
    states = rows(
        case, "SELECT state, max(try_number), count(*) FROM task_instance WHERE dag_id = 'load' GROUP BY 1"
    )
    assert states == [("success", 1, TASKS)], task_logs(folder)
    until(  # and whoever was told to go has gone
        lambda: len([p for p in processes(harness, case) if p.startswith("worker-")]) == 2,
        between=lambda: apply_once(harness, case),
    )
    converge(harness, case)
    load = harness.new_driver().observe(case.ref).queues[0]
    assert (load.workers, load.draining, load.queued, load.running) == (2, 0, 0, 0)
    return case


def _new_variables_restart_airflow_but_not_redis(harness, case: Case) -> Case:
    """With them no component can start."""
    changed = replace(case, release=replace(case.release, environment=EAGER | BROKEN))
    before = {name: p.pid for name, p in processes(harness, case).items()}

    def as_before() -> set[str]:
        return {name for name, p in processes(harness, case).items() if p.pid == before.get(name)}

    until(  # a worker drains first, so it may be the last
        lambda: as_before() <= {"redis"} and state_of(harness, case, "scheduler") is ComponentState.FAILING,
        between=lambda: apply_once(harness, changed),
    )
    assert as_before() == {"redis"}
    return changed


def _a_component_that_keeps_crashing_is_named_with_its_last_line(harness, case: Case) -> None:
    scheduler = next(c for c in harness.new_driver().observe(case.ref).components if c.name == "scheduler")
    assert "Scheduler" in scheduler.reason
    assert "atlantis" in scheduler.last_line
    assert "\x1b" not in scheduler.last_line


def _a_new_generation_is_tried_at_once(harness, case: Case) -> None:
    """Not after the pause of a crash loop."""
    until(lambda: processes(harness, case)["scheduler-1"].state == "FATAL")
    fixed = replace(case, release=replace(case.release, environment=EAGER))
    until(
        lambda: all(p.alive for p in processes(harness, case).values()),
        seconds=30,
        between=lambda: apply_once(harness, fixed),
    )
    converge(harness, fixed)


def test_a_port_that_a_stranger_took_is_left_to_the_stranger(harness) -> None:
    case = new_case(Executor.LOCAL)
    root = harness.new_driver()._paths.root
    try:
        while ports.upstream(root, case.ref.release_name) is None:
            apply_once(harness, case)
        taken = ports.upstream(root, case.ref.release_name)
        with socket.create_server(("127.0.0.1", taken)):
            message = apply_once(harness, case).sentence
            moved = ports.upstream(root, case.ref.release_name)
        assert moved not in (None, taken)
        assert message == (
            f"Wrote the configuration. Port {taken} is used by another program; "
            f"the API server moves to {moved}."
        )
    finally:
        remove(harness, case)


def test_something_of_that_name_that_is_not_ours_is_neither_used_nor_dropped(harness) -> None:
    case = new_case(Executor.LOCAL)
    name = databases.database_name(case.ref.release_name)
    with psycopg.connect(config().database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        with pytest.raises(databases.DataPlaneError, match=name):
            apply_once(harness, case)
        remove(harness, case)
        assert admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        admin.execute(f"DROP DATABASE {name}")
