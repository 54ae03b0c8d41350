"""Two fenced Deployments side by side, for the tests of the fence."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.local.fence import landlock, ways
from deployments.dataplane.local.fence.ways import Isolation
from deployments.dataplane.local.steps.fencing import Fencing
from deployments.dataplane.local.supervisor.specs import Spec, launch_argv, write_spec
from deployments.tests.dataplane.local import canary
from deployments.tests.dataplane.local.airflow_local import start_supervisord
from deployments.tests.dataplane.local.canary import MARK, THEIRS

VERSION = "9.9-1"
OURS = "calm-orbit-0001"
VERSIONED = "code/versions/1-abc/dag.py"
CONSOLE_PORT = 8123
SHARED = f"airdeck-canary-{os.getpid()}"  # other test runs of this machine have one too
ROOT = os.getuid() == 0

# A neighbour: its secrets are in its environment, its memory, and where programs share things by name.
NEIGHBOUR = """
import ctypes, mmap, os, socket, sys, time
name, libc = sys.argv[1], ctypes.CDLL(None)
with open(f"/dev/shm/{name}", "w+b") as file:
    file.write(os.environ["SECRET"].encode())
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0" + name)
abstract.listen()
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 4096, 0o1600)
ctypes.memmove(libc.shmat(segment, None, 0), os.environ["SECRET"].encode(), len(os.environ["SECRET"]))
print(segment, flush=True)
sys.stdin.read()
os.unlink(f"/dev/shm/{name}")
libc.shmctl(segment, 0, None)
"""


def passable_python() -> Path | None:
    """An interpreter that any user may run."""
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        found = shutil.which(name, path="/usr/bin:/usr/local/bin")
        if found and ways.passable(Path(os.path.realpath(found))):
            return Path(found)
    return None


class Scene:
    """Two Deployments of this state folder, side by side."""

    def __init__(self) -> None:
        STATE.create()
        self.supervisor = start_supervisord()
        self.python = STATE.runtime(VERSION) / "env-played" / "bin" / "python"
        self.fencing = Fencing(
            STATE,
            postgres.url(STATE, "postgres"),
            Path("/bin/true"),
            console_port=CONSOLE_PORT,
            switched_on=True,
            shared=(),
        )

    def make(self, python: Path) -> None:
        shutil.rmtree(STATE.runtime(VERSION), ignore_errors=True)
        self.python.parent.mkdir(parents=True)
        self.python.symlink_to(python)
        (STATE.runtime(VERSION) / "current").symlink_to("env-played")
        for release in (OURS, THEIRS):
            self.fencing.prepare(release, VERSION)
            folder = STATE.deployment(release)
            canary.lay_out(release)
            versioned = folder / VERSIONED
            versioned.parent.mkdir(parents=True, exist_ok=True)
            versioned.write_text("")
            for path in (folder / "code", versioned.parent.parent, versioned.parent, versioned):
                path.chmod(0o755)
            self.fencing.write(folder / "config" / "airdeck_bundle.py", "CODE = 1\n", release, VERSION)
            self.fencing.write(folder / "secrets" / "redis.conf", f"requirepass {MARK}\n", release, VERSION)

    def start(
        self, release: str, script: str, *arguments: str, fenced: bool = True, **options
    ) -> subprocess.Popen:
        """Run a script with the interpreter, by the launcher, as the programs of a Deployment are run."""
        folder = STATE.deployment(release)
        fence = self.fencing.document(release, VERSION, 20_000)
        environment = {
            **self.fencing.base(release, VERSION, {"PATH": os.defpath}),
            "SECRET": MARK if release == THEIRS else "ours",
        }
        spec = Spec(
            (str(self.python.parent.parent.parent / "current/bin/python"), "-c", script, *arguments),
            folder / "home",
            environment,
            fence=fence if fenced else None,
        )
        file = folder / "specs" / "program.json"
        write_spec(file, spec)
        return subprocess.Popen(launch_argv(file), text=True, **options)

    def run(self, script: str, *arguments: str, fenced: bool = True) -> str:
        """What it says, as a program of ours."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.start(OURS, script, *arguments, fenced=fenced, **pipes) as program:
            said, _ = program.communicate(timeout=60)
        return said

    @contextmanager
    def neighbour(self):
        """A program of the other Deployment: its pid, and the System V segment that it made."""
        with self.start(THEIRS, NEIGHBOUR, SHARED, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            line = program.stdout.readline()
            try:
                yield program.pid, int(line)
            finally:
                program.send_signal(signal.SIGCONT)  # who was traced is stopped
                program.stdin.close()
                try:
                    program.wait(10)
                finally:
                    program.kill()

    def hostile(self, targets: dict, *, fenced: bool = True) -> dict[str, str]:
        """What hostile code reaches of them."""
        home = STATE.deployment(OURS) / "home"
        script = canary.SCRIPT
        found = home / "found.json"
        found.unlink(missing_ok=True)
        (home / "targets.json").write_text(json.dumps(targets))
        (home / "targets.json").chmod(0o644)
        said = self.run(script, str(home / "targets.json"), str(found), fenced=fenced)
        assert found.exists(), said
        return json.loads(found.read_text())

    def targets(self, way: Isolation, pid: int, segment: int) -> dict:
        """All that must not be reached."""
        found = canary.targets(
            STATE.deployment(OURS),
            way,
            pids=[pid],
            ports=[CONSOLE_PORT, 20_001],
            warm=[],
            abstract=[SHARED] if way.landlock >= landlock.KNOWS_SCOPES else [],
            memory=[SHARED] if way.account else [],
            segments=[segment] if way.account else [],
        )
        return {
            **found,
            "files": [*found["files"], str(self.python), str(STATE.deployment(OURS) / VERSIONED)],
        }
