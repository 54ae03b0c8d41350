"""What is watched of every Deployment of a cluster: one list and one watch per kind, for all of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.dataplane.kubernetes import names

type Raw = Mapping[str, Any]

WHOLE = "application/json"
# The API server leaves out spec, status and data: no value of a Secret ever reaches the observer. One object and a list
# are asked for by different names: the API server (1.36) ends a watch that asks for lists at its first event, without a
# word.
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1, application/json"
METADATA = _METADATA.format("PartialObjectMetadata")
METADATA_LIST = _METADATA.format("PartialObjectMetadataList")


@dataclass(frozen=True)
class WatchedKind:
    """One kind. `whole` objects are asked for when their status says something; of the others the metadata alone
    shows who changed what. `optional` kinds may be unknown to a cluster. That one comes or goes wakes the Deployment
    when a look at it reads the kind (`seen`); of the others only a drift is reported."""

    kind: str
    api_version: str
    whole: bool = False
    optional: bool = False
    seen: bool = True
    query: Mapping[str, str] = field(default_factory=lambda: {"labelSelector": names.LABEL_DEPLOYMENT})

    @property
    def list_accept(self) -> str:
        """What to ask for in a list."""
        return WHOLE if self.whole else METADATA_LIST

    @property
    def watch_accept(self) -> str:
        """What to ask for in a watch."""
        return WHOLE if self.whole else METADATA


# Pods of tasks come and go by the thousand, and say nothing of the Deployment.
_NO_TASKS = f"{names.LABEL_COMPONENT}!={names.TASK}"

INVENTORIES = WatchedKind(
    "ConfigMap", "v1", whole=True, query={"fieldSelector": f"metadata.name={names.INVENTORY}"}
)
KINDS = (
    INVENTORIES,
    WatchedKind("Deployment", "apps/v1", whole=True),
    WatchedKind("Job", "batch/v1", whole=True),
    WatchedKind("Ingress", "networking.k8s.io/v1", whole=True),
    WatchedKind("Pod", "v1", query={"labelSelector": f"{names.LABEL_DEPLOYMENT},{_NO_TASKS}"}),
    WatchedKind("ConfigMap", "v1", seen=False),
    WatchedKind("Secret", "v1", seen=False),
    WatchedKind("Service", "v1", seen=False),
    WatchedKind("ServiceAccount", "v1", seen=False),
    WatchedKind("ResourceQuota", "v1", seen=False),
    WatchedKind("LimitRange", "v1", seen=False),
    WatchedKind("PersistentVolumeClaim", "v1", seen=False),
    WatchedKind("Namespace", "v1"),
    WatchedKind("NetworkPolicy", "networking.k8s.io/v1", seen=False),
    WatchedKind("RoleBinding", "rbac.authorization.k8s.io/v1", seen=False),
    WatchedKind("PodDisruptionBudget", "policy/v1", seen=False),
    WatchedKind("CronJob", "batch/v1", seen=False),
    WatchedKind("ScaledObject", "keda.sh/v1alpha1", optional=True),
    WatchedKind("TriggerAuthentication", "keda.sh/v1alpha1", optional=True),
)


_WORKLOAD = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
)
_JOB = ("active", "succeeded", "failed")


def deployment_id(found: Raw) -> str:
    """Which Deployment an object says it belongs to; "" when to none. Anybody may write such a label."""
    labels = (found.get("metadata") or {}).get("labels") or {}
    return str(labels.get(names.LABEL_DEPLOYMENT, ""))[:64]


def state(kind: str, found: Raw) -> str:
    """A short text that changes when something that pages show changes. What is not reported (a new
    resourceVersion, a clock) is left out, so that it wakes no observer."""
    meta, status = found.get("metadata") or {}, found.get("status") or {}
    ending = "ending" if meta.get("deletionTimestamp") else ""
    match kind:
        case "Deployment":
            parts = [str(meta.get("generation")), *_counts(status, _WORKLOAD)]
            return " ".join([*parts, *_conditions(status), ending])
        case "Job":
            return " ".join([*_counts(status, _JOB), *_conditions(status), ending])
        case "Ingress":
            return f"{bool((status.get('loadBalancer') or {}).get('ingress'))} {ending}"
        case "Pod" | "Namespace":
            return f"{meta.get('uid')} {ending}"
        case _:
            return ending


def _counts(status: Raw, keys: tuple[str, ...]) -> list[str]:
    return [str(status.get(key, 0)) for key in keys]


def _conditions(status: Raw) -> list[str]:
    return [
        f"{one.get('type')}={one.get('status')}/{one.get('reason', '')}"
        for one in status.get("conditions") or ()
        if isinstance(one, Mapping)
    ]
