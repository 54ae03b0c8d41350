"""One Deployment in one cluster, and the API to it: what every part of the driver needs to know."""

from dataclasses import dataclass

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.names import component_of


@dataclass(frozen=True, repr=False)
class Target:
    """`api` carries the budget of one driver call. `admin_url` holds a password: no repr."""

    api: Api
    ref: Ref
    settings: ClusterSettings
    admin_url: str

    @property
    def namespace(self) -> str:
        """The Deployment's namespace."""
        return names.namespace(self.settings.namespace_prefix, self.ref.release_name)

    def path(self, api_version: str, kind: str, name: str = "") -> str:
        """Of one of its objects, or of all of a kind."""
        return path_of(api_version, kind, self.namespace, name)

    def own_namespace(self) -> Json | None:
        """The namespace, when it is there and this Deployment's."""
        path = path_of("v1", "Namespace", "", self.namespace)
        found = self.api.opening(path, f"namespace {self.namespace}")
        return found if found and _owner(found) == self.ref.deployment_id else None

    def workloads(self) -> list[Json]:
        """The Kubernetes Deployments of its components."""
        return self._items("apps/v1", "Deployment")

    def pods(self, component: str = "") -> list[Json]:
        """Its pods, or those of one component ("worker-default")."""
        found = self._items("v1", "Pod")
        return [p for p in found if not component or component_of(p) == component]

    def replica_sets(self) -> list[Json]:
        """For why no pods are made."""
        return self._items("apps/v1", "ReplicaSet")

    def events(self) -> list[Json]:
        """Warnings of the last hour, which is as long as a cluster keeps them. At most 500."""
        query = {"fieldSelector": "type=Warning", "limit": "500"}
        return self.api.items(self.path("v1", "Event"), "its events", **query)

    def scale(self, workload: Json, replicas: int, manager: str) -> None:
        """Set the number of pods of one workload."""
        name = workload["metadata"]["name"]
        path = self.path("apps/v1", "Deployment", name) + "/scale"
        self.api.merge(path, {"spec": {"replicas": replicas}}, f"the size of {name}", manager)

    def _items(self, api_version: str, kind: str) -> list[Json]:
        label = f"{names.LABEL_DEPLOYMENT}={self.ref.deployment_id}"
        return self.api.items(self.path(api_version, kind), f"its {kind}s", labelSelector=label)


def replicas(workload: Json) -> int:
    """How many pods a workload is to have."""
    count = (workload.get("spec") or {}).get("replicas", 1)
    return int(count) if isinstance(count, int) else 1


def true_condition(found: Json, kind: str) -> Json | None:
    """A condition of that type that holds."""
    for one in (found.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind and one.get("status") == "True":
            return dict(one)
    return None


def _owner(found: Json) -> str:
    labels = (found.get("metadata") or {}).get("labels") or {}
    return str(labels.get(names.LABEL_DEPLOYMENT, ""))


def queue_of(workload: Json) -> str:
    """The worker queue that a workload serves; "" for other components."""
    component = component_of(workload)
    return component.removeprefix("worker-") if component.startswith("worker-") else ""
