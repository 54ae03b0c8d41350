"""Warm starts on the local data plane, with a played Airflow: what a forked program is to everybody else, and what
happens when its parent fails. The real Airflow's settings are compared in test_warm_airflow.py."""

import json
import os
import signal
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.steps import warm_parents
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.processes import Processes, tagged
from deployments.dataplane.local.supervisor.specs import (
    last_digest,
    launch_argv,
    restarts,
    started_file,
    write_spec,
)
from deployments.tests.dataplane.local.airflow_local import config, start_supervisord
from deployments.tests.dataplane.local.warm_machine import (
    RELEASE,
    SECRET,
    VERSION,
    Machine,
    scripted_launcher,
    wait_for,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


def test_a_program_started_warm_is_what_a_cold_one_is(machine) -> None:
    machine.parent()
    cold = machine.reported("scheduler-1", machine.spec("report", warm=False))
    warm = machine.reported("scheduler-2", machine.spec("report"))
    assert "started cold" not in machine.log("scheduler-2")
    assert warm["made_in"] == warm["pid"], "its configuration is its own"
    own = ("pid", "group", "made_in", "secret", "drawn", "frozen")
    assert {k: v for k, v in warm.items() if k not in own} == {k: v for k, v in cold.items() if k not in own}
    another = machine.reported("scheduler-3", machine.spec("report"))
    assert warm["secret"] != another["secret"]
    assert set(warm["drawn"]).isdisjoint(another["drawn"]), "nothing is drawn before the fork"
    for name, said in (("scheduler-1", cold), ("scheduler-2", warm)):
        info = wait_for(
            lambda name=name, pid=said["pid"]: machine.info(name).pid == pid and machine.info(name)
        )
        assert (info.state in ("STARTING", "RUNNING"), said["group"]) == (True, info.pid)
        assert psutil.Process(info.pid).ppid() == said["parent"] == psutil.Process(machine.parent()).ppid()
        shown = [word for word in psutil.Process(info.pid).cmdline() if word]
        assert shown == [str(machine.python[VERSION]), "-m", "airflow", "report"]
        assert psutil.Process(info.pid).name() == "python"
        assert info.pid in {process.pid for process in tagged(machine.state.root, RELEASE)}
        assert not machine.processes.changed(name, info, machine.spec("report"))
        assert last_digest(machine.processes.spec_file(name)) == machine.spec("report").digest


def test_what_the_parent_froze_stays_out_of_the_collectors_way(machine) -> None:
    """Or its pages would not stay shared."""
    machine.parent()
    said = machine.reported("scheduler-1", machine.spec("report"))
    assert said["frozen"] > 1000


def test_its_exit_status_reaches_supervisord_which_starts_it_again_and_counts(machine) -> None:
    machine.parent()
    machine.start("triggerer", machine.spec("3"))
    wait_for(lambda: machine.info("triggerer").state == "FATAL", seconds=30)
    log = (machine.state.logs / "supervisord.log").read_text()
    assert "adopted: 'triggerer' with pid" in log
    assert log.count("exited: triggerer (exit status 3; not expected)") == 2
    assert restarts(machine.processes.spec_file("triggerer")) == 1
    assert "it ended soon after its last warm start" in machine.log("triggerer"), (
        "the second one is started cold"
    )


def test_it_is_stopped_with_its_group_and_ended_with_everything_else(machine) -> None:
    machine.parent()
    warm = machine.reported("scheduler-1", machine.spec("report"))
    wait_for(lambda: machine.info("scheduler-1").pid == warm["pid"])
    machine.processes.stop("scheduler-1")
    wait_for(lambda: machine.info("scheduler-1").state == "STOPPED")
    assert (
        "stopped: scheduler-1 (terminated by SIGTERM)" in (machine.state.logs / "supervisord.log").read_text()
    )
    assert not psutil.pid_exists(warm["pid"])
    machine.start("scheduler-2", machine.spec("sleep"))
    wait_for(lambda: "said by" in machine.log("scheduler-2"))
    assert machine.processes.end_all() == 2
    assert tagged(machine.state.root, RELEASE) == []


def test_a_killed_one_is_started_warm_again(machine) -> None:
    machine.parent()
    first = machine.reported("dag-processor", machine.spec("report"))["pid"]
    note = machine.processes.spec_file("dag-processor").with_suffix(".started")
    wait_for(lambda: json.loads(note.read_text())["pid"] == first)
    note.write_text(json.dumps(json.loads(note.read_text()) | {"warm": time.time() - 60}))  # a minute ago
    os.kill(first, signal.SIGKILL)
    second = wait_for(
        lambda: machine.info("dag-processor").pid not in (0, first) and machine.info("dag-processor").pid
    )
    wait_for(lambda: machine.log("dag-processor").count("said by") == 2)
    assert "started cold" not in machine.log("dag-processor")
    assert second != first


def test_nothing_of_one_deployment_is_in_the_parent_or_in_another_one(machine) -> None:
    pid = machine.parent()
    machine.reported("scheduler-1", machine.spec("report", COLOUR=SECRET[::-1]))
    assert SECRET.encode() not in memory(pid)
    other = machine.spec("report", release="calm-orbit-0013", AIRFLOW__CORE__FERNET_KEY="another")
    second = machine.reported("scheduler-2", other)
    assert second["initialized"] == ["another"]
    found = memory(second["pid"])
    assert SECRET.encode() not in found
    assert SECRET[::-1].encode() not in found
    assert b"another" in found, "or nothing would ever be found"
    assert second["open"] == [0, 1, 2, 3], "3 is the folder that it lists"
    assert (second["ours"], "COLOUR" in second["environment"]) == ([], False)
    assert set(psutil.Process(second["pid"]).environ()) == {"AIRDECK_STATE", "AIRDECK_DEPLOYMENT"}


def memory(pid: int) -> bytes:
    """All that a process holds in its writable memory."""
    held = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as file:
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in place.split("-"))
                with suppress(OSError, ValueError, OverflowError):
                    file.seek(start)
                    held.append(file.read(end - start))
    return b"".join(held)


