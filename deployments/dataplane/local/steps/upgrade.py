"""Moving a Deployment's metadata database to another runtime.

Airflow is stopped; the database is copied; the job (this module, run as: python -m … ROOT RELEASE DEPLOYMENT_ID
VERSION) runs the new runtime's `airflow db migrate` and writes down that it is done. When it fails, the copy is put
back and UpgradeFailed says why. Each call finds by itself how far an earlier one came.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import (
    UPGRADE_STEP,
    DataPlaneError,
    DataPlaneUnreachable,
    Outcome,
    Progress,
    Ref,
    UpgradeFailed,
)
from deployments.dataplane.local.health.components import component_of
from deployments.dataplane.local.program_names import API_SERVER, REDIS
from deployments.dataplane.local.runtimes import migrate, runtimes
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus, advance, begin
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.programs import is_worker
from deployments.dataplane.local.supervisor.client import Supervisor
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.dataplane.local.supervisor.specs import STATE_TAG, Spec, base_environment
from deployments.dataplane.postgres import databases, snapshots
from deployments.domain.component_titles import title
from deployments.domain.spec import Release, Secrets

STEP = UPGRADE_STEP
DATABASE_VARIABLE = "AIRDECK_UPGRADE_DATABASE_URL"
MIGRATION_SECONDS = 3600
MOST_ATTEMPTS = 3  # a migration that is cut short so often is not going to succeed
# While tasks finish, workers need the API server to report to and Redis to send heartbeats.
LAST_TO_STOP = (API_SERVER, REDIS)


@dataclass(frozen=True)
class Upgrade:
    """The upgrade of one Deployment; holds no state but what files, supervisord and Postgres say."""

    paths: StateDir
    supervisor: Supervisor
    admin_url: str
    ref: Ref

    @property
    def job(self) -> Job:
        """The job that migrates. A group name with a dot is the Deployment's own, and its name is no program's."""
        return Job(f"{self.ref.release_name}.upgrade", upgrade_folder(self.paths, self.ref.release_name))

    def step(self, release: Release, secrets: Secrets, processes: Processes) -> Progress | None:
        """The next step towards a database of this Release's runtime; None when it is. Raises UpgradeFailed."""
        running = self.running()  # asked first: a job that has ended wrote down all that is read below
        there = self._found()
        if there.snapshot and not there.database:
            self._give_back()  # a restore that was killed half-way
            there = self._found()
        if not there.ready:
            return None
        before, version = there.migrated_to(release), release.runtime.version
        if before == version:
            self.forget()
            return None
        status = self.job.status()
        if status.failed and running:  # the next upgrade would take it for its own
            return _waiting(release, "The migration failed: waiting for its process to end.")
        if not running and (status.failed or status.attempts >= MOST_ATTEMPTS):
            self._give_back()
            self.job.say(JobStatus())  # the next upgrade starts over
            raise UpgradeFailed(status.sentence if status.failed else "the migration was cut short each time")
        waiting = stop(processes)
        if waiting:
            return _waiting(release, waiting)
        if there.snapshot is None:
            processes.end_orphans()
        if not running and not self._copied(before):
            return _waiting(release, "Copying the metadata database.")
        return _waiting(release, advance(self.job, self._spec(release, secrets), self.supervisor, self.paths))

    @contextmanager
    def waiting_for(self, install: Job, release: Release) -> Iterator[Job]:
        """An upgrade waits for its runtime's environment while the earlier Airflow runs on, but not for ever: after
        some attempts since it was asked for it has failed, with nothing changed. The job is that of everybody who waits
        for this runtime, so its own count may be high already, and stays. Raises UpgradeFailed."""
        begun = self._attempts_before(install, release) if release.upgrade_from else 0
        try:
            yield install
        except DataPlaneUnreachable:
            raise
        except DataPlaneError:
            status = install.status()
            if release.upgrade_from is None or status.attempts - begun < MOST_ATTEMPTS:
                raise
            raise UpgradeFailed(status.sentence) from None

    def _attempts_before(self, install: Job, release: Release) -> int:
        """How many attempts of the job there had been when this upgrade first asked for it."""
        file = self.job.folder / "asked.json"
        try:
            held = json.loads(file.read_text())
        except (OSError, ValueError):
            held = {}
        if held.get("generation") != release.generation:
            held = {"generation": release.generation, "attempts": install.status().attempts}
            write_private(file, json.dumps(held))
        return int(held["attempts"])

    def finish(self) -> None:
        """Everything answers on the new runtime: the copy from before is not needed any more."""
        snapshots.drop(self.admin_url, self.ref.release_name, self.ref.deployment_id)

    def running(self) -> bool:
        """Whether the migration runs now."""
        return any(p.group == self.job.name and p.alive for p in self.supervisor.processes())

    def forget(self) -> bool:
        """End and forget the job. True when nothing of it is left; False while it still ends."""
        if not self.job.folder.exists():
            return True
        if not self.supervisor.remove(self.job.name):
            return False
        self.paths.group_file(self.job.name).unlink(missing_ok=True)
        shutil.rmtree(self.job.folder)
        return True

    def _copied(self, before: str) -> bool:
        return snapshots.take(self.admin_url, self.ref.release_name, self.ref.deployment_id, runtime=before)

    def _give_back(self) -> None:
        snapshots.restore(self.admin_url, self.ref.release_name, self.ref.deployment_id)

    def _found(self) -> databases.Leftovers:
        return databases.find(self.admin_url, self.ref.release_name, self.ref.deployment_id)

    def _spec(self, release: Release, secrets: Secrets, environ: Mapping[str, str] = os.environ) -> Spec:
        name = databases.database_name(self.ref.release_name)
        url = databases.url(self.admin_url, database=name, user=name, password=secrets.database_password)
        module, version = "deployments.dataplane.local.steps.upgrade", release.runtime.version
        who = (self.ref.release_name, self.ref.deployment_id)
        return Spec(
            argv=(sys.executable, "-m", module, str(self.paths.root), *who, version),
            cwd=runtimes.PROJECT,
            env={
                **base_environment(environ),
                STATE_TAG: str(self.paths.root),
                migrate.URL_VARIABLE: self.admin_url,
                DATABASE_VARIABLE: url,
            },
        )


