"""Plays what a cluster does with our objects: with `controllers` the controllers too (for the emulator), else only the
kubelet (for a real API server with its own controllers and no nodes). Nothing is started: pods become ready by their
status being set, as a kubelet sets it, and Airflow's heartbeats are rows that it would have written.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.postgres import databases
from deployments.tests.dataplane.kubernetes.node import Node
from deployments.tests.dataplane.kubernetes.store import now
from deployments.tests.dataplane.postgres import airflow_tables

JOB_TYPES = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
FRESH_SECONDS = 5.0  # heartbeats are older than that at their next beat
OURS = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
TABLES = f"{airflow_tables.TABLES} CREATE UNIQUE INDEX IF NOT EXISTS one_job ON job (hostname)"
BEAT = """
INSERT INTO job (job_type, hostname, state, start_date, latest_heartbeat)
VALUES (%s, %s, 'running', now() - interval '1 second', now())
ON CONFLICT (hostname) DO UPDATE SET latest_heartbeat = now(), state = 'running'
"""
URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
DIGEST = "sha256:" + "ab" * 32

type Json = dict[str, Any]


def looked_at(
    airflow: str = "3.3.2", *, image_id: str = f"registry.example/team/airflow@{DIGEST}", **found: str
) -> Json:
    """The status of a pod that looked at an image, as a kubelet leaves it."""
    message = json.dumps({"airflow": airflow, "python": "3.12.7", "head": "", "problem": "", **found})
    ends = {"exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now()}
    common = {"ready": False, "restartCount": 0, "image": "i", "imageID": image_id, "lastState": {}}
    return {
        "phase": "Succeeded",
        "startTime": now(),
        "initContainerStatuses": [{**common, "name": "version", "state": {"terminated": ends}}],
        "containerStatuses": [
            {**common, "name": "imports", "state": {"terminated": {**ends, "message": message}}}
        ],
    }


LOOKED_AT = looked_at()


class Kubelet:
    """`play` does once what would be going on all the time."""

    def __init__(self, api: Callable[[], Api], admin_url: str, prefix: str, *, controllers: bool) -> None:
        self._new_api, self._admin_url, self._prefix, self._controllers = api, admin_url, prefix, controllers
        self.failing: set[str] = set()  # namespaces whose migrations fail
        self.unpullable: set[str] = set()  # images that no registry has
        self.broken: set[str] = set()  # components whose pods do not get ready
        self.addresses: dict[str, str] = {}  # of components whose pods are programs of this machine
        self.images: dict[str, Json] = {}  # by image: the status of the pod that looks at it
        self.log: Callable[[str, str, str], None] = lambda namespace, pod, text: None
        self.node: Node | None = None
        self.version: Callable[[], object] = time.monotonic  # changes when something in the cluster does
        self._number, self._done = 0, (0.0, None)

    def play(self) -> None:
        """Controllers first, then pods, then what the controllers make of them."""
        at, version = self._done
        if version == self.version() and time.monotonic() - at < FRESH_SECONDS:
            return
        self._api = self._new_api()
        if self._controllers:
            self._reconcile()
        if self.node:
            self.node.beat(self._api)
        for pod in self._list("v1", "Pod"):
            with suppress(DataPlaneError):  # it is going, with its namespace; the others must not wait for it
                self._start(pod)
        self._beat()
        if self._controllers:
            self._settle()
        self._done = (time.monotonic(), self.version())

    def settle(self, fine: Callable[[], bool], patience: float = 20.0) -> None:
        """Play until something holds."""
        deadline = time.monotonic() + patience
        while not fine():
            assert time.monotonic() < deadline
            self.play()
            time.sleep(0.05)

    @contextmanager
    def failing_migration(self, namespace: str) -> Iterator[None]:
        self.failing.add(namespace)
        try:
            yield
        finally:
            self.failing.discard(namespace)

    def _list(self, api_version: str, kind: str) -> list[Json]:
        found = self._api.items(path_of(api_version, kind, ""), kind, labelSelector=OURS)
        return [one for one in found if one["metadata"]["namespace"].startswith(self._prefix)]

    # -- What controllers do --

    def _reconcile(self) -> None:
        pods = self._list("v1", "Pod")
        owners = [*self._list("apps/v1", "Deployment"), *self._list("batch/v1", "Job")]
        alive = {owner["metadata"]["uid"] for owner in owners}
        for pod in pods:
            if pod["metadata"]["ownerReferences"][0]["uid"] not in alive:
                self._remove(pod)
        for owner in owners:
            mine = [p for p in pods if p["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]]
            template = owner["spec"]["template"]
            mark = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
            if owner["kind"] == "Job":
                desired = 0 if (owner.get("status") or {}).get("conditions") else 1
                stale: list[Json] = []
            else:
                desired = owner["spec"].get("replicas", 1)
                stale = [p for p in mine if p["metadata"]["labels"].get("pod-template-hash") != mark]
            fresh = [p for p in mine if p not in stale]
            cost = "controller.kubernetes.io/pod-deletion-cost"
            fresh.sort(key=lambda p: int((p["metadata"].get("annotations") or {}).get(cost, 0)), reverse=True)
            surplus = fresh[desired:] if owner["kind"] != "Job" else []
            for pod in [*stale, *surplus]:
                self._remove(pod)
            for _ in range(desired - len(fresh)):
                self._make(owner, template, mark)

    def _make(self, owner: Json, template: Json, mark: str) -> None:
        meta, self._number = owner["metadata"], self._number + 1
        labels = {**template["metadata"]["labels"], "pod-template-hash": mark}
        if owner["kind"] == "Job":
            labels["batch.kubernetes.io/job-name"] = meta["name"]
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        name = f"{meta['name']}-{mark}-{self._number:05}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": template["spec"],
        }
        pod["metadata"] |= {"namespace": meta["namespace"], "ownerReferences": [reference]}
        self._api.create(
            path_of("v1", "Pod", meta["namespace"]), pod, name, fieldManager="kube-controller-manager"
        )

    def _remove(self, pod: Json) -> None:
        self._api.delete(path_of("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]), "pod")

    def _settle(self) -> None:
        pods = self._list("v1", "Pod")
        for owner in [*self._list("apps/v1", "Deployment"), *self._list("batch/v1", "Job")]:
            mine = [p for p in pods if p["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]]
            status = _job_status(owner, mine) if owner["kind"] == "Job" else _workload_status(owner, mine)
            if status != {k: v for k, v in (owner.get("status") or {}).items() if k in status}:
                self._set_status(owner, status)

    def _set_status(self, found: Json, status: Json) -> None:
        meta = found["metadata"]
        kind, version = found.get("kind", "Pod"), found.get("apiVersion", "v1")
        path = path_of(version, kind, meta["namespace"], meta["name"]) + "/status"
        self._api.merge(
            path, {"status": status}, kind, "kubelet" if kind == "Pod" else "kube-controller-manager"
        )

    # -- What a kubelet does --

    def _start(self, pod: Json) -> None:
        meta, labels = pod["metadata"], pod["metadata"]["labels"]
        if self.node and not self.node.takes(self._api, pod):
            return
        if (pod.get("status") or {}).get("phase") in ("Running", "Succeeded", "Failed"):
            return
        component = names.component_of(pod)
        if component == names.IMAGE_CHECK:
            self._set_status(pod, self.images.get(pod["spec"]["containers"][0]["image"], LOOKED_AT))
            return
        if "batch.kubernetes.io/job-name" in labels:
            self._migrate(pod)
            return
        if component in self.broken:
            return
        for number in range(3):
            self.log(meta["namespace"], meta["name"], f"{component} says {number}")
        since = {"startedAt": now()}
        container = {
            "name": pod["spec"]["containers"][0]["name"],
            "ready": True,
            "started": True,
            "restartCount": 0,
        }
        container |= {"image": "i", "imageID": "i", "state": {"running": since}, "lastState": {}}
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now()}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        address = self.addresses.get(component) or address_of(meta["uid"])
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now()}
        self._set_status(pod, {**status, "conditions": conditions, "containerStatuses": [container]})

    def _migrate(self, pod: Json) -> None:
        meta = pod["metadata"]
        if (image := pod["spec"]["containers"][0]["image"]) in self.unpullable:
            message = (
                ("ErrImagePull", f"{image}: not found")
                if time.monotonic() % 2 < 1
                else ("ImagePullBackOff", f'Back-off pulling image "{image}"')
            )
            waiting = {"waiting": {"reason": message[0], "message": message[1]}}
            status = {
                "name": "migration",
                "image": image,
                "ready": False,
                "restartCount": 0,
                "state": waiting,
            }
            self._set_status(pod, {"phase": "Pending", "containerStatuses": [status]})
            return
        if meta["namespace"] in self.failing:
            self.log(meta["namespace"], meta["name"], "ERROR: column dag_run.surprise does not exist")
            self._set_status(pod, {"phase": "Failed", "startTime": now()})
            return
        env = next(e for e in pod["spec"]["containers"][0]["env"] if e["name"] == URL)
        key = env["valueFrom"]["secretKeyRef"]
        secret = self._api.get(path_of("v1", "Secret", meta["namespace"], key["name"]))
        url = _decoded(secret["data"][key["key"]]).replace("postgresql+psycopg2:", "postgresql:")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLES)
        self._set_status(pod, {"phase": "Succeeded", "startTime": now()})

    def _beat(self) -> None:
        """Airflow's heartbeats, of the pods that are ready."""
        running: dict[str, list[tuple[str, str]]] = {}
        for pod in self._list("v1", "Pod"):
            component = names.component_of(pod)
            release = pod["metadata"]["labels"].get(names.LABEL_INSTANCE, "")
            if component in JOB_TYPES and (pod.get("status") or {}).get("phase") == "Running":
                running.setdefault(release, []).append((JOB_TYPES[component], pod["status"]["podIP"]))
        for release, beats in running.items():
            name = databases.database_name(release)
            with (
                suppress(psycopg.OperationalError),  # it was dropped, or is just being
                psycopg.connect(self._admin_url, dbname=name, autocommit=True) as connection,
            ):
                connection.execute(f"SET ROLE {name}")  # as that Airflow: what it makes is its own
                if connection.execute("SELECT to_regclass('one_job')").fetchone() == (None,):
                    connection.execute(TABLES)
                connection.execute("DELETE FROM job WHERE NOT hostname = ANY(%s)", ([ip for _, ip in beats],))
                connection.cursor().executemany(BEAT, beats)