def test_who_asks_while_the_parent_imports_waits_for_it(machine) -> None:
    machine.warm.ensure(VERSION)
    machine.start("scheduler-1", machine.spec("report"))
    machine.report("scheduler-1")
    assert "started cold" not in machine.log("scheduler-1")


def test_a_killed_parent_comes_again_and_its_children_live_on(machine) -> None:
    first = machine.parent()
    child = machine.reported("scheduler-1", machine.spec("report"))["pid"]
    os.kill(first, signal.SIGKILL)
    ready = Path(machine.warm.contact(VERSION)["ready"])
    wait_for(lambda: ready.exists() and int(ready.read_text() or 0) != first)
    assert psutil.Process(child).is_running()
    machine.reported("scheduler-2", machine.spec("report"))
    assert "started cold" not in machine.log("scheduler-2")


def test_a_stop_in_the_middle_of_a_warm_start_leaves_nothing(machine) -> None:
    """The parent's child waits for its launcher, which is killed: it ends by itself."""
    pid = machine.parent()
    with scripted_launcher(machine) as channel:
        child = int(channel.recv(100))
        assert psutil.Process(child).is_running()
    wait_for(lambda: not psutil.pid_exists(child))
    assert psutil.Process(pid).is_running()


def test_a_child_does_not_need_its_parent_any_more(machine) -> None:
    pid = machine.parent()
    with scripted_launcher(machine) as channel:
        child = int(channel.recv(100))
        os.kill(pid, signal.SIGKILL)
        wanted = machine.spec("0")
        spec = {"argv": wanted.argv, "cwd": str(wanted.cwd), "env": dict(wanted.env)}
        message = json.dumps(spec).encode()
        channel.sendall(struct.pack("!I", len(message)) + message)
        assert channel.recv(100) == b"ready\n"
    wait_for(lambda: not psutil.pid_exists(child))


