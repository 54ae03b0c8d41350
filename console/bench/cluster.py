"""The Kubernetes cluster of KUBECONFIG_TEST, registered in the bench's installation, with something that plays the
kubelet where it has no nodes."""

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg

from console.bench import rows
from console.embedded import postgres
from console.tests.system.installation import Installation
from deployments.actions import clusters, delete_deployment
from deployments.clusters.options import clusters_for
from deployments.dataplane.contract import DataPlaneError, Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.domain.states import Executor, Status
from deployments.models import Cluster, Deployment
from deployments.models.clusters import MISSING
from deployments.tests.dataplane.kubernetes.kubelet import Kubelet
from deployments.tests.dataplane.kubernetes.node import Node
from deployments.tests.dataplane.kubernetes.rights import with_shipped_rights
from workspaces.models import Workspace

KUBECONFIG = os.environ.get("KUBECONFIG_TEST", "")
DOMAIN = "airflow.example"
PLAY_SECONDS = 0.2


class Registered:
    """A context: the cluster is registered and offered; Deployments made here are gone at the end."""

    def __init__(self, at: Installation) -> None:
        admin = parse(Path(KUBECONFIG).read_text())
        self.connection = Connection(admin)  # not the driver's own, whose requests are counted
        self.credentials = with_shipped_rights(self.api(), admin)  # the console's
        self.prefix = f"b{secrets.token_hex(3)}-"
        self.database_url = postgres.url(at.state, "postgres")
        self.kubelet = Kubelet(self.api, self.database_url, self.prefix, controllers=False)
        self.kubelet.node = Node()
        self.kubelet.log = self.kubelet.node.log
        self.workspace, _ = rows.make_workspace(1)
        self.user = self.workspace.members.all()[0]
        self._playing, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Self:
        self.cluster = self.register("Bench", self.credentials.settings())
        self._thread.start()
        wait(self._offered, 200, "the checks")
        return self

    def __exit__(self, *_: object) -> None:
        self._playing.set()
        for row in Deployment.objects.filter(cluster=self.cluster, deleted_at__isnull=True):
            delete_deployment(deployment=row, by=row.workspace.members.all()[0])
        wait(lambda: not self._left(), 300, "every Deployment gone")
        self._stop.set()
        self._thread.join()
        assert self.kubelet.node is not None
        self.kubelet.node.close(self.api())

    def register(self, name: str, stored: dict[str, str]) -> Cluster:
        """A cluster of these credentials; its checks run in a worker."""
        settings = {"namespace_prefix": self.prefix, "ingress_domain": DOMAIN}
        reach = clusters.ClusterConnection(
            type(self.credentials).of(stored), self.database_url.replace("@/", "@localhost/", 1), settings
        )
        return clusters.register(name=f"{name} {self.prefix}", reach=reach, by=None)

    def api(self) -> Api:
        """For the bench's own questions."""
        return Api(self.connection, 60.0)

    def play(self, on: bool) -> None:
        """Whether pods start by themselves."""
        (self._playing.set if on else self._playing.clear)()

    def create(
        self,
        executor: Executor = Executor.CELERY,
        cluster: Cluster | None = None,
        workspace: Workspace | None = None,
    ) -> Deployment:
        """Ask for a Deployment, as the form does."""
        name = f"Bench {uuid4().hex[:8]}"
        return rows.ask_for(workspace or self.workspace, cluster or self.cluster, name, executor)

    def create_healthy(self, executor: Executor = Executor.CELERY) -> Deployment:
        """One that is Healthy."""
        made = self.create(executor)
        self.play(True)
        wait(lambda: status(made) == Status.HEALTHY, 300, f"{made.release_name} Healthy")
        return made

    def remove(self, deployment: Deployment) -> None:
        """Delete it and wait until it is gone."""
        delete_deployment(deployment=deployment, by=self.user)
        wait(lambda: status(deployment) == Status.DELETED, 200, f"{deployment.release_name} gone")

    def inventory(self, deployment: Deployment) -> Inventory:
        """What the driver says it applied."""
        ref = Ref(str(deployment.pk), deployment.release_name)
        return inventory.read(self.api(), ref, self.namespace(deployment.release_name))

    def namespace(self, release_name: str) -> str:
        """Where its objects are."""
        return names.namespace(self.prefix, release_name)

    def _offered(self) -> bool:
        """Whether Deployments may be created on it. Fails with what the cluster lacks."""
        checks = Cluster.objects.values_list("checks", flat=True).get(pk=self.cluster.pk)
        lacking = [check for check in checks if check["state"] == MISSING]
        assert not lacking, lacking
        return bool(clusters_for(self.workspace).filter(pk=self.cluster.pk).exists())

    def _left(self) -> bool:
        return Deployment.objects.filter(cluster=self.cluster, deleted_at__isnull=True).exists()

    def _play(self) -> None:
        while not self._stop.wait(PLAY_SECONDS):
            if not self._playing.is_set():
                continue
            try:
                self.kubelet.play()
            except (
                DataPlaneError,
                psycopg.Error,
            ) as error:  # what went between two looks comes right at the next
                print(f"  kubelet: {error}", flush=True)


def status(deployment: Deployment) -> str:
    """As recorded now."""
    return str(Deployment.objects.values_list("status", flat=True).get(pk=deployment.pk))


def wait(fine: Callable[[], bool], seconds: float, what: str, pause: float = 0.1) -> None:
    """Until something holds."""
    deadline = time.monotonic() + seconds
    while not fine():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds:.0f} s"
        time.sleep(pause)
