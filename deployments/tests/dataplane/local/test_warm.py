"""Warm starts on the local data plane, with a played Airflow: what a forked program is to everybody else, and what
happens when its parent fails. The real Airflow's settings are compared in test_warm_airflow.py."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.fence import landlock, plan
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps import warm_parents
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.processes import Processes, tagged
from deployments.dataplane.local.supervisor.specs import (
    Spec,
    base_environment,
    last_digest,
    launch_argv,
    restarts,
    started_file,
    write_spec,
)
from deployments.tests.dataplane.local import played_runtime
from deployments.tests.dataplane.local.airflow_local import config, start_supervisord

VERSION, OTHER = "3.3-1", "3.2-1"
RELEASE = "calm-orbit-0012"
SECRET = "marked-c0ffee-" * 4


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


class Machine:
    """A state folder with two played runtimes and a supervisord."""

    def __init__(self, folder: Path) -> None:
        self.state = StateDir(folder / "s")
        self.state.create()
        self.python = {version: played_runtime.make(self.state, version) for version in (VERSION, OTHER)}
        self.supervisor = start_supervisord(self.state)
        self.warm = WarmStarts(self.state, self.supervisor, True)
        self.processes = Processes(self.state, self.supervisor, RELEASE)

    def close(self) -> None:
        for process in tagged(self.state.root):  # one may be stopped
            with suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
        self.supervisor.shutdown()
        wait_for(lambda: not self.state.supervisor_socket.exists())

    def parent(self) -> int:
        """The pid of the parent, once it is warm."""
        self.warm.ensure(VERSION)
        ready = Path(self.warm.contact(VERSION)["ready"])
        return int(wait_for(lambda: ready.exists() and ready.read_text()))

    def spec(self, *arguments: str, warm: bool = True, release: str = RELEASE, **variables: str) -> Spec:
        home = self.state.deployment(release) / "home"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            **base_environment(),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__FERNET_KEY": SECRET,
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "SPT_NOENV": "1",
            "AIRDECK_STATE": str(self.state.root),
            "AIRDECK_DEPLOYMENT": release,
            **variables,
        }
        argv = (str(self.python[VERSION]), "-m", "airflow", *arguments)
        return Spec(
            argv, home, environment, self.warm.contact(VERSION) if warm else None, self.fence(release)
        )

    def fence(self, release: str) -> dict | None:
        """Every program here is fenced, where the kernel can."""
        if not landlock.version():
            return None
        return plan.fence(
            self.state.deployment(release),
            uid=None,
            groups=[],
            landlock=True,
            sockets=self.state.sockets(release),
            programs=plan.interpreter(self.python[VERSION]),
            shared=[],
            port=20_000,
            console_port=8000,
        )

    def start(self, name: str, spec: Spec) -> None:
        self.processes.write_specs({name: spec})
        self.processes.add([name])

    def log(self, name: str) -> str:
        file = self.processes.log_file(name)
        return file.read_text() if file.exists() else ""

    def info(self, name: str):
        return self.processes.known()[name]

    def report(self, name: str) -> dict:
        """What the program says of itself."""
        found = wait_for(lambda: re.search(r"^\{.*\}$", self.log(name), re.MULTILINE))
        return json.loads(found[0])

    def reported(self, name: str, spec: Spec) -> dict:
        """Start it, and what it says of itself."""
        self.start(name, spec)
        return self.report(name)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


def started_cold(machine: Machine, name: str, because: str) -> bool:
    wait_for(lambda: "said by" in machine.log(name))
    assert f"launch.py: started cold: {because}" in machine.log(name)
    return True


def test_a_program_started_warm_is_what_a_cold_one_is(machine) -> None:
    machine.parent()
    cold = machine.reported("scheduler-1", machine.spec("report", warm=False))
    warm = machine.reported("scheduler-2", machine.spec("report"))
    assert "started cold" not in machine.log("scheduler-2")
    assert warm["made_in"] == warm["pid"], "its configuration is its own"
    own = ("pid", "group", "made_in", "secret", "drawn")
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


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"AIRFLOW__CORE__EARLY": "something"}, "core.early is set otherwise"),
        ({"EARLY_LIMIT": "3"}, "EARLY_LIMIT is set otherwise"),
        ({"PYTHONWARNINGS": "error"}, "PYTHONWARNINGS is set otherwise"),
        ({"TZ": "Asia/Tokyo"}, "TZ is set otherwise"),
        ({"LD_LIBRARY_PATH": "/nowhere"}, "LD_LIBRARY_PATH is set otherwise"),
    ],
)
def test_what_was_read_while_importing_starts_cold_when_it_is_another_one(machine, variables, why) -> None:
    machine.parent()
    said = machine.reported("scheduler-1", machine.spec("report", **variables))
    assert started_cold(machine, "scheduler-1", why)
    assert said["early"] == variables.get("AIRFLOW__CORE__EARLY", "nothing")


def test_modules_of_the_deployment_that_would_be_found_first_start_it_cold(machine) -> None:
    machine.parent()
    home = machine.spec("report").cwd
    plain, own = home / "plain", home / "own"
    plain.mkdir()
    own.mkdir()
    (plain / "mine.py").touch()
    (own / "json.py").write_text("raise SystemExit('shadowed')")
    warm = machine.reported("scheduler-1", machine.spec("report", PYTHONPATH=str(plain)))
    assert "started cold" not in machine.log("scheduler-1")
    assert warm["path"][1] == str(plain)
    machine.start("scheduler-2", machine.spec("sleep", PYTHONPATH=str(own)))
    wait_for(lambda: "shadowed" in machine.log("scheduler-2"))
    assert f"{own} holds a module json" in machine.log("scheduler-2")


def test_local_settings_of_the_deployment_start_it_cold(machine) -> None:
    machine.parent()
    spec = machine.spec("sleep")
    (spec.cwd / "config").mkdir()
    (spec.cwd / "config" / "airflow_local_settings.py").touch()
    machine.start("scheduler-1", spec)
    assert started_cold(machine, "scheduler-1", "there is a module airflow_local_settings")


def test_a_parent_of_another_runtime_is_refused(machine) -> None:
    machine.parent()
    spec = machine.spec("sleep")
    machine.start(
        "scheduler-1", Spec((str(machine.python[OTHER]), *spec.argv[1:]), spec.cwd, spec.env, spec.warm)
    )
    assert started_cold(machine, "scheduler-1", "the warm parent is of another runtime")


def test_without_a_parent_it_starts_cold_at_once(machine) -> None:
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "no warm parent runs")


def test_a_parent_that_hangs_costs_two_seconds(machine) -> None:
    os.kill(machine.parent(), signal.SIGSTOP)
    begun = time.monotonic()
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "the warm parent did not answer")
    assert 1.5 < time.monotonic() - begun < 4


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


@contextmanager
def scripted_launcher(machine: Machine):
    """Asks the parent for a child and then does what the test does: our end of the channel."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_UNIX) as parent, open(os.devnull, "r+b") as null:
        contact = machine.warm.contact(VERSION)
        parent.connect(contact["socket"])
        with open(contact["proof"], "r+b") as proof:
            streams = [null.fileno()] * 3
            socket.send_fds(parent, [b'{"fence": null}'], [*streams, theirs.fileno(), proof.fileno()])
        theirs.close()
        ours.settimeout(10)
        yield ours


