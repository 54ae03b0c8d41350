"""The namespace, and the fence around what runs in it."""

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.spec import Size

POD_SECURITY = "pod-security.kubernetes.io"


def objects(inputs: Inputs) -> tuple[Manifest, ...]:
    """Namespace, ResourceQuota, LimitRange."""
    return namespace(inputs), _quota(inputs), _limits(inputs)


def namespace(inputs: Inputs) -> Manifest:
    """The Deployment's namespace. Pods that DAGs start must pass Pod Security's baseline; ours pass restricted, and the
    cluster warns about those that would not."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": inputs.namespace,
            "labels": {**names.labels(inputs.ref), **pod_security("baseline")},
        },
    }


def pod_security(enforce: str) -> dict[str, str]:
    """Namespace labels of Pod Security admission. No version: the cluster's own is the one that it can judge."""
    return {
        f"{POD_SECURITY}/enforce": enforce,
        f"{POD_SECURITY}/audit": "restricted",
        f"{POD_SECURITY}/warn": "restricted",
    }


def _quota(inputs: Inputs) -> Manifest:
    total, pods = sizes.total(inputs)
    hard = {
        "requests.cpu": sizes.cpu(total),
        "requests.memory": sizes.memory(total),
        "limits.memory": sizes.memory(total),
        "pods": str(pods),
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": inputs.meta("airdeck"),
        "spec": {"hard": hard},
    }


def _limits(inputs: Inputs) -> Manifest:
    """What a pod gets that names no resources, so that a quota does not refuse the pods of a simple DAG."""
    default = {
        "type": "Container",
        "default": _memory(sizes.TASK),
        "defaultRequest": sizes.requests(sizes.TASK),
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": inputs.meta("airdeck"),
        "spec": {"limits": [default]},
    }


def _memory(size: Size) -> dict[str, str]:
    return {"memory": sizes.memory(size)}
