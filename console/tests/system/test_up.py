"""`manage.py up` for real: start, stop, start again, and every kind of sudden death.

The tests of this file share one state folder and follow each other as the days of one machine do.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from console.embedded import postgres, process_table, up
from console.tests.system.installation import free_port
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram, Supervisor, render_group

BASE = Path(up.__file__).parent.parent.parent
STOP_SECONDS = 20  # what the stop promises
STUBBORN = "trap '' TERM INT; sleep 1000 & while true; do wait; done"


class Machine:
    """One state folder, and the `up` that runs on it, if any."""

    def __init__(self, root: Path) -> None:
        self.state = StateDir(root)
        self.supervisor = Supervisor(self.state.supervisor_socket)
        self.up: subprocess.Popen[str] | None = None
        self.strangers: set[int] = set()
        self.port = free_port()

    def environment(self, **more: str) -> dict[str, str]:
        """That of a person's shell."""
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**plain, "STATE_DIR": str(self.state.root), "PORT": str(self.port), **more}

    def spawn(self, **more: str) -> subprocess.Popen[str]:
        """A new `up` with a plain environment."""
        return subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=BASE,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> None:
        """Start and wait for the address line."""
        assert self.leftovers() == [] or self.up is None or self.up.poll() is not None
        self.up = self.spawn()
        line = self.up.stdout.readline()
        assert line == f"Airdeck is ready: http://127.0.0.1:{self.port}\n", line + self.up.stderr.read()
        wait(lambda: self.running("worker", "beat", "observer"))

    def running(self, *groups: str) -> bool:
        try:
            states = {process.group: process.state for process in self.supervisor.processes()}
        except DataPlaneUnreachable:
            return False
        return all(states.get(group) == "RUNNING" for group in groups)

    def pid(self, group: str) -> int:
        return next(process.pid for process in self.supervisor.processes() if process.group == group)

    def daemon(self) -> psutil.Process:
        return psutil.Process(int(self.state.supervisor_pid.read_text()))

    def spawned(self, program: str) -> int:
        """How often the present supervisord has started it."""
        log = (self.state.logs / "supervisord.log").read_text()
        return log.rpartition("supervisord started with pid")[2].count(f"spawned: '{program}'")

    def status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/accounts/login/")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM, times: int = 1) -> float:
        """Stop, and return the seconds it took. Nothing may be left."""
        started = time.monotonic()
        for _ in range(times):
            self.up.send_signal(number)
            time.sleep(0.3 if times > 1 else 0)
        out, err = self.up.communicate(timeout=STOP_SECONDS + 10)
        assert self.up.returncode == 0, out + err
        assert self.leftovers() == []
        return time.monotonic() - started

    def leftovers(self) -> list[str]:
        """Every process that has to do with the state folder, found by its words and environment."""
        found = []
        for process in psutil.process_iter():
            if process.pid in self.strangers or (self.up is not None and process.pid == self.up.pid):
                continue
            try:
                words = [*process.cmdline(), *map("=".join, process.environ().items())]
                if process.status() != psutil.STATUS_ZOMBIE and any(
                    str(self.state.root) in word for word in words
                ):
                    found.append(f"{process.pid} {process.cmdline()}")
            except psutil.Error:
                continue
        return found

    def add_stubborn_airflow(self) -> list[psutil.Process]:
        """A group as the driver adds it, whose process ignores TERM and has a child. Returns both."""
        argv = ("/usr/bin/env", f"AIRDECK_STATE={self.state.root}", "/bin/bash", str(self.stubborn))
        program = SupervisedProgram(
            name="api-server", argv=argv, directory=BASE, log=self.state.logs / "x.log", stopwaitsecs=600
        )
        self.state.group_file("calm-orbit-1234").write_text(render_group("calm-orbit-1234", [program]))
        self.supervisor.reload_and_add("calm-orbit-1234")
        wait(lambda: self.running("calm-orbit-1234"))
        parent = psutil.Process(self.pid("calm-orbit-1234"))
        wait(parent.children)
        return [parent, *parent.children()]

    @property
    def stubborn(self) -> Path:
        script = self.state.root / "stubborn.sh"
        script.write_text(STUBBORN)
        return script

    def console_database(self) -> psycopg.Connection:
        return psycopg.connect(postgres.url(self.state), autocommit=True)

    def has_database(self) -> bool:
        try:
            self.console_database().close()
        except psycopg.OperationalError:
            return False  # a killed Postgres replays its log first
        return True


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    """Until `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    """It runs; one that only waits for its parent to notice its end does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    root = Path(tempfile.mkdtemp(prefix="airdeck-up-", dir="/tmp")) / "state"
    root.parent.chmod(0o711)  # so that also for root all of Postgres lies in it
    machine = Machine(root)
    yield machine
    if machine.up is not None and machine.up.poll() is None:
        machine.up.terminate()
        machine.up.communicate(timeout=STOP_SECONDS + 10)
    left = machine.leftovers()
    process_table.end(root)  # a failed test must not leave a server on the developer's machine
    shutil.rmtree(root.parent)
    assert left == []


