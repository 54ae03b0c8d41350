"""The local data plane: real Airflow on this machine, under the supervisord that `manage.py up` runs.

What exists is what supervisord, Postgres and the state folder say; nothing is kept in memory. The order of
the steps is that of `CREATE_STEPS`; each call finds the first that is not done.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from deployments.dataplane.contract import (
    AIRFLOW_PASSWORD,
    CONSOLE_URLS,
    DAGS_FOLDER,
    TASK_LOGS,
    UNDER_WAY,
    ClusterConfig,
    DataPlaneError,
    Instance,
    LogTail,
    Observation,
    Outcome,
    Progress,
    Ref,
    StepName,
    TaskCount,
    TaskLogs,
)
from deployments.dataplane.local import environment, logs, ports, sign_in, task_logs, temporary
from deployments.dataplane.local.code.store import LocalCode
from deployments.dataplane.local.health import probe, usage
from deployments.dataplane.local.health.fingerprint import fingerprint
from deployments.dataplane.local.health.instances import instances
from deployments.dataplane.local.health.observe import Observed, gather, observe
from deployments.dataplane.local.packages import claims, names
from deployments.dataplane.local.packages.store import LocalPackages
from deployments.dataplane.local.program_names import API_SERVER
from deployments.dataplane.local.runtimes import migrate, runtimes
from deployments.dataplane.local.runtimes.jobs import advance
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps import applied, programs, upgrade
from deployments.dataplane.local.steps.configuration import Configuration, redis_socket
from deployments.dataplane.local.steps.fencing import Fencing
from deployments.dataplane.local.steps.names import ASLEEP_STEP, CREATE_STEPS, DELETE_STEPS
from deployments.dataplane.local.steps.removal import drop_data, end_processes, leftovers, remove_files
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.client import ProcessInfo, Supervisor
from deployments.dataplane.local.supervisor.processes import Processes, of_release
from deployments.dataplane.local.task_logs import Keeping
from deployments.dataplane.postgres import airflow_metadata, airflow_reading, databases, templates
from deployments.dataplane.reading import Reading, Since
from deployments.domain.component_titles import title
from deployments.domain.spec import Release, Secrets
from deployments.domain.states import ComponentState, Executor

PROBES_AT_ONCE = 8
INSPECT_SECONDS = 1.5  # for supervisord, when a person waits; then 2 s for everything that is asked at once


class LocalDriver:
    """The driver of this machine. `contract.Driver` says what holds of every method."""

    executors = (Executor.CELERY, Executor.LOCAL)
    healthy_rest = 30.0
    load_wakes = False

    def __init__(self, config: ClusterConfig) -> None:
        settings = config.settings
        self._admin_url = config.database_url
        self._paths = StateDir(Path(settings["state_dir"]))
        self._supervisor = Supervisor(Path(settings["supervisor_socket"]))
        self._redis_server = Path(settings["redis_server"])
        self._console_port = int(settings["console_port"])
        self._keeping = Keeping.of(settings)
        self._warm = WarmStarts(self._paths, self._supervisor, settings.get("warm_starts", "true") == "true")
        self._fencing = Fencing(
            self._paths,
            self._admin_url,
            self._redis_server,
            self._console_port,
            settings.get("fence", "true") == "true",
            tuple(filter(None, settings.get("fence_folders", "").split(os.pathsep))),
        )
        self._configuration = Configuration(
            self._paths,
            self._admin_url,
            self._fencing,
            self._warm,
            settings.get(CONSOLE_URLS, f"http://127.0.0.1:{self._console_port}"),
            AIRFLOW_PASSWORD in settings,
        )

    def create_steps(self, release: Release) -> tuple[StepName, ...]:
        if release.hibernating:
            return (ASLEEP_STEP,)
        first = StepName("runtime", f"Airflow {release.runtime.airflow_version} environment")
        steps = [StepName(key, title) for key, title in CREATE_STEPS]
        return (first, *(step for step in steps if step.key != upgrade.STEP or release.upgrade_from))

    def delete_steps(self) -> tuple[StepName, ...]:
        return DELETE_STEPS

    # -- Creating and changing --

    def apply(self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]) -> Progress:
        self._supervisor.processes()  # nothing is begun while the data plane does not answer
        self._activate(ref, release)  # files only: it waits for nothing, and nothing restarts for it
        if release.hibernating:
            return self._sleep(ref, release)
        self._warm.ensure(_environment(release))  # beside the other steps
        return (
            self._runtime_step(ref, release)
            or self._upgrade_step(ref, release, secrets)
            or self._database_step(ref, release, secrets)
            or self._configuration_step(ref, release, secrets)
            or self._components_step(ref, release, secrets, workers)
            or self._readiness(ref, release)
        )

    def _activate(self, ref: Ref, release: Release) -> None:
        """Make the code active, unless programs with other packages still run, which must not meet it."""
        python = runtimes.python(self._paths, _environment(release))
        elsewhere = names.runs_elsewhere(self._paths, self._processes(ref), python)
        if release.code is not None and (release.hibernating or not elsewhere):
            self.code(ref).activate(release.code)

    def _runtime_step(self, ref: Ref, release: Release) -> Progress | None:
        version, airflow_version = release.runtime.version, release.runtime.airflow_version
        if runtimes.installed(self._paths, version):
            if not runtimes.installed(self._paths, _environment(release)):
                raise DataPlaneError("The packages of this Deployment are not installed on this machine yet.")
            return None
        spec = runtimes.install_spec(self._paths, version, airflow_version)
        with self._upgrade(ref).waiting_for(runtimes.install_job(self._paths, version), release) as job:
            return Progress("runtime", Outcome.WAITING, advance(job, spec, self._supervisor, self._paths))

    def _upgrade_step(self, ref: Ref, release: Release, secrets: Secrets) -> Progress | None:
        progress = self._upgrade(ref).step(release, secrets, self._processes(ref))
        if progress is not None:
            applied.record_applied(self._paths.deployment(ref.release_name), UNDER_WAY)
        return progress

    def _database_step(self, ref: Ref, release: Release, secrets: Secrets) -> Progress | None:
        found = databases.find(self._admin_url, ref.release_name, ref.deployment_id)
        if found.ready:
            limit = environment.connection_limit(release)
            if found.connection_limit < limit:  # a lower one has to wait until nothing needs more
                databases.limit_connections(self._admin_url, ref.release_name, limit)
            return None
        before = release.ran_before or applied.digest(self._paths.deployment(ref.release_name))
        if not found.database and before:
            raise databases.missing(ref.release_name)
        version = release.runtime.version
        template = templates.name_of(version)
        if not templates.exists(self._admin_url, template):
            spec = migrate.migrate_spec(
                self._paths, version, release.runtime.airflow_version, self._admin_url
            )
            message = advance(migrate.migrate_job(self._paths, version), spec, self._supervisor, self._paths)
            return Progress("database", Outcome.WAITING, message)
        databases.ensure_database(
            self._admin_url,
            ref.release_name,
            ref.deployment_id,
            password=secrets.database_password,
            template=template,
            connection_limit=environment.connection_limit(release),
            runtime=version,
        )
        name = databases.database_name(ref.release_name)
        return Progress("database", Outcome.PROGRESSED, f"Made database {name} and its role.")

    def _configuration_step(self, ref: Ref, release: Release, secrets: Secrets) -> Progress | None:
        did = self._configuration.write(ref.release_name, release, secrets, self._processes(ref))
        return Progress("configuration", Outcome.PROGRESSED, did) if did else None

    def _components_step(
        self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]
    ) -> Progress | None:
        processes = self._processes(ref)
        port = ports.allot(self._paths, ref.release_name)
        layout = self._configuration.layout(ref.release_name, release, secrets, port)
        specs = environment.static_specs(release, secrets, layout)
        if release.executor is Executor.CELERY:
            added = programs.worker_specs(processes, release, secrets, layout, workers)
            processes.write_specs(added)
            specs |= added
        did = programs.step(processes, specs)
        self._activate(ref, release)  # what runs with other packages has been asked to end
        return Progress("components", Outcome.PROGRESSED, did) if did else None

    def _readiness(self, ref: Ref, release: Release) -> Progress:
        """Everything is applied: what is not ready yet? The API server's answer is the last step."""
        seen = self._seen(ref)
        ready = [c for c in seen.components if c.state is ComponentState.READY]
        waited = [c for c in seen.components if c not in ready]
        if not waited:
            self._upgrade(ref).finish()
            limit = environment.connection_limit(release)
            databases.limit_connections(self._admin_url, ref.release_name, limit)
            applied.record_applied(self._paths.deployment(ref.release_name), release.digest)
            return Progress("address", Outcome.FINISHED, f"Airflow answers at {self._url(ref)}.")
        restarted = programs.restart_silent(self._processes(ref), seen.silent)
        if restarted:
            return Progress("components", Outcome.PROGRESSED, restarted)
        names = ", ".join(title(c.name) for c in waited)
        message = f"{len(ready)} of {len(seen.components)} components ready. Waiting for {names}."
        step = "address" if [c.name for c in waited] == [API_SERVER] else "components"
        return Progress(step, Outcome.WAITING, message)

    # -- Sleeping --

    def _sleep(self, ref: Ref, release: Release) -> Progress:
        """End every process; database and files stay. A migration that runs is not cut off."""
        if self._upgrade(ref).running():
            return Progress(
                ASLEEP_STEP.key, Outcome.WAITING, "Waiting for the migration of its database to end."
            )
        folder = self._paths.deployment(ref.release_name)
        applied.leave(folder, release.digest)
        ended = end_processes(self._paths, self._processes(ref), ref.release_name, step=ASLEEP_STEP.key)
        if ended is not None:
            return ended
        applied.record_applied(folder, release.digest)
        return Progress(ASLEEP_STEP.key, Outcome.FINISHED, "Nothing of it runs.")

    def admit(self, ref: Ref, people: str) -> bool:
        group = self._fencing.account(ref.release_name)
        return sign_in.admit(self._paths.deployment(ref.release_name), people, group)

    # -- Deleting --

    def destroy(self, ref: Ref) -> Progress:
        ended = end_processes(self._paths, self._processes(ref), ref.release_name, step="processes")
        if ended is not None:
            return ended
        if not self._upgrade(ref).forget():
            return Progress("processes", Outcome.WAITING, "Waiting for the migration of its database to end.")
        dropped = drop_data(self._admin_url, ref)
        if dropped is not None:
            return dropped
        account = self._fencing.account(ref.release_name)
        remove_files(self._paths, ref.release_name)
        self._fencing.forget(ref.release_name, account)
        claims.sweep(self._paths, self._supervisor)
        return Progress("files", Outcome.FINISHED, "Nothing is left.")

    # -- Looking --

    def observe(self, ref: Ref) -> Observation:
        seen = self._seen(ref)
        return Observation(
            digest=applied.digest(self._paths.deployment(ref.release_name)),
            components=seen.components,
            leftovers=leftovers(self._paths, self._admin_url, ref, len(seen.processes)),
            queues=seen.queues,
            drifted=seen.untidy,
            signs_in=sign_in.is_in(self._processes(ref).spec_file(API_SERVER)),
        )

    def fingerprint(self, refs: list[Ref]) -> dict[str, str]:
        known = self._supervisor.processes()
        with ThreadPoolExecutor(max_workers=PROBES_AT_ONCE) as pool:
            texts = list(
                pool.map(lambda ref: self._fingerprint(ref, of_release(known, ref.release_name)), refs)
            )
        return {ref.deployment_id: text for ref, text in zip(refs, texts, strict=True) if text}

    def _fingerprint(self, ref: Ref, processes: Mapping[str, ProcessInfo]) -> str:
        digest = applied.digest(self._paths.deployment(ref.release_name))
        return fingerprint(self._paths, ref.release_name, digest, processes, lambda: self._connected(ref))

    def watcher(self, may_write: Callable[[], bool]) -> None:
        """Processes send nothing when they end, so this machine is asked."""

    def logs(self, ref: Ref, component: str, *, lines: int = 200, after: str = "") -> LogTail:
        folder = self._paths.deployment(ref.release_name) / "logs"
        return logs.read(folder, component, lines=lines, after=after)

    def task_logs(self, ref: Ref, *, text: str = "", most: int = 200) -> TaskLogs:
        return task_logs.listed(self._paths.deployment(ref.release_name) / "logs", text, most)

    def task_log(self, ref: Ref, path: str, *, lines: int = 200, after: str = "") -> LogTail:
        folder = self._paths.deployment(ref.release_name) / "logs"
        return task_logs.read(folder, path, lines=lines, after=after)

    def inspect(self, ref: Ref, component: str) -> tuple[Instance, ...]:
        supervisor = self._supervisor.patient_for(INSPECT_SECONDS)
        processes = Processes(self._paths, supervisor, ref.release_name)
        facts = gather(self._paths, processes, ref, self._admin_url, self._redis_socket(ref))
        return instances(facts, component, self._paths.logs / "supervisord.log")

    def tasks(self, ref: Ref) -> TaskCount:
        return airflow_metadata.tasks(self._admin_url, ref.release_name)

    def reading(self, ref: Ref, since: Since | None) -> Reading:
        found = airflow_reading.read(self._admin_url, ref.release_name, since)
        used = usage.usage(self._paths.deployment(ref.release_name), since)
        return replace(found, usage=used)

    def code(self, ref: Ref) -> LocalCode:
        return LocalCode(self._paths.deployment(ref.release_name), self._admin_url, ref.release_name)

    def packages(self, ref: Ref) -> LocalPackages:
        return LocalPackages(self._paths, self._supervisor, ref.release_name)

    def images(self, ref: Ref) -> None:
        """Airflow runs in environments here."""

    def endpoint(self, ref: Ref) -> str | None:
        answer, _ = probe.api_answer(ports.upstream(self._paths.root, ref.release_name))
        return self._url(ref) if answer is not None else None

    def upkeep(self, ref: Ref) -> None:
        task_logs.keep(self._paths.deployment(ref.release_name) / "logs", self._keeping)
        temporary.clear(self._paths.deployment(ref.release_name))

    def details(self, ref: Ref) -> dict[str, str]:
        """Once code is deployed the folder is not read any more."""
        folder = self._paths.deployment(ref.release_name)
        found = {} if self.code(ref).active() else {DAGS_FOLDER: str(folder / "dags")}
        return {TASK_LOGS: self._keeping.sentence} | found | self._fencing.details(ref.release_name)

    # -- Where things are --

    def _processes(self, ref: Ref) -> Processes:
        return Processes(self._paths, self._supervisor, ref.release_name)

    def _seen(self, ref: Ref) -> Observed:
        return observe(self._paths, self._processes(ref), ref, self._admin_url, self._redis_socket(ref))

    def _connected(self, ref: Ref) -> frozenset[str] | None:
        config = self._paths.deployment(ref.release_name) / "secrets" / "redis.conf"
        return probe.connected_workers(self._redis_socket(ref), probe.redis_password(config))

    def _redis_socket(self, ref: Ref) -> Path:
        return redis_socket(self._paths, ref.release_name)

    def _url(self, ref: Ref) -> str:
        return f"http://{ref.release_name}.localhost:{self._console_port}/"

    def _upgrade(self, ref: Ref) -> upgrade.Upgrade:
        return upgrade.Upgrade(self._paths, self._supervisor, self._admin_url, ref)


def _environment(release: Release) -> str:
    """The name of the environment in which its programs run."""
    return runtimes.environment(release.runtime.version, release.packages)
