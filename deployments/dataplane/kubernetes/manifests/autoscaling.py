"""KEDA scales workers where the cluster has it: one ScaledObject per queue.

The question is the scaler's own: ceil((queued + running) / concurrency). KEDA asks the metadata database itself, from
its own namespace, so that must reach it too.
"""

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.spec import QueueSpec

GROUP = "keda.sh/v1alpha1"
POLL_SECONDS, QUIET_SECONDS = 10, 300  # looks every 10 s; fewer workers only after five idle minutes
CONNECTION = "connection"
AUTHENTICATION = "metadata-database"


def objects(inputs: Inputs) -> tuple[Manifest, ...]:
    """A TriggerAuthentication with the database's URL, and a ScaledObject per queue; nothing without KEDA."""
    queues = inputs.release.queues
    if not inputs.settings.keda or not queues:
        return ()
    reference = [{"parameter": CONNECTION, "name": names.DATABASE_LOGIN, "key": CONNECTION}]
    authentication = {
        "apiVersion": GROUP,
        "kind": "TriggerAuthentication",
        "metadata": inputs.meta(AUTHENTICATION),
        "spec": {"secretTargetRef": reference},
    }
    secret = conf.secret(inputs.meta(names.DATABASE_LOGIN), {CONNECTION: inputs.database_url})
    return (secret, authentication, *(_scaled(inputs, queue) for queue in queues))


def question(queue: QueueSpec) -> str:
    """The SQL whose answer is the desired number of workers."""
    return (
        # Figures and a name of [a-z0-9-]: nothing to quote.
        f"SELECT ceil(count(*)::decimal / {queue.concurrency}) FROM task_instance "  # noqa: S608
        f"WHERE state IN ('running', 'queued') AND queue = '{queue.name}'"
    )


def _scaled(inputs: Inputs, queue: QueueSpec) -> Manifest:
    trigger = {
        "type": "postgresql",
        "authenticationRef": {"name": AUTHENTICATION},
        "metadata": {"query": question(queue), "targetQueryValue": "1", "activationTargetQueryValue": "0"},
    }
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": QUIET_SECONDS}}
    spec = {
        "scaleTargetRef": {"name": names.worker(queue.name)},
        "pollingInterval": POLL_SECONDS,
        "cooldownPeriod": QUIET_SECONDS,
        "minReplicaCount": queue.min_workers,
        "maxReplicaCount": queue.max_workers,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour}},
        "triggers": [trigger],
    }
    # Paused at none while hibernating: KEDA itself lets the workers go, so that nothing fights over `replicas`.
    asleep = {"autoscaling.keda.sh/paused-replicas": "0"} if inputs.release.hibernating else None
    meta = inputs.meta(names.worker(queue.name), names.WORKER, queue=queue.name, annotations=asleep)
    return {"apiVersion": GROUP, "kind": "ScaledObject", "metadata": meta, "spec": spec}
