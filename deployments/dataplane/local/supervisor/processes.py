"""The programs of one Deployment under supervisord: started side by side, restarted only when they changed.

Every program is a supervisord group of its own, "<release>.<program>", because a group can only be changed as
a whole: adding a worker must not touch the scheduler. The command is always `launch.py` and the program's
spec file, so a changed spec needs a restart of that program and nothing else.
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from console.kit.files import write_private
from deployments.dataplane.local.program_names import REDIS
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import (
    ProcessInfo,
    SupervisedProgram,
    Supervisor,
    render_group,
)
from deployments.dataplane.local.supervisor.specs import (
    DEPLOYMENT_TAG,
    STATE_TAG,
    Spec,
    last_digest,
    launch_argv,
    restarts,
    running_digest,
    running_pid,
    started_file,
    write_spec,
)

DRAIN_SECONDS = 600  # what a worker gets to finish its tasks
CRASH_LOOP_PAUSE = 60  # seconds before a program that ended right after its start is tried again
SILENCE_FORGOTTEN_SECONDS = 30.0  # looks at a Deployment that is not ready come every second or so
STOP_SECONDS = 10
STOP_BUDGET = 8.0  # how long `end_all` waits inside one call


class Processes:
    """The programs of one Deployment. Holds no state of its own: files and supervisord are the truth."""

    def __init__(self, paths: StateDir, supervisor: Supervisor, release_name: str) -> None:
        self._paths = paths
        self._supervisor = supervisor
        self._release = release_name
        self._folder = paths.deployment(release_name)

    def known(self) -> dict[str, ProcessInfo]:
        """What supervisord knows, by program."""
        return of_release(self._supervisor.processes(), self._release)

    def spec_file(self, program: str) -> Path:
        """What `launch.py` reads for this program."""
        return self._folder / "specs" / f"{program}.json"

    def log_file(self, program: str) -> Path:
        """The program's own log."""
        return self._folder / "logs" / f"{program}.log"

    def write_specs(self, specs: Mapping[str, Spec]) -> list[str]:
        """Write what differs; returns the programs whose spec was written."""
        return [program for program, spec in specs.items() if write_spec(self.spec_file(program), spec)]

    def add(self, programs: Iterable[str]) -> None:
        """Make and start these programs, side by side. Their specs are written already."""
        names = sorted(programs)
        (self._folder / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            self._mark_drain(name, on=False)
            write_private(
                self._paths.group_file(self._group(name)),
                render_group(self._group(name), [self._program(name)]),
            )
        self._supervisor.reload_and_add(*(self._group(name) for name in names))

    def remove(self, program: str) -> bool:
        """Stop a program and forget it. True when it is gone, False while it still stops."""
        gone = self._supervisor.remove(self._group(program))
        if gone:
            self._paths.group_file(self._group(program)).unlink(missing_ok=True)
            for file in (
                self.spec_file(program),
                started_file(self.spec_file(program)),
                self._drain_file(program),
            ):
                file.unlink(missing_ok=True)
        return gone

    def start(self, program: str) -> None:
        """Start a program that has ended."""
        self._mark_drain(program, on=False)
        self._supervisor.start(self._full_name(program))

    def stop(self, program: str) -> None:
        """Ask a program to end; supervisord kills its whole group after 10 s."""
        self._supervisor.stop(self._full_name(program))

    def changed(self, program: str, info: ProcessInfo, spec: Spec) -> bool:
        """Whether the running process was started from another spec than the desired one."""
        digest = running_digest(self.spec_file(program), info.pid)
        return info.alive and bool(digest) and digest != spec.digest

    def outdated(self, program: str, spec: Spec) -> bool:
        """Whether the last start was from another spec than the desired one."""
        return last_digest(self.spec_file(program)) != spec.digest

    def restarts(self, program: str) -> int:
        """How often the program was started again since its spec last changed."""
        return restarts(self.spec_file(program))

    def drain(self, program: str) -> None:
        """Ask a worker to finish its tasks, take no new ones and end. It is not supervisord that waits for
        it, so that stopping the console is never held up by a task."""
        since, info = self.draining_since(program), self.known().get(program)
        if since is None or (info and _began_after(info, since)):
            self._mark_drain(program, on=True)
            self._supervisor.signal(self._full_name(program), "TERM")
        elif info and self.overdue(program, info):
            self.stop(program)

    def overdue(self, program: str, info: ProcessInfo) -> bool:
        """Whether a draining worker must be asked again: it has had its time, or it died of the signal, because it was
        only just starting, and supervisord has started it again."""
        since = self.draining_since(program)
        return since is not None and (_began_after(info, since) or time.time() - since > DRAIN_SECONDS)

    def draining_since(self, program: str) -> float | None:
        """When the worker was asked to drain, in Unix seconds; None when it was not."""
        try:
            return self._drain_file(program).stat().st_mtime
        except FileNotFoundError:
            return None

    def silent_for(self, program: str) -> float:
        """For how many seconds the process has been found silent, this call included, without those in which it only
        waited for a core: where all are asked for, a start is slow, and to start it again would make it slower.

        The file remembers the process and the first time; it is forgotten when no look found the program silent for a
        while, so that old silence never adds up.
        """
        file, now = self.spec_file(program).with_suffix(".silent"), time.time()
        pid = running_pid(self.spec_file(program))
        since = clock = now - queued_seconds(pid)
        with suppress(OSError, ValueError):
            known, first = file.read_text().split()
            if known == str(pid) and 0 <= now - file.stat().st_mtime <= SILENCE_FORGOTTEN_SECONDS:
                since = float(first)
        write_private(file, f"{pid} {since}")
        os.utime(file, (now, now))
        return clock - since

    def end_all(self) -> int:
        """End every program and every orphan of this Deployment; returns how many processes that were known
        to supervisord are gone. Waits a few seconds at most; what is left then is ended by the next call."""
        found = self.known()
        for program, info in found.items():
            self._supervisor.stop(self._full_name(program))
            if info.pid and program.startswith("worker-"):
                # A warm shutdown would wait for tasks that no one can use any more.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(info.pid, signal.SIGKILL)
        left = set(found)
        deadline = time.monotonic() + STOP_BUDGET
        while left and time.monotonic() < deadline:
            left = {program for program in left if not self.remove(program)}
            if left:
                time.sleep(0.1)
        if not left:
            self.end_orphans()
        return len(found) - len(left)

    def end_orphans(self) -> None:
        """End what a program left behind when it was killed. Only when supervisord knows none of them any more."""
        for orphan in tagged(self._paths.root, self._release):
            kill(orphan)

    def _program(self, name: str) -> SupervisedProgram:
        worker = name.startswith("worker-")
        return SupervisedProgram(
            name=name,
            argv=launch_argv(self.spec_file(name)),
            directory=self._paths.root,
            log=self.log_file(name),
            # A worker that was drained ends with 0 and stays ended.
            autorestart="unexpected" if worker else "true",
            priority=100 if name == REDIS else 500,
            stopwaitsecs=STOP_SECONDS,
            # Airflow imports for 5 s before it can fail, so a program that ends within 15 s did not start.
            startsecs=1 if name == REDIS else 15,
            startretries=1,
        )

    def _group(self, program: str) -> str:
        return f"{self._release}.{program}"

    def _full_name(self, program: str) -> str:
        return f"{self._group(program)}:{program}"

    def _drain_file(self, program: str) -> Path:
        return self.spec_file(program).with_suffix(".draining")

    def _mark_drain(self, program: str, *, on: bool) -> None:
        if on:
            self._drain_file(program).touch(mode=0o600)
            os.utime(self._drain_file(program), (time.time(),) * 2)
        else:
            self._drain_file(program).unlink(missing_ok=True)


def of_release(processes: Iterable[ProcessInfo], release_name: str) -> dict[str, ProcessInfo]:
    """The programs of one Deployment among all that supervisord knows."""
    return {p.name: p for p in processes if p.group == f"{release_name}.{p.name}"}


def _began_after(info: ProcessInfo, since: float) -> bool:
    """Whether the process is younger than a moment. supervisord counts whole seconds, so the same one is younger."""
    return info.alive and info.started >= int(since)


def may_start(info: ProcessInfo, *, changed: bool) -> bool:
    """Whether a program that has ended may be started now: at once, or after a pause when it crash-loops and
    its spec is still the one that crashed."""
    if info.state == "FATAL":  # it ended in the future: the clock was set back
        return changed or not 0 <= info.now - info.stopped < CRASH_LOOP_PAUSE
    return info.state in ("STOPPED", "EXITED")


def tagged(state_dir: Path, release_name: str | None = None) -> list[psutil.Process]:
    """Processes that were started for this state folder, and for this Deployment when one is named.

    Recognized by the environment that `launch.py` gave them and their children inherited, never by a pid in a file.
    """
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(STATE_TAG) != str(state_dir) or process.pid == os.getpid():
            continue
        if release_name is None or environment.get(DEPLOYMENT_TAG) == release_name:
            found.append(process)
    return found


def kill(process: psutil.Process) -> None:
    """End a process at once. psutil compares start times, so a reused pid is left alone."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.kill()


def queued_seconds(pid: int) -> float:
    """For how many seconds of its life the process was ready to run and got no core; 0.0 where Linux does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def busy_tasks(pid: int) -> int:
    """How many tasks a Celery worker runs: its pool's processes each have one child while they run a task."""
    try:
        pool = psutil.Process(pid).children()
        return sum(1 for child in pool for _ in child.children())
    except psutil.Error:
        return 0
