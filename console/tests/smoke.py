"""Everything runs with requirements.txt alone. The tests cannot see that: they stand on the development tools
too, which bring packages that ours may have forgotten to require. .ci/run calls this before it installs them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor

STEADY_SECONDS = (
    20  # of running at a stretch: a process that misses an import dies within 10, also under load
)
DEADLINE_SECONDS = 90


def main() -> int:
    """Start `up`, wait until every process has run for a while, stop. Returns 0 when all of that went well."""
    folder = Path(tempfile.mkdtemp(prefix="airdeck-smoke-"))
    folder.chmod(0o711)  # so that also for root all of Postgres lies in it
    state = StateDir(folder / "state")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "STATE_DIR": str(state.root), "PORT": str(port)}
    up = subprocess.Popen([sys.executable, "manage.py", "up"], env=environment)
    unsteady = _unsteady(up, Supervisor(state.supervisor_socket))
    up.terminate()
    code = up.wait(30)
    for name in unsteady:
        log = state.logs / f"{name.partition(':')[0]}.log"
        print(
            f"{name} does not keep running:", *log.read_text().splitlines()[-20:], sep="\n  ", file=sys.stderr
        )
    shutil.rmtree(folder)
    print("smoke: every process keeps running" if not (unsteady or code) else "smoke: failed")
    return 1 if unsteady or code else 0


def _unsteady(up: "subprocess.Popen[bytes]", supervisor: Supervisor) -> list[str]:
    """The processes that have not run for STEADY_SECONDS when the time is over."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            processes = supervisor.processes()
        except DataPlaneError:
            processes = []
        unsteady = [
            process.full_name
            for process in processes
            if process.state != "RUNNING" or process.now - process.started < STEADY_SECONDS
        ]
        if (processes and not unsteady) or up.poll() is not None or time.monotonic() > deadline:
            return unsteady
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
