"""Long work as one-shot supervised processes: installing a runtime, migrating a template database.

A job outlives the reconcile pass that started it, survives the worker's death, and says how far it is in a
small status file. Started twice at once it runs once: supervisord knows it by name, and the job takes a file
lock.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram, Supervisor, render_group
from deployments.dataplane.local.supervisor.specs import Spec, launch_argv, write_spec

FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class JobStatus:
    """How far a job is. `attempts` counts starts since the last success; `at` (Unix seconds) is when the
    present attempt started or failed."""

    sentence: str = ""
    attempts: int = 0
    at: float = 0.0
    failed: bool = False

    def wait(self, now: float) -> float:
        """For how many seconds from `now` (Unix seconds) the job may not be started again: 5 s after the first failure,
        then doubling up to 5 minutes. A first attempt that was merely killed is repeated at once, and so is one that
        lies in the future: the clock was set back."""
        if now < self.at or (not self.failed and self.attempts <= 1):
            return 0.0
        pause = FIRST_RETRY_SECONDS * 2.0 ** min(max(self.attempts - 1, 0), 10)
        return max(0.0, self.at + min(LAST_RETRY_SECONDS, pause) - now)


@dataclass(frozen=True)
class Job:
    """One job: `name` is its supervisord group ("runtime-3.3-1"), `folder` holds its spec, status, lock and
    log."""

    name: str
    folder: Path

    @property
    def status_file(self) -> Path:
        """A JobStatus as JSON."""
        return self.folder / f"{self.name}.status"

    def status(self) -> JobStatus:
        """What the job last reported; an empty status when it never ran."""
        try:
            return JobStatus(**json.loads(self.status_file.read_text()))
        except (OSError, ValueError, TypeError):
            return JobStatus()

    def say(self, status: JobStatus) -> None:
        """For the job itself: replace the status, atomically."""
        write_private(self.status_file, json.dumps(asdict(status)))

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Held by the one process that does the work, for as long as it lives. Yields whether we are it."""
        with (self.folder / f"{self.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def advance(job: Job, spec: Spec, supervisor: Supervisor, paths: StateDir) -> str:
    """Make sure that the job runs; returns its sentence. Safe to call from several workers at once.

    Raises DataPlaneError, saying why and when it is tried again, while a failed job waits for its next try.
    """
    status = job.status()
    full_name = f"{job.name}:run"
    if any(p.full_name == full_name and p.alive for p in supervisor.processes()):
        return status.sentence or "Starting."
    wait = status.wait(time.time())
    if wait > 0:
        message = status.sentence if status.failed else f"Interrupted: {status.sentence}"
        raise DataPlaneError(f"{message} The next try is in {max(1, round(wait))} s.")
    spec_file = job.folder / f"{job.name}.spec.json"
    write_spec(spec_file, spec)
    program = SupervisedProgram(
        name="run",
        argv=launch_argv(spec_file),
        directory=paths.root,
        log=paths.logs / f"{job.name}.log",
        autostart=False,
        autorestart="false",
        startsecs=0,
    )
    write_private(paths.group_file(job.name), render_group(job.name, [program]))
    supervisor.reload_and_add(job.name)
    supervisor.start(full_name)
    return "Starting."


def begin(job: Job, sentence: str) -> JobStatus:
    """For the job itself, at its start: count the attempt and say what it does."""
    status = JobStatus(sentence, job.status().attempts + 1, time.time())
    job.say(status)
    return status


def disk_free_mib(folder: Path) -> int:
    """MiB that this user may still write below `folder`."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize // (1024 * 1024)
