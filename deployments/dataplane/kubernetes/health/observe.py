"""One look at a Deployment: three requests while all is well, and the reasons when it is not. No side effect."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.kit.wording import counted
from deployments.dataplane.contract import DataPlaneError, Leftover, Observation
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import NodeSilent
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import components, signals
from deployments.dataplane.kubernetes.health.pods import Raw
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.dataplane.kubernetes.target import Target, queue_of, replicas
from deployments.dataplane.postgres import airflow_metadata, code_schema, databases
from deployments.domain.log_lines import LAST_LINES, clean, why_ended
from deployments.domain.spec import QueueLoad
from deployments.domain.states import ComponentState

CRASH_LOGS = 3  # pods whose last line is read in one look
LOG_BYTES = 256 * 1024  # the API server counts them from the first of the last lines: room for long ones


@dataclass(frozen=True)
class Observed:
    """What was seen."""

    observation: Observation
    inventory: Inventory
    workloads: tuple[Json, ...]
    there: (
        databases.Leftovers | None
    )  # in the database server; None while the database server does not answer

    def applied(self, digest: str) -> "Observed":
        """The same once that Release is written down as applied."""
        observation, known = replace(self.observation, digest=digest), replace(self.inventory, digest=digest)
        return replace(self, observation=observation, inventory=known)


def observe(target: Target) -> Observed:
    """Look at the Deployment. Raises DataPlaneUnreachable when the cluster does not answer."""
    with ThreadPoolExecutor(max_workers=1) as pool:  # the database is asked in the meantime
        asked = pool.submit(_ask_databases, target)
        known = inventory.read(target.api, target.ref, target.namespace)
        ours = known.found or target.own_namespace() is not None
        workloads = target.workloads() if ours else []
        there, word, problem, away = asked.result()
    facts = replace(facts_of(workloads, word, problem), pods=target.pods() if workloads else ())
    if components.needs_reasons(facts):
        facts = with_reasons(target, facts)
    observation = Observation(
        digest=known.digest if ours else "",
        components=components.components(facts),
        leftovers=_leftovers(target, there, ours, len(workloads)),
        queues=tuple(_load(w, word.loads if word else {}, facts) for w in workloads if queue_of(w)),
        drifted=bool(known.drifts),
        signs_in=("v1", "ConfigMap", names.SIGN_IN) in known.rendered,
        unreachable_reason=away,
    )
    return Observed(observation, known, tuple(workloads), None if away else there)


def with_reasons(target: Target, facts: components.RawState) -> components.RawState:
    """The facts, with all that can say why something is not ready."""
    crashed = [p for p in facts.pods or () if _crashed(p)][:CRASH_LOGS]
    return replace(
        facts,
        replica_sets=target.replica_sets(),
        events=target.events(),
        last_lines=_last_lines(target, crashed),
    )


def address(target: Target) -> tuple[str, float | None]:
    """What keeps browsers from the Airflow UI, as its Ingress says; "" when nothing does. And in how many seconds the
    wait for it has lasted too long; None when nothing is waited for, or it has."""
    found = target.api.get(target.path("networking.k8s.io/v1", "Ingress", names.API_SERVER), "its Ingress")
    now = datetime.now(UTC)
    reported = signals.of_address(found, now) if found else None
    if reported is None:
        return "", None
    if reported.state is ComponentState.FAILING or reported.at is None:
        return reported.sentence, None
    return reported.sentence, max(1.0, signals.ADDRESS_SECONDS - (now - reported.at).total_seconds())


def airflows_word(target: Target) -> tuple[airflow_metadata.Vitals | None, str]:
    """What its metadata database says, or why it says nothing."""
    try:
        return airflow_metadata.vitals(target.admin_url, target.ref.release_name), ""
    except DataPlaneError as error:
        return None, str(error)


def facts_of(
    workloads: Sequence[Json], word: airflow_metadata.Vitals | None, problem: str
) -> components.RawState:
    """The facts that cost no further request."""
    return components.RawState(
        now=word.now if word else datetime.now(UTC),
        workloads=workloads,
        heartbeats=word.heartbeats if word else None,
        database_problem=problem,
    )


def _ask_databases(target: Target) -> tuple[databases.Leftovers, airflow_metadata.Vitals | None, str, str]:
    """What is there, Airflow's own word, why it says nothing, and what the whole database server lacks. While that is
    away nothing of the Deployment counts as gone."""
    try:
        there = databases.find(target.admin_url, target.ref.release_name, target.ref.deployment_id)
    except DataPlaneError as error:
        return databases.Leftovers(database=True, role=True, ready=False), None, str(error), str(error)
    if not there.ready:
        return there, None, "Its metadata database is not made yet.", ""
    return there, *airflows_word(target), ""


def _leftovers(
    target: Target, there: databases.Leftovers, ours: bool, workloads: int
) -> tuple[Leftover, ...]:
    found = []
    if workloads:
        found.append(Leftover("components", counted(workloads, "component")))
    if ours:
        found.append(Leftover("namespace", f"namespace {target.namespace}"))
    name = databases.database_name(target.ref.release_name)
    found += [Leftover("code", f"stored code in database {code_schema.DATABASE}")] if there.code else []
    found += [Leftover("database", f"database {name}")] if there.database else []
    copy = databases.snapshot_name(target.ref.release_name)
    found += [Leftover("database", f"database {copy}")] if there.snapshot is not None else []
    found += [Leftover("role", f"role {name}")] if there.role else []
    return tuple(found)


def _load(workload: Json, loads: Mapping[tuple[str, str], int], facts: components.RawState) -> QueueLoad:
    queue = queue_of(workload)
    draining = components.draining(facts.pods or (), component_of(workload))
    return QueueLoad(
        name=queue,
        queued=loads.get((queue, "queued"), 0),
        running=loads.get((queue, "running"), 0),
        workers=replicas(workload),
        draining=draining,
    )


def _crashed(pod: Raw) -> bool:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return any(
        "terminated" in (one.get("lastState") or {}) or "terminated" in (one.get("state") or {})
        for one in states
    )


def _last_lines(target: Target, pods: Sequence[Raw]) -> dict[str, str]:
    """By pod. A node that does not answer is waited for once: the pass has more to do."""
    lines: dict[str, str] = {}
    with suppress(NodeSilent):
        for pod in pods:
            lines[str(pod["metadata"]["name"])] = _last_line(target, pod)
    return lines


def _last_line(target: Target, pod: Raw) -> str:
    """The line that most likely says why the pod ended; of the present run when the one before is forgotten."""
    path = target.path("v1", "Pod", str(pod["metadata"]["name"])) + "/log"
    for previous in ("true", "false"):
        try:
            text = target.api.text(
                path,
                "a log",
                LOG_BYTES * 2,
                tailLines=str(LAST_LINES),
                limitBytes=str(LOG_BYTES),
                previous=previous,
            )
        except NodeSilent:
            raise
        except DataPlaneError:
            continue
        lines = [line for raw in text.splitlines() if (line := clean(raw))]
        if lines:
            return why_ended(lines)
    return ""