@pytest.mark.parametrize("sent", [b"", b"garbage", b"[]", b"{}"])
def test_who_sends_nonsense_gets_nothing_and_the_parent_goes_on(machine, sent) -> None:
    machine.parent()
    with socket.socket(socket.AF_UNIX) as parent:
        parent.connect(machine.warm.contact(VERSION)["socket"])
        if sent:
            parent.sendall(sent)
        parent.settimeout(5)
        assert parent.recv(10) == b""
    machine.reported("scheduler-1", machine.spec("report"))
    assert "started cold" not in machine.log("scheduler-1")


# Whoever is behind a fence can name the file that is the proof, and cannot open it.
NO_PROOFS = {
    "nothing": lambda file: [],
    "another file": lambda file: [os.open(os.devnull, os.O_RDWR)],
    "its name alone": lambda file: [os.open(file, os.O_PATH)],
    "for reading alone": lambda file: [os.open(file, os.O_RDONLY)],
}


@pytest.mark.parametrize("proof", NO_PROOFS)
def test_who_does_not_prove_that_it_is_a_launcher_gets_no_process(machine, proof) -> None:
    pid, contact = machine.parent(), machine.warm.contact(VERSION)
    ours, theirs = socket.socketpair()
    shown = NO_PROOFS[proof](contact["proof"])
    with ours, theirs, socket.socket(socket.AF_UNIX) as parent, open(os.devnull, "r+b") as null:
        parent.connect(contact["socket"])
        socket.send_fds(parent, [b'{"fence": null}'], [null.fileno()] * 3 + [theirs.fileno(), *shown])
        theirs.close()
        ours.settimeout(10)
        assert ours.recv(10) == b""
    assert psutil.Process(pid).children() == []
    for number in shown:
        os.close(number)