def _workload_status(owner: Json, mine: list[Json]) -> Json:
    ready = sum((p.get("status") or {}).get("phase") == "Running" for p in mine)
    desired = owner["spec"].get("replicas", 1)
    fine = ready >= desired
    conditions = [
        {"type": "Available", "status": str(fine), "reason": "MinimumReplicasAvailable"},
        {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable" if fine else "ReplicaSetUpdated",
        },
    ]
    counts = {
        "replicas": len(mine),
        "updatedReplicas": len(mine),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    return {"observedGeneration": owner["metadata"]["generation"], **counts, "conditions": conditions}


def _job_status(owner: Json, mine: list[Json]) -> Json:
    phases = [(p.get("status") or {}).get("phase") for p in mine]
    if "Succeeded" in phases:
        return {"succeeded": 1, "active": 0, "conditions": [{"type": "Complete", "status": "True"}]}
    if "Failed" in phases:
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "too many failures",
        }
        return {"failed": 1, "active": 0, "conditions": [failed]}
    return {"active": 1}


def address_of(uid: str) -> str:
    """The address of the pod with that uid, in the node's network."""
    digest = hashlib.sha256(uid.encode()).digest()
    return f"10.{digest[0]}.{digest[1]}.{digest[2] % 254 + 1}"


def _decoded(data: str) -> str:
    import base64

    return base64.b64decode(data).decode()