def upgrade_folder(paths: StateDir, release_name: str) -> Path:
    """Where the job's files lie."""
    return paths.deployment(release_name) / "upgrade"


def stop(processes: Processes) -> str:
    """Stop a Deployment's Airflow so that no task is cut off that can end in time: first whatever starts tasks, and the
    workers once theirs are done; then what these need. What is waited for; "" when nothing runs any more."""
    found = processes.known()
    first = [p for p in found if component_of(p) not in LAST_TO_STOP]
    left = []
    for program in first or found:
        if is_worker(program) and found[program].alive:
            processes.drain(program)
            left.append(program)
        elif not processes.remove(program):
            left.append(program)
    if left:
        busy = sorted({title(component_of(program)) for program in left})
        return f"Stopping Airflow: waiting for {', '.join(busy)} to end."
    return "Stopping Airflow." if first else ""


def _waiting(release: Release, sentence: str) -> Progress:
    return Progress(STEP if release.upgrade_from else "database", Outcome.WAITING, sentence)


def main(root: str, release_name: str, deployment_id: str, version: str) -> int:
    """Migrate, and write it down. Returns the exit code."""
    paths = StateDir(Path(root))
    admin_url, url = os.environ.pop(migrate.URL_VARIABLE), os.environ.pop(DATABASE_VARIABLE)
    job = Job(f"{release_name}.upgrade", upgrade_folder(paths, release_name))
    with job.lock() as ours:
        if not ours:
            return 0
        status = begin(job, f"Migrating the metadata database to runtime {version}.")
        try:
            migrate.run(paths, version, url, home=job.folder / "home", seconds=MIGRATION_SECONDS)
            snapshots.mark_runtime(admin_url, release_name, deployment_id, version)
        except migrate.MigrationFailed as error:
            job.say(replace(status, sentence=str(error), failed=True, at=time.time()))
            print(error, file=sys.stderr)
            return 1
        except DataPlaneError as error:  # migrated, but not written down: the next attempt does
            job.say(replace(status, sentence=str(error), at=time.time()))
            return 1
        job.say(JobStatus())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
