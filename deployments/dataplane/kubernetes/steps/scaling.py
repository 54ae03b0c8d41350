"""How many pods each component has: workers by their queue's load, and stopping all of Airflow without losing a task.

What sets `replicas` of workers is field manager `airdeck-scaler`; what is applied leaves the field out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from console.kit.wording import counted
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import signals
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.target import Target, queue_of, replicas
from deployments.dataplane.kubernetes.text import title
from deployments.dataplane.postgres import visits

COST = "controller.kubernetes.io/pod-deletion-cost"
# While tasks finish, workers need the API server to report to, Redis to send heartbeats, and the code server for code.
LAST_TO_STOP = (names.API_SERVER, names.REDIS, names.CODE_SERVER)


def set_workers(target: Target, workloads: Sequence[Json], workers: Mapping[str, int]) -> str:
    """Give each queue the desired number of workers. What was done, in a sentence; "" when nothing was to do."""
    message = []
    for workload in workloads:
        queue = queue_of(workload)
        desired, present = workers.get(queue), replicas(workload)
        if not queue or desired is None or desired == present:
            continue
        if desired < present:
            _idle_first(target, queue)
        target.scale(workload, desired, names.SCALER)
        message.append(f"Queue {queue} gets {counted(desired, 'worker')} in place of {present}.")
    return " ".join(message)


def _idle_first(target: Target, queue: str) -> None:
    """Mark for the ReplicaSet which pods to end first: those with the fewest running tasks."""
    running = _running_by_host(target, queue)
    for pod in target.pods(f"worker-{queue}"):
        meta, ip = pod["metadata"], str((pod.get("status") or {}).get("podIP", ""))
        cost = str(running.get(ip, 0) + running.get(str(meta["name"]), 0))
        if (meta.get("annotations") or {}).get(COST, "0") != cost:
            path = target.path("v1", "Pod", meta["name"])
            target.api.merge(
                path, {"metadata": {"annotations": {COST: cost}}}, "a worker's pod", names.SCALER
            )


def _running_by_host(target: Target, queue: str) -> dict[str, int]:
    """Running tasks by the host that they run on. Nothing when that is unknown: Kubernetes then ends the newest."""
    try:
        with visits.visit(target.admin_url, target.ref.release_name) as connection:
            rows = connection.execute(
                "SELECT hostname, count(*) FROM task_instance WHERE state = 'running' AND queue = %s GROUP BY 1",
                (queue,),
            ).fetchall()
            return {str(host): int(count) for host, count in rows}
    except DataPlaneError:
        return {}


def stop(target: Target, workloads: Sequence[Json]) -> str:
    """Stop Airflow: first whatever starts tasks, and the workers once theirs are done; then what these need. What is
    waited for; "" when no pod is left. The caller of this has written down that the workloads must be applied again."""
    up = [w for w in workloads if replicas(w)]
    first = [w for w in up if component_of(w) not in LAST_TO_STOP]
    for workload in first:
        target.scale(workload, 0, names.SCALER)
    left = [
        pod for pod in target.pods() if component_of(pod) not in (names.MIGRATION, "") and not _ended(pod)
    ]
    busy = [pod for pod in left if component_of(pod) not in LAST_TO_STOP]
    if first or busy:
        return _waits_for(busy)
    for workload in up:
        target.scale(workload, 0, names.SCALER)
    return _waits_for(left) if up or left else ""


def _waits_for(left: Sequence[Json]) -> str:
    if late := signals.overdue(((pod, title(component_of(pod))) for pod in left), datetime.now(UTC)):
        return f"Stopping Airflow: {late.sentence}"
    named = ", ".join(sorted({title(component_of(pod)) for pod in left}))
    return f"Stopping Airflow: waiting for {named} to end." if named else "Stopping Airflow."


def _ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
