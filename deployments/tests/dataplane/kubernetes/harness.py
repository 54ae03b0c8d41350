"""What the contract suite needs of a Kubernetes cluster: the emulator, or a real API server (KUBECONFIG_TEST)."""

import os
import secrets
import socket
from base64 import b64decode
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote
from urllib.request import Request, urlopen

import psycopg
import pytest

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import ClusterConfig
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.api.transport import connection_to
from deployments.dataplane.kubernetes.driver import KEDA_PATH, STORAGE_PATH, KubernetesDriver
from deployments.dataplane.postgres import databases
from deployments.tests.dataplane import served
from deployments.tests.dataplane.contract import NEWER, OLDER, Case, converge, new_case
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.kubelet import Kubelet
from deployments.tests.dataplane.kubernetes.node import Node
from deployments.tests.dataplane.kubernetes.rights import with_shipped_rights
from deployments.tests.dataplane.kubernetes.store import stamped
from deployments.tests.templates import drop_template

ADMIN = postgres.url(STATE, "postgres")
DOMAIN = "airflow.example"
REAL = os.environ.get("KUBECONFIG_TEST", "")
STANDARD = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "example.com/disk",
}
NOT_ASKED = (0.0, False)  # whether the cluster has KEDA


class KubernetesHarness:
    """See `contract.Harness`."""

    components = frozenset(
        ("api-server", "scheduler", "dag-processor", "triggerer", "redis", "code-server", "worker-default")
    )

    def __init__(self, kubeconfig: str, *, emulator: Emulator | None) -> None:
        self.kubeconfig, self.emulator = kubeconfig, emulator
        self.patience, self.pause = (20.0, 0.0) if emulator else (90.0, 0.2)
        self.prefix = "t" + secrets.token_hex(3) + "-"
        self.credentials = parse(
            kubeconfig
        )  # of the console; ours, and the kubelet's, are an administrator's
        self.connection = connection_to(self.credentials)
        self.kubelet = Kubelet(self.api, ADMIN, self.prefix, controllers=emulator is not None)
        if emulator:
            self.credentials = emulator.console_credentials
            self.kubelet.log = self._log
            self.kubelet.version = lambda: emulator.store.version
            self.api().apply(f"{STORAGE_PATH}/standard", STANDARD)
        else:
            self.credentials = with_shipped_rights(self.api(), self.credentials)
            self.kubelet.node = Node()
            self.kubelet.log = self.kubelet.node.log
            self.kubelet.addresses[names.CODE_SERVER] = own_address()
        self._running: Case | None = None
        self._servers: dict[str, served.Running] = {}
        self._closing = ExitStack()
        drop_templates()  # a real Airflow's, from tests of this machine in the same process

    def config(self, **more: str) -> ClusterConfig:
        """The cluster as the console would have it registered."""
        document = {"namespace_prefix": self.prefix, "ingress_domain": DOMAIN}
        stored = self.credentials.settings()
        return ClusterConfig("c1", "kubernetes", ADMIN, {**stored, **document, **more})

    def api(self) -> Api:
        return Api(self.connection, 60.0)

    def bare_driver(self, **more: str) -> KubernetesDriver:
        """A driver, without anything having gone on in the cluster meanwhile."""
        return KubernetesDriver(self.config(**more))

    def new_driver(self) -> KubernetesDriver:
        self.kubelet.play()
        return self.bare_driver()

    def unreachable(self) -> KubernetesDriver:
        return self.bare_driver(server="https://127.0.0.1:1")

    def running(self) -> Case:
        if self._running is None:
            case = new_case()
            converge(self, case)
            self._running = case
        return self._running

    def namespace(self, case: Case) -> str:
        return names.namespace(self.prefix, case.ref.release_name)

    @contextmanager
    def keda(self) -> Iterator[KubernetesDriver]:
        """A driver that leaves scaling to KEDA, which is there meanwhile; a real cluster without it skips the test."""
        if self.emulator:
            self.emulator.keda = True
        elif self.api().get(KEDA_PATH) is None:
            pytest.skip("the cluster of KUBECONFIG_TEST has no KEDA")
        driver = self.bare_driver(keda="true")
        driver.connection.keda = NOT_ASKED
        try:
            yield driver
        finally:
            driver.connection.keda = NOT_ASKED
            if self.emulator:
                self.emulator.keda = False

    def failing_migration(self, case: Case) -> AbstractContextManager[None]:
        return self.kubelet.failing_migration(self.namespace(case))

    def write_task_log(self, case: Case, path: str, text: str) -> None:
        """By way of the code server, as a task's pod does."""
        server = self.code_server(case)
        body = text.encode()
        url = f"{server.address}/logs/{quote(path)}?from=0"
        headers = {"Authorization": f"Bearer {served.TOKEN}"}
        with urlopen(Request(url, body, headers, method="PUT"), timeout=10) as answer:
            assert answer.status == 200

    def code_server(self, case: Case) -> served.Running:
        """The real program, as a process of this machine, behind the Service of that Deployment."""
        namespace = self.namespace(case)
        if namespace not in self._servers:
            secret = self.api().get(path_of("v1", "Secret", namespace, names.LOG_READER))
            token = b64decode(secret["data"]["token"]).decode()
            folder = Path(self._closing.enter_context(TemporaryDirectory()))
            # A real API server asks the address of the pod, which is this machine's, at the port of its container.
            more = {} if self.emulator else {"AIRDECK_CODE_HOST": "", "AIRDECK_LOG_READER_PORT": "8091"}
            running = served.code_server(served.NOWHERE, folder / "cache", reader_token=token, more=more)
            self._servers[namespace] = self._closing.enter_context(running)
            if self.emulator:
                self.emulator.programs[namespace, names.CODE_SERVER] = self._servers[namespace].reader
        return self._servers[namespace]

    def remember(self, case: Case) -> None:
        with self._inside(case) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    def remembers(self, case: Case) -> bool:
        with self._inside(case) as connection:
            return connection.execute("SELECT answer FROM kept").fetchone() == (42,)

    def close(self) -> None:
        """Leave nothing in the cluster, nor of its templates in Postgres."""
        self._closing.close()
        api = self.api()
        if self.kubelet.node:
            self.kubelet.node.close(api)
        for found in api.items(path_of("v1", "Namespace", "")):
            if found["metadata"]["name"].startswith(self.prefix):
                api.delete(path_of("v1", "Namespace", "", found["metadata"]["name"]), "namespace")
        drop_templates()

    def _inside(self, case: Case) -> psycopg.Connection:
        return psycopg.connect(ADMIN, dbname=databases.database_name(case.ref.release_name), autocommit=True)

    def _log(self, namespace: str, pod: str, text: str) -> None:
        logs, key = self.emulator.logs, (namespace, pod, False)
        logs[key] = logs.get(key, "") + stamped(text)


def own_address() -> str:
    """Of this machine, not on loopback: where a real API server finds what plays a pod. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(asked.getsockname()[0])


def drop_templates() -> None:
    """Remove what is on the tests' Postgres of the runtimes that the contract uses."""
    for runtime in (OLDER, NEWER):
        drop_template(ADMIN, runtime.version)


def real_kubeconfig() -> str:
    """The kubeconfig of the real API server to test with."""
    return Path(REAL).read_text()
