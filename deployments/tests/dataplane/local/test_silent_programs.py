"""Programs that run and do not answer, wait for a core, or are to drain."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.kit.files import write_private
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.programs import restart_silent
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.local.supervisor.processes import DRAIN_SECONDS, Processes, queued_seconds
from deployments.dataplane.local.supervisor.specs import started_file
from deployments.tests.dataplane.local.test_parts import paths  # noqa: F401 - fixtures


class StoppedPrograms:
    """Stands for supervisord where only the names of stopped programs matter."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    def stop(self, name: str, *, wait: bool = False) -> None:
        self.stopped.append(name)


def test_what_stays_silent_is_restarted_and_old_silence_never_adds_up(paths: StateDir, time_machine) -> None:  # noqa: F811
    supervisor = StoppedPrograms()
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def look(seconds: float) -> str:
        time_machine.move_to(start + timedelta(seconds=seconds), tick=False)
        return restart_silent(processes, {"scheduler-1": 60.0})

    assert [look(second) for second in range(0, 61, 10)] == [""] * 7
    assert look(61) == "Restarting what runs but does not answer: Scheduler."
    assert supervisor.stopped == ["calm-orbit-0012.scheduler-1:scheduler-1"]
    assert look(200) == ""  # nobody looked for two minutes: it answered meanwhile, or the machine slept
    assert look(225) == ""


def test_what_was_restarted_for_its_silence_gets_its_whole_time_again(paths: StateDir, time_machine) -> None:  # noqa: F811
    supervisor = StoppedPrograms()
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    note = started_file(processes.spec_file("scheduler-1"))
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for second in range(0, 123, 10):
        pid = 4_000_001 + len(supervisor.stopped)  # what was stopped is started again
        write_private(note, json.dumps({"pid": pid, "digest": "same", "starts": 1}))
        time_machine.move_to(start + timedelta(seconds=second), tick=False)
        restart_silent(processes, {"scheduler-1": 60.0})
    assert len(supervisor.stopped) == 1


def test_what_waits_for_a_core_is_slow_and_not_silent(paths: StateDir, time_machine, monkeypatch) -> None:  # noqa: F811
    """An API server that starts where all cores are taken is not started anew, which would take it still longer."""
    supervisor = StoppedPrograms()
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    queued = {"for": 0.0}
    monkeypatch.setattr(
        "deployments.dataplane.local.supervisor.processes.queued_seconds", lambda pid: queued["for"]
    )
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    message = []
    for second in range(0, 131, 10):
        time_machine.move_to(start + timedelta(seconds=second), tick=False)
        queued["for"] = second / 2
        message.append(restart_silent(processes, {"scheduler-1": 60.0}))
    assert message[:-1] == [""] * 13  # 120 s, of which it ran or slept for 60
    assert message[-1] == "Restarting what runs but does not answer: Scheduler."


def test_the_silence_of_one_process_is_not_that_of_the_next(paths: StateDir, time_machine) -> None:  # noqa: F811
    supervisor = StoppedPrograms()
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    note = started_file(processes.spec_file("scheduler-1"))
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for second in range(0, 101, 10):
        write_private(note, json.dumps({"pid": 4_000_001 + (second > 50), "digest": "same", "starts": 1}))
        time_machine.move_to(start + timedelta(seconds=second), tick=False)
        restart_silent(processes, {"scheduler-1": 60.0})
    assert supervisor.stopped == []


def test_the_kernel_tells_how_long_a_process_waited_for_a_core() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel does not tell")
    core = min(os.sched_getaffinity(0))
    turn = f"import os, time; os.sched_setaffinity(0, {{{core}}}); end = time.monotonic() + 1.5\n"
    two = [
        subprocess.Popen([sys.executable, "-c", turn + "while time.monotonic() < end: pass"]) for _ in "ab"
    ]
    try:
        time.sleep(1.2)
        assert max(queued_seconds(process.pid) for process in two) > 0.2
    finally:
        for process in two:
            process.wait()
    assert queued_seconds(two[0].pid) == 0.0


class DrainedPrograms(StoppedPrograms):
    """One worker as supervisord would tell of it, and the signals that it got."""

    def __init__(self, worker: ProcessInfo) -> None:
        super().__init__()
        self.worker = worker
        self.signals: list[str] = []

    def processes(self) -> list[ProcessInfo]:
        return [self.worker]

    def signal(self, name: str, what: str) -> None:
        self.signals.append(what)


def test_a_worker_is_told_to_drain_once_and_again_when_it_was_started_anew(
    paths: StateDir,  # noqa: F811
    time_machine,
) -> None:
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    begun = int(start.timestamp()) - 100
    name = "worker-default-01"
    worker = ProcessInfo(f"calm-orbit-0012.{name}", name, "RUNNING", 7, begun, 0, begun + 100, 0, "", "")
    supervisor = DrainedPrograms(worker)
    processes = Processes(paths, supervisor, "calm-orbit-0012")  # type: ignore[arg-type]
    processes.spec_file(name).parent.mkdir(parents=True)
    processes.drain(name)
    processes.drain(name)
    assert (supervisor.signals, processes.overdue(name, worker)) == (["TERM"], False)
    # It died of the signal, for it was still starting, and supervisord made it anew two seconds later.
    supervisor.worker = replace(worker, pid=8, started=begun + 102)
    assert processes.overdue(name, supervisor.worker)
    time_machine.move_to(start + timedelta(seconds=5), tick=False)
    processes.drain(name)
    processes.drain(name)
    assert (supervisor.signals, supervisor.stopped) == (["TERM", "TERM"], [])
    time_machine.move_to(start + timedelta(seconds=5 + DRAIN_SECONDS + 1), tick=False)
    processes.drain(name)
    assert supervisor.stopped == [f"calm-orbit-0012.{name}:{name}"]