@pytest.mark.parametrize("after", [0.0, 0.03, 0.06, 0.1, 0.2])
def test_a_parent_killed_at_any_moment_keeps_nothing_from_starting(machine, after) -> None:
    pid = machine.parent()
    names = [f"scheduler-{number}" for number in range(1, 5)]
    machine.processes.write_specs({name: machine.spec("report") for name in names})
    machine.processes.add(names)
    time.sleep(after)  # not to wait for something: to hit another moment each time
    os.kill(pid, signal.SIGKILL)
    said = {name: machine.report(name) for name in names}
    wait_for(
        lambda: (
            {name: info.pid for name, info in machine.processes.known().items()}
            == {name: report["pid"] for name, report in said.items()}
        )
    )
    assert len(tagged(machine.state.root, RELEASE)) == len(names)


def test_twenty_at_once_all_start_and_none_of_them_cold(machine) -> None:
    machine.parent()
    names = [f"worker-default-{number:02d}" for number in range(1, 21)]
    machine.processes.write_specs({name: machine.spec("report") for name in names})
    machine.processes.add(names)
    pids = {machine.report(name)["pid"] for name in names}
    assert len(pids) == 20
    assert [line for name in names for line in machine.log(name).splitlines() if "started cold" in line] == []
    wait_for(lambda: {info.pid for info in machine.processes.known().values()} == pids)


def test_what_starts_together_with_its_parent_starts_warm(machine) -> None:
    """As after `make run` was stopped: supervisord starts everything that was there."""
    parent = machine.parent()
    machine.reported("scheduler-1", machine.spec("report"))
    machine.supervisor.shutdown()
    wait_for(lambda: not machine.state.supervisor_socket.exists())
    machine.processes.log_file("scheduler-1").write_text("")
    note = started_file(machine.processes.spec_file("scheduler-1"))
    note.write_text(json.dumps(json.loads(note.read_text()) | {"warm": 0}))  # it ran for longer than a moment
    machine.supervisor = start_supervisord(machine.state)
    machine.processes = Processes(machine.state, machine.supervisor, RELEASE)
    assert machine.report("scheduler-1")
    assert "started cold" not in machine.log("scheduler-1")
    assert machine.parent() != parent


def test_an_idle_parent_uses_no_core_and_ends_when_nobody_needs_it(machine, monkeypatch) -> None:
    monkeypatch.setattr(warm_parents, "IDLE_SECONDS", 1.5)
    pid = machine.parent()
    child = machine.reported("scheduler-1", machine.spec("report"))["pid"]
    before = psutil.Process(pid).cpu_times()
    time.sleep(2)  # longer than it would live without a child
    after = psutil.Process(pid).cpu_times()
    assert (after.user - before.user, after.system - before.system) == (0, 0)
    machine.processes.stop("scheduler-1")
    wait_for(lambda: not psutil.pid_exists(child))
    wait_for(lambda: not psutil.pid_exists(pid))
    states = {info.group: info.state for info in machine.supervisor.processes()}
    assert states[warm_parents.group(VERSION)] == "EXITED"
    assert not Path(machine.warm.contact(VERSION)["ready"]).exists()
    machine.parent()  # and comes again when it is needed


def test_switched_off_nothing_is_warm(machine) -> None:
    off = WarmStarts(machine.state, machine.supervisor, False)
    off.ensure(VERSION)
    assert off.contact(VERSION) is None
    assert machine.supervisor.processes() == []
    assert LocalDriver(config(warm_starts="false"))._warm.contact(VERSION) is None
    assert LocalDriver(config(warm_starts="true"))._warm.contact(VERSION) is not None


def test_how_it_is_started_restarts_nothing(machine) -> None:
    assert machine.spec("report").digest == machine.spec("report", warm=False).digest


def test_the_launcher_alone_falls_back_when_supervisord_did_not_start_it(machine, tmp_path) -> None:
    machine.parent()
    file = tmp_path / "spec.json"
    write_spec(file, machine.spec("3"))
    done = subprocess.run(launch_argv(file), capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, "supervisord did not start this" in done.stderr) == (3, True)
