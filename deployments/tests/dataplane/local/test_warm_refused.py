"""What is started cold, and who gets no process of a warm parent."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deployments.dataplane.local.supervisor.specs import Spec
from deployments.tests.dataplane.local.test_warm import machine  # noqa: F401 - fixtures
from deployments.tests.dataplane.local.warm_machine import (
    OTHER,
    VERSION,
    started_cold,
    wait_for,
)

pytestmark = pytest.mark.thorough


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
def test_what_was_read_while_importing_starts_cold_when_it_is_another_one(machine, variables, why) -> None:  # noqa: F811
    machine.parent()
    said = machine.reported("scheduler-1", machine.spec("report", **variables))
    assert started_cold(machine, "scheduler-1", why)
    assert said["early"] == variables.get("AIRFLOW__CORE__EARLY", "nothing")


def test_modules_of_the_deployment_that_would_be_found_first_start_it_cold(machine) -> None:  # noqa: F811
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


def test_local_settings_of_the_deployment_start_it_cold(machine) -> None:  # noqa: F811
    machine.parent()
    spec = machine.spec("sleep")
    (spec.cwd / "config").mkdir()
    (spec.cwd / "config" / "airflow_local_settings.py").touch()
    machine.start("scheduler-1", spec)
    assert started_cold(machine, "scheduler-1", "there is a module airflow_local_settings")


def test_a_parent_of_another_runtime_is_refused(machine) -> None:  # noqa: F811
    machine.parent()
    spec = machine.spec("sleep")
    machine.start(
        "scheduler-1", Spec((str(machine.python[OTHER]), *spec.argv[1:]), spec.cwd, spec.env, spec.warm)
    )
    assert started_cold(machine, "scheduler-1", "the warm parent is of another runtime")


def test_without_a_parent_it_starts_cold_at_once(machine) -> None:  # noqa: F811
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "no warm parent runs")


def test_a_parent_that_hangs_costs_two_seconds(machine) -> None:  # noqa: F811
    os.kill(machine.parent(), signal.SIGSTOP)
    begun = time.monotonic()
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "the warm parent did not answer")
    assert 1.5 < time.monotonic() - begun < 15  # two seconds, and what a busy machine takes to start it


@pytest.mark.parametrize("sent", [b"", b"garbage", b"[]", b"{}"])
def test_who_sends_nonsense_gets_nothing_and_the_parent_goes_on(machine, sent) -> None:  # noqa: F811
    machine.parent()
    with socket.socket(socket.AF_UNIX) as parent:
        parent.connect(machine.warm.contact(VERSION)["socket"])
        if sent:
            parent.sendall(sent)
        parent.settimeout(30)
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
def test_who_does_not_prove_that_it_is_a_launcher_gets_no_process(machine, proof) -> None:  # noqa: F811
    pid, contact = machine.parent(), machine.warm.contact(VERSION)
    ours, theirs = socket.socketpair()
    shown = NO_PROOFS[proof](contact["proof"])
    with ours, theirs, socket.socket(socket.AF_UNIX) as parent, open(os.devnull, "r+b") as null:
        parent.connect(contact["socket"])
        socket.send_fds(parent, [b'{"fence": null}'], [null.fileno()] * 3 + [theirs.fileno(), *shown])
        theirs.close()
        ours.settimeout(30)
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
        channel.recv(9999),  # until the launcher hangs up
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
def test_a_parent_that_dies_or_refuses_at_any_step_leaves_a_cold_start(machine, step) -> None:  # noqa: F811
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
                    channel.settimeout(40)
                    with suppress(OSError):
                        STEPS[step](channel)

        player = threading.Thread(target=play)
        player.start()
        begun = time.monotonic()
        machine.start("scheduler-1", machine.spec("sleep"))
        assert started_cold(machine, "scheduler-1", "")
        assert time.monotonic() - begun < 20
        player.join(60)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_enter_is_not_trusted(machine) -> None:  # noqa: F811
    machine.parent()
    machine.state.warm.chmod(0o755)
    machine.start("scheduler-1", machine.spec("sleep"))
    assert started_cold(machine, "scheduler-1", "the folder of the warm parent's socket is not private")


def test_supervisord_takes_no_process_that_is_not_its_own(machine) -> None:  # noqa: F811
    machine.start("scheduler-1", machine.spec("sleep", warm=False))
    wait_for(lambda: "said by" in machine.log("scheduler-1"))
    info = machine.info("scheduler-1")
    for launcher, successor in ((info.pid, os.getpid()), (1, info.pid), (info.pid, 1)):
        with pytest.raises(Exception, match="cannot go on as process"):
            machine.supervisor._call("airdeck.adopt", info.full_name, launcher, successor)
    with pytest.raises(Exception, match="BAD_NAME"):
        machine.supervisor._call("airdeck.adopt", "nobody:nobody", info.pid, os.getpid())
    assert machine.info("scheduler-1").pid == info.pid
