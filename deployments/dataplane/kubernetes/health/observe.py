"""One look at a Deployment: two requests while all is well, and the reasons when it is not. No side effect."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deployments.dataplane.contract import DataPlaneError, Leftover, Observation
from deployments.dataplane.kubernetes.api.client import NodeSilent
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import components
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.dataplane.kubernetes.target import Target, component_of, queue_of, replicas
from deployments.dataplane.postgres import airflow_metadata, databases
from deployments.domain.log_lines import LAST_LINES, clean, why_ended
from deployments.domain.spec import QueueLoad

CRASH_LOGS = 3  # pods whose last line is read in one look
LOG_BYTES = 256 * 1024  # the API server counts them from the first of the last lines: room for long ones


@dataclass(frozen=True)
class Observed:
    """What was seen."""

    observation: Observation
    inventory: Inventory
    workloads: tuple[Json, ...]


def observe(target: Target) -> Observed:
    """Look at the Deployment. Raises DataPlaneUnreachable when the cluster does not answer."""
    with ThreadPoolExecutor(max_workers=1) as pool:  # the database is asked meanwhile
        asked = pool.submit(_ask_databases, target)
        known = inventory.read(target.api, target.ref, target.namespace)
        ours = known.found or target.own_namespace() is not None
        workloads = target.workloads() if ours else []
        there, word, problem = asked.result()
    facts = facts_of(workloads, word, problem)
    if components.needs_pods(facts) or any(_ending(w) for w in workloads):
        facts = with_pods(target, facts)
    observation = Observation(
        digest=known.digest if ours else "",
        components=components.components(facts),
        leftovers=_leftovers(target, there, ours, len(workloads)),
        queues=tuple(_load(w, word.loads if word else {}, facts) for w in workloads if queue_of(w)),
        drifted=bool(known.drifts),
    )
    return Observed(observation, known, tuple(workloads))


def with_pods(target: Target, facts: components.Facts) -> components.Facts:
    """The facts, with all that can say why something is not ready."""
    pods = target.pods()
    crashed = [p for p in pods if _crashed(p)][:CRASH_LOGS]
    return replace(
        facts,
        pods=pods,
        replica_sets=target.replica_sets(),
        events=target.events(),
        last_lines=_last_lines(target, crashed),
    )


def airflows_word(target: Target) -> tuple[airflow_metadata.Vitals | None, str]:
    """What its metadata database says, or why it says nothing."""
    try:
        return airflow_metadata.vitals(target.admin_url, target.ref.release_name), ""
    except DataPlaneError as error:
        return None, str(error)


def facts_of(
    workloads: Sequence[Json], word: airflow_metadata.Vitals | None, problem: str
) -> components.Facts:
    """The facts that cost no further request."""
    return components.Facts(
        now=word.now if word else datetime.now(UTC),
        workloads=workloads,
        heartbeats=word.heartbeats if word else None,
        database_problem=problem,
    )


def _ask_databases(target: Target) -> tuple[databases.Leftovers, airflow_metadata.Vitals | None, str]:
    there = databases.find(target.admin_url, target.ref.release_name, target.ref.deployment_id)
    if not there.ready:
        return there, None, "Its metadata database is not made yet."
    return there, *airflows_word(target)


def _leftovers(
    target: Target, there: databases.Leftovers, ours: bool, workloads: int
) -> tuple[Leftover, ...]:
    found = []
    if workloads:
        found.append(Leftover("components", f"{workloads} component{'s'[: workloads != 1]}"))
    if ours:
        found.append(Leftover("namespace", f"namespace {target.namespace}"))
    name = databases.database_name(target.ref.release_name)
    found += [Leftover("database", f"database {name}")] if there.database else []
    copy = databases.snapshot_name(target.ref.release_name)
    found += [Leftover("database", f"database {copy}")] if there.snapshot is not None else []
    found += [Leftover("role", f"role {name}")] if there.role else []
    return tuple(found)


def _load(workload: Json, loads: Mapping[tuple[str, str], int], facts: components.Facts) -> QueueLoad:
    queue = queue_of(workload)
    draining = _ending(workload)
    if facts.pods is not None:
        draining = components.draining(facts.pods, component_of(workload))
    return QueueLoad(
        name=queue,
        queued=loads.get((queue, "queued"), 0),
        running=loads.get((queue, "running"), 0),
        workers=replicas(workload),
        draining=draining,
    )


def _ending(workload: Json) -> int:
    """Pods that finish what they do and end, as newer clusters count them."""
    count = (workload.get("status") or {}).get("terminatingReplicas", 0)
    return count if isinstance(count, int) else 0


def _crashed(pod: Json) -> bool:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return any(
        "terminated" in (one.get("lastState") or {}) or "terminated" in (one.get("state") or {})
        for one in states
    )


def _last_lines(target: Target, pods: Sequence[Json]) -> dict[str, str]:
    """By pod. A node that does not answer is waited for once: the pass has more to do."""
    lines: dict[str, str] = {}
    with suppress(NodeSilent):
        for pod in pods:
            lines[str(pod["metadata"]["name"])] = _last_line(target, pod)
    return lines


def _last_line(target: Target, pod: Json) -> str:
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