@pytest.fixture
def running(machine) -> Machine:
    """The machine with an `up` that is ready."""
    if machine.up is None or machine.up.poll() is not None:
        machine.start()
    return machine


def test_the_first_start_answers_and_keeps_its_secrets_to_itself(running):
    assert running.status() == 200
    secrets = [file.read_text().strip() for file in running.state.keys.iterdir()]
    assert len(secrets) == 4
    for process in psutil.Process(running.up.pid).children(recursive=True):
        words = [*process.cmdline(), *process.environ().values()]
        assert not [secret for secret in secrets if any(secret in word for word in words)]
    for file in (*running.state.run_dir.glob("*_url"), running.state.run_dir / "redis.conf"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_only_the_web_server_listens_and_only_to_this_machine(running):
    processes = [psutil.Process(running.up.pid), *psutil.Process(running.up.pid).children(recursive=True)]
    listening = {
        tuple(connection.laddr)
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", running.port)}


def test_a_second_up_on_the_same_state_is_refused(running):
    other = running.spawn(PORT="1")
    _, err = other.communicate(timeout=20)
    assert other.returncode == 1
    assert f"is in use by another `manage.py up` (process {running.up.pid})" in err
    assert running.status() == 200


def test_another_command_finds_the_running_console(running):
    done = subprocess.run(
        [sys.executable, "manage.py", "deregister_cluster", "Nowhere"],
        cwd=BASE,
        env=running.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "CommandError: No Kubernetes cluster named Nowhere is registered.\n"


@pytest.mark.parametrize("role", ["web", "worker", "beat", "observer", "redis", "postgres"])
def test_a_killed_process_comes_back(running, role):
    before = running.pid(role)
    os.kill(before, signal.SIGKILL)
    wait(lambda: running.pid(role) not in {0, before})
    wait(lambda: running.running(role) and running.has_database() and running.status() == 200)


def test_stop_takes_airflow_down_with_its_children_within_the_promise(running):
    airflow = running.add_stubborn_airflow()
    with running.console_database() as database:
        database.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('still here')")
    assert running.stop(signal.SIGINT) < STOP_SECONDS
    assert not any(map(alive, airflow))
    assert list(running.state.run_dir.glob("pg/.s.PGSQL*")) == []


def test_the_next_start_finds_everything_but_leaves_airflow_to_the_reconciler(running):
    with running.console_database() as database:
        assert database.execute("SELECT word FROM kept").fetchone() == ("still here",)
    assert running.status() == 200
    assert {process.group for process in running.supervisor.processes()} == {
        "postgres", "redis", "web", "worker", "beat", "observer"
    }  # fmt: skip


def test_a_later_start_starts_web_once(running):
    assert running.spawned("web") > 0
    running.stop()
    running.start()
    assert running.spawned("web") == 1


def test_a_second_ctrl_c_does_not_wait_for_the_stubborn(running):
    running.add_stubborn_airflow()
    assert running.stop(signal.SIGINT, times=2) < 6


def test_when_supervisord_dies_up_says_so_and_cleans_up(running):
    airflow = running.add_stubborn_airflow()
    running.daemon().kill()
    _, err = running.up.communicate(timeout=STOP_SECONDS)
    assert running.up.returncode == 1
    assert err.count("\n") == 1
    assert "supervisord, which runs every process, has ended" in err
    assert running.leftovers() == []
    assert not any(map(alive, airflow))


def test_when_up_dies_everything_else_ends_by_itself(running):
    daemon = running.daemon()
    running.up.kill()
    running.up.communicate()
    daemon.wait(STOP_SECONDS)
    wait(lambda: running.leftovers() == [])


def test_after_a_sudden_death_the_next_start_ends_the_orphans_and_no_stranger(running):
    orphans = [
        psutil.Process(running.pid(role)) for role in ("web", "worker", "observer", "redis", "postgres")
    ]
    orphans += running.add_stubborn_airflow()
    daemon = running.daemon()
    daemon.suspend()  # so that it cannot even tidy up when `up` dies
    running.up.kill()
    daemon.kill()
    running.up.communicate()
    assert all(map(alive, orphans))
    # A stranger: works in the state folder, carries the tag of another one, and its pid gets into stale files.
    stranger = subprocess.Popen(
        ["sleep", "1000"], cwd=running.state.root, env={"AIRDECK_STATE": f"{running.state.root}2"}
    )
    running.strangers.add(stranger.pid)
    try:
        old = (postgres.data(running.state) / "postmaster.pid").read_text().splitlines()
        running.start()
        assert not any(map(alive, orphans))
        assert stranger.poll() is None
        running.stop()
        pid_file = postgres.data(running.state) / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *old[1:]]) + "\n")
        (running.state.run_dir / "supervisord.pid").write_text(f"{stranger.pid}\n")
        running.start()
        assert running.status() == 200
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    running.stop()


def test_ctrl_c_during_the_start_leaves_nothing(machine):
    if machine.up is not None and machine.up.poll() is None:
        machine.stop()
    machine.up = machine.spawn()
    wait(machine.state.supervisor_socket.exists)
    assert machine.stop(signal.SIGINT) < STOP_SECONDS
