"""The Kubernetes data plane: every Deployment is a namespace of objects in a cluster, applied server-side, and a
database in the cluster's primary Postgres.

What exists is what the API server and Postgres say; nothing is kept in memory but the connection. One call does as
much as its budget allows, in the order of the steps.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from deployments.dataplane.contract import (
    ADDRESS,
    TASK_LOGS,
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
    Watcher,
)
from deployments.dataplane.kubernetes import logs, names, task_logs
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.api.services import Services
from deployments.dataplane.kubernetes.api.transport import Connection, Json, connection_to
from deployments.dataplane.kubernetes.checks import verdicts
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.health import instances, usage
from deployments.dataplane.kubernetes.health.observe import (
    Observed,
    address,
    airflows_word,
    facts_of,
    observe,
)
from deployments.dataplane.kubernetes.manifests import configuration
from deployments.dataplane.kubernetes.steps import provision, removal, upgrade
from deployments.dataplane.kubernetes.steps.image_check import JobImages
from deployments.dataplane.kubernetes.target import Target
from deployments.dataplane.kubernetes.watch.watcher import ClusterWatcher
from deployments.dataplane.postgres import airflow_metadata, airflow_reading
from deployments.dataplane.postgres.code_store import PostgresCode
from deployments.dataplane.reading import Reading, Since
from deployments.domain.spec import Release, Secrets
from deployments.domain.states import ComponentState, Executor

CREATE_STEPS = (
    StepName("namespace", "Namespace"),
    StepName("database", "Database"),
    StepName("configuration", "Secrets and configuration"),
    StepName("components", "Airflow components"),
    StepName("address", "Airflow UI"),
)
UPGRADE_STEP = StepName(upgrade.STEP, "Snapshot and migration of the database")
ASLEEP_STEP = StepName("sleep", "Stop Airflow")
DELETE_STEPS = (
    StepName("components", "Scheduler and autoscaling"),
    StepName("namespace", "Namespace"),
    StepName("code", "Stored code"),
    StepName("database", "Database"),
    StepName("role", "Database role"),
)
QUICK_SECONDS = 4.5  # a person waits on a page
MEMO_SECONDS = 2.0  # one pass of the reconciler
KEDA_PATH, KEDA_FRESH = "/apis/keda.sh/v1alpha1", 600.0
STORAGE_PATH = "/apis/storage.k8s.io/v1/storageclasses"


class KubernetesDriver:
    """The driver of a registered cluster. `contract.Driver` says what holds of every method."""

    executors = (Executor.CELERY, Executor.KUBERNETES, Executor.LOCAL)
    healthy_rest = 1500.0
    load_wakes = True

    def __init__(self, config: ClusterConfig) -> None:
        self._admin_url = config.database_url
        self._raw = config.settings
        self._settings = ClusterSettings.of(config.settings)
        # What was seen a moment ago, so that one pass of the reconciler asks nothing twice. Each is used once.
        self._for_apply: dict[Ref, tuple[float, Observed]] = {}
        self._for_observe: dict[Ref, tuple[float, Observed]] = {}
        # Whether the API server answered, and when that was seen.
        self._answering: dict[Ref, tuple[float, bool]] = {}
        self._addresses: dict[Ref, str] = {}  # what keeps browsers from Airflow, as last seen

    def create_steps(self, release: Release) -> tuple[StepName, ...]:
        if release.hibernating:
            return (ASLEEP_STEP,)
        if not release.upgrade_from:
            return CREATE_STEPS
        return (*CREATE_STEPS[:2], UPGRADE_STEP, *CREATE_STEPS[2:])

    def delete_steps(self) -> tuple[StepName, ...]:
        return DELETE_STEPS

    def observe(self, ref: Ref) -> Observation:
        memo = _fresh(self._for_observe.pop(ref, None)) or (
            time.monotonic(),
            self._observe(self._target(ref)),
        )
        self._for_apply[ref] = memo
        return memo[1].observation

    def apply(self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]) -> Progress:
        target = self._target(ref)
        memo = _fresh(self._for_apply.pop(ref, None))
        seen = memo[1] if memo else None
        keda, volume = self._has_keda(target.api), self._has_log_volume(target.api)
        task = provision.Task(target, release, secrets, workers, keda, volume, seen)
        if progress := task.step():
            return progress
        found = seen or self._observe(target)
        at = memo[0] if memo else time.monotonic()
        progress = task.readiness(found)
        if progress.outcome is Outcome.FINISHED:
            found = found.applied(release.digest)
        self._for_observe[ref] = (at, found)
        return progress

    def admit(self, ref: Ref, people: str) -> bool:
        """A kubelet brings it to the pod within a minute and a half."""
        target = self._target(ref)
        if target.own_namespace() is None:
            return False
        labels = names.labels(ref, names.API_SERVER)
        meta = {"name": names.PEOPLE, "namespace": target.namespace, "labels": labels}
        path = target.path("v1", "ConfigMap", names.PEOPLE)
        target.api.apply(path, configuration.people(meta, people))
        return True

    def destroy(self, ref: Ref) -> Progress:
        return removal.step(self._target(ref))

    def fingerprint(self, refs: list[Ref]) -> dict[str, str]:
        """One request for the whole cluster; the watcher makes it needless."""
        selector = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
        found = self._api().items(
            path_of("apps/v1", "Deployment", ""), "its workloads", labelSelector=selector
        )
        texts: dict[str, list[str]] = {}
        for workload in found:
            owner = str(workload["metadata"]["labels"].get(names.LABEL_DEPLOYMENT, ""))
            texts.setdefault(owner, []).append(_state(workload))
        return {
            ref.deployment_id: " ".join(sorted(texts[ref.deployment_id]))
            for ref in refs
            if ref.deployment_id in texts
        }

    def watcher(self, may_write: Callable[[], bool]) -> Watcher | None:
        return ClusterWatcher(self._api, self._admin_url, may_write)

    def logs(self, ref: Ref, component: str, *, lines: int = 200, after: str = "") -> LogTail:
        return logs.read(self._target(ref, QUICK_SECONDS), component, lines=lines, after=after)

    def task_logs(self, ref: Ref, *, text: str = "", most: int = 200) -> TaskLogs:
        return task_logs.listed(self._services(), self._target(ref, QUICK_SECONDS), text, most)

    def task_log(self, ref: Ref, path: str, *, lines: int = 200, after: str = "") -> LogTail:
        target = self._target(ref, QUICK_SECONDS)
        return task_logs.read(self._services(), target, path, lines=lines, after=after)

    def inspect(self, ref: Ref, component: str) -> tuple[Instance, ...]:
        target = self._target(ref, QUICK_SECONDS)
        facts = facts_of((), *airflows_word(target))
        facts = replace(facts, pods=target.pods(component), events=target.events())
        return instances.instances(facts, component)

    def tasks(self, ref: Ref) -> TaskCount:
        return airflow_metadata.tasks(self._admin_url, ref.release_name)

    def reading(self, ref: Ref, since: Since | None) -> Reading:
        found = airflow_reading.read(self._admin_url, ref.release_name, since)
        used = usage.usage(self._api(QUICK_SECONDS), self.connection.measured, ref.deployment_id)
        return replace(found, usage=used)

    def code(self, ref: Ref) -> PostgresCode:
        return PostgresCode(self._admin_url, ref.release_name, ref.deployment_id)

    def packages(self, ref: Ref) -> None:
        """Packages come with the image, the runtime's or its own."""

    def images(self, ref: Ref) -> JobImages:
        return JobImages(self._target(ref))

    def endpoint(self, ref: Ref) -> str | None:
        """Answered from what this driver saw a moment ago, where it looked."""
        if not self._settings.ingress_domain:
            return None
        at, ready = self._answering.get(ref, (-MEMO_SECONDS, False))
        if time.monotonic() - at > MEMO_SECONDS:
            self._observe(self._target(ref, QUICK_SECONDS))
            _, ready = self._answering[ref]
        return f"https://{names.host(ref.release_name, self._settings.ingress_domain)}/" if ready else None

    def upkeep(self, ref: Ref) -> None:
        """Nothing of it is on a disk here."""

    def details(self, ref: Ref) -> dict[str, str]:
        address = self._addresses.get(ref, "")
        return {
            "DAGs": "from deploys; before the first one, /opt/airflow/dags in its image",
            TASK_LOGS: self._task_logs,
            "Namespace": names.namespace(self._settings.namespace_prefix, ref.release_name),
            **({ADDRESS: address} if address else {}),
        }

    @property
    def _task_logs(self) -> str:
        """For how long the logs of tasks are kept, in words. Asks the cluster every ten minutes at the most."""
        room = self._settings.task_logs_room
        kept = f"Kept for {configuration.LOG_DAYS} days"
        if bucket := self._settings.log_bucket:
            return f"{kept}, in a bucket at {bucket.host}; the last {room} GiB also in the cluster"
        kept += f", {room} GiB at most; the oldest go first"
        with suppress(DataPlaneError):
            if not self._has_log_volume(self._api(QUICK_SECONDS)):
                return f"{kept}, and all are lost when the code server moves: the cluster gives no volume for them"
        return kept

    def _observe(self, target: Target) -> Observed:
        found = observe(target)
        if self._settings.ingress_domain and found.observation.ready:
            self._addresses[target.ref], seconds = address(target)
            found = replace(found, observation=replace(found.observation, changes_in=seconds))
        api_servers = [c for c in found.observation.components if c.name == names.API_SERVER]
        ready = any(c.ready and c.state is not ComponentState.ABSENT for c in api_servers)
        self._answering[target.ref] = (time.monotonic(), ready)
        return found

    def _target(self, ref: Ref, budget: float | None = None) -> Target:
        return Target(self._api(budget), ref, self._settings, self._admin_url)

    def _services(self) -> Services:
        return Services(self.connection, QUICK_SECONDS)

    def _api(self, budget: float | None = None) -> Api:
        return Api(self.connection) if budget is None else Api(self.connection, budget)

    @property
    def connection(self) -> Connection:
        """This process's connection to the cluster."""
        return connection_to(Credentials.of(self._raw))

    def _has_keda(self, api: Api) -> bool:
        """Whether to leave scaling to KEDA: the settings say so, and the cluster has it."""
        if not self._settings.keda:
            return False
        until, found = self.connection.keda
        if time.monotonic() > until:
            found = api.get(KEDA_PATH, "KEDA") is not None
            self.connection.keda = (time.monotonic() + KEDA_FRESH, found)
        return found

    def _has_log_volume(self, api: Api) -> bool:
        """Whether logs of tasks get a volume: the settings say so, and there is a default StorageClass."""
        if not self._settings.task_logs_gib:
            return False
        until, found = self.connection.default_class
        if time.monotonic() > until:
            classes = api.items(STORAGE_PATH, "the StorageClasses")
            found = bool(verdicts.default_class(classes))
            self.connection.default_class = (time.monotonic() + KEDA_FRESH, found)
        return found


def _fresh(memo: tuple[float, Observed] | None) -> tuple[float, Observed] | None:
    """The memo while it is fresh. It keeps the time of its look, however often it is handed on."""
    return memo if memo and time.monotonic() - memo[0] < MEMO_SECONDS else None


def _state(workload: Json) -> str:
    """What of a workload changes when something of it does."""
    status, meta = workload.get("status") or {}, workload["metadata"]
    counts = [str(status.get(key, 0)) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")]
    return f"{meta['namespace']}/{meta['name']}={meta.get('generation')}/{'/'.join(counts)}"