STEPS = {
    "it takes the request and ends": lambda channel: None,
    "it names a child that has ended": lambda channel: channel.sendall(b"999999\n"),
    "it says why not": lambda channel: channel.sendall(b"no memory is left\n"),
    "its child never gets ready": lambda channel: (
        channel.sendall(b"999999\n"),
        channel.recv(9999),
        time.sleep(5),
    ),
    "its child says why not": lambda channel: (
        channel.sendall(b"999999\n"),
        channel.recv(9999),
        channel.sendall(b"so\n"),
    ),
    "its child is unknown to supervisord": lambda channel: (
        channel.sendall(b"999999\n"),
        channel.recv(9999),
        channel.sendall(b"ready\n"),
        channel.recv(9999),
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_parent_that_dies_or_refuses_at_any_step_leaves_a_cold_start(machine, step) -> None:
    """A played parent, which keeps every promise up to that step."""
    folder = machine.state.warm
    with socket.socket(socket.AF_UNIX) as listener:
        where = machine.warm.contact(VERSION)
        listener.bind(where["socket"])
        listener.listen()
        Path(where["ready"]).write_text(str(os.getpid()))
        Path(where["proof"]).touch()

        def play() -> None:
            connection, _ = listener.accept()
            with connection:
                _, descriptors, _, _ = socket.recv_fds(connection, 9999, 5)
                with socket.socket(fileno=descriptors.pop(3)) as channel:
                    for number in descriptors:
                        os.close(number)
                    with suppress(OSError):
                        STEPS[step](channel)

        player = threading.Thread(target=play)
        player.start()
        begun = time.monotonic()
        machine.start("scheduler-1", machine.spec("sleep"))
        assert started_cold(machine, "scheduler-1", "")
        assert time.monotonic() - begun < 5
        player.join(10)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_enter_is_not_trusted(machine) -> None:
    machine.parent()
    machine.state.warm.chmod(0o755)
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "the folder of the warm parent's socket is not private")


def test_supervisord_takes_no_process_that_is_not_its_own(machine) -> None:
    machine.start("scheduler-1", machine.spec("sleep", warm=False))
    wait_for(lambda: "said by" in machine.log("scheduler-1"))
    info = machine.info("scheduler-1")
    for launcher, successor in ((info.pid, os.getpid()), (1, info.pid), (info.pid, 1)):
        with pytest.raises(Exception, match="cannot go on as process"):
            machine.supervisor._call("airdeck.adopt", info.full_name, launcher, successor)
    with pytest.raises(Exception, match="BAD_NAME"):
        machine.supervisor._call("airdeck.adopt", "nobody:nobody", info.pid, os.getpid())
    assert machine.info("scheduler-1").pid == info.pid


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
