"""A state folder with played runtimes, a supervisord and a warm parent, for tests."""

import json
import os
import re
import signal
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deployments.dataplane.local.fence import landlock, plan
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.processes import Processes, tagged
from deployments.dataplane.local.supervisor.specs import (
    Spec,
    base_environment,
)
from deployments.tests.dataplane.local import played_runtime
from deployments.tests.dataplane.local.airflow_local import start_supervisord

VERSION, OTHER = "3.3-1", "3.2-1"
RELEASE = "calm-orbit-0012"
SECRET = "marked-c0ffee-" * 4


def wait_for(what, seconds=60):
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


def started_cold(machine: Machine, name: str, because: str) -> bool:
    wait_for(lambda: "said by" in machine.log(name))
    assert f"launch.py: started cold: {because}" in machine.log(name)
    return True


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
