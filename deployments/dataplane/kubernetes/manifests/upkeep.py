"""What keeps a Deployment well: budgets for disruption, and the removal of task pods that ended."""

import zlib

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.dataplane.kubernetes.manifests.pods import PodProgram, airflow_pod
from deployments.domain.states import Executor


def budgets(inputs: Inputs) -> tuple[Manifest, ...]:
    """From two pods on, nodes are drained of one at a time. A budget on a single pod would only block the drain."""
    several = [name for name, count in sizes.replicas(inputs.release).items() if count > 1]
    queues = [queue.name for queue in inputs.release.queues if queue.max_workers > 1]
    return (
        *(_budget(inputs, name, name) for name in several),
        *(_budget(inputs, names.worker(queue), names.WORKER, queue) for queue in queues),
    )


def cleanup(inputs: Inputs) -> tuple[Manifest, ...]:
    """Under the Kubernetes executor failed pods stay for people to look at; once an hour those that ended are removed,
    at a minute of the Deployment's own, so that not all of them do it at once."""
    if inputs.release.executor is not Executor.KUBERNETES:
        return ()
    arguments = ("kubernetes", "cleanup-pods", "--namespace", inputs.namespace)
    template = airflow_pod(inputs, PodProgram(names.CLEANUP, arguments, sizes.CLEANUP, ()))
    template["spec"]["restartPolicy"] = "Never"
    spec = {
        "schedule": f"{zlib.crc32(inputs.release.release_name.encode()) % 60} * * * *",
        "concurrencyPolicy": "Forbid",
        "suspend": inputs.release.hibernating,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {"spec": {"backoffLimit": 0, "activeDeadlineSeconds": 600, "template": template}},
    }
    meta = inputs.meta(names.CLEANUP, names.CLEANUP)
    return ({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec},)


def _budget(inputs: Inputs, name: str, component: str, queue: str = "") -> Manifest:
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.selector(inputs.ref, component, queue=queue)},
    }
    meta = inputs.meta(name, component, queue=queue)
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
