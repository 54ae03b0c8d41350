"""What stands in for nodes under a fleet: it hears of pods by a watch and sets their status, so that it costs the API
server no more than kubelets do. Airflow's heartbeats are rows of a view that is always fresh."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from console.bench.cluster import Registered
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, ApiStream, path_of
from deployments.dataplane.postgres import databases
from deployments.tests.dataplane.kubernetes.kubelet import JOB_TYPES, Kubelet, address_of
from deployments.tests.dataplane.postgres.airflow_tables import TABLES

DAY = 24 * 3600.0
THREADS, TRIES = 4, 5
WATCH_SECONDS = 60.0
ALIVE = """
ALTER TABLE job RENAME TO beats;
CREATE VIEW job AS SELECT id, job_type, hostname, state, now() - interval '1 second' AS start_date,
  now() AS latest_heartbeat FROM beats;
"""
KEPT_ALIVE = "SELECT 1 WHERE to_regclass('beats') IS NOT NULL"
BEAT = "INSERT INTO job (job_type, hostname, state) VALUES (%s, %s, 'running')"


class FleetKubelet(Kubelet):
    """Plays every pod of the bench's prefix, while `watching`."""

    def __init__(self, registered: Registered) -> None:
        super().__init__(registered.api, registered.database_url, registered.prefix, controllers=False)
        self.node, self.log = registered.kubelet.node, lambda namespace, pod, text: None
        self._api = Api(registered.connection, DAY)
        self._seen: set[tuple[str, bool]] = set()  # uids, and whether it was to end
        self._hearts: dict[
            str, dict[str, dict[str, Any]]
        ] = {}  # by release: pods with a heartbeat, by component
        self.started: Counter[str] = Counter()  # pods, by who manages them
        self._counting, self._stop = threading.Lock(), threading.Event()
        self._stream: ApiStream | None = None

    def play(self) -> None:
        """The node's own sign of life; the rest comes from the watch."""
        assert self.node is not None
        self.node.beat(self._api)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Pods are played from now on."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            if self._stream:
                self._stream.cut()
            thread.join()

    def keep_alive(self, release: str) -> None:
        """The heartbeats that are in its database stay fresh."""
        with self._inside(release) as connection:
            connection.execute(ALIVE)

    def _watch(self) -> None:
        path = path_of("v1", "Pod", "")
        with ThreadPoolExecutor(THREADS) as pool:
            while not self._stop.is_set():
                with suppress(DataPlaneError):
                    found = self._api.get(path, "pods") or {}
                    for pod in found.get("items", ()):
                        pool.submit(self._hear, pod)
                    query = {"watch": "true", "resourceVersion": found["metadata"]["resourceVersion"]}
                    with self._api.stream(path, "pods", WATCH_SECONDS, **query) as stream:
                        self._stream = stream
                        for event in _events(stream):
                            if event["type"] in ("ADDED", "MODIFIED"):
                                pool.submit(self._hear, event["object"])

    def _hear(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        mark = (meta["uid"], "deletionTimestamp" in meta)
        with self._counting:
            ran_before = pod.get("status", {}).get("phase") == "Running" and not mark[1]
            if mark in self._seen or ran_before or not meta["namespace"].startswith(self._prefix):
                return
            self._seen.add(mark)
        try:
            for each in self._together(pod):
                self._start_at_last(each)
        except Exception as error:
            print(f"  kubelet: {type(error).__name__}: {error}", flush=True)

    def _start_at_last(self, pod: dict[str, Any]) -> None:
        """Also when the API server is too busy for the first tries. A pod that is going, with its namespace, is not
        started."""
        for _ in range(TRIES):
            with suppress(DataPlaneError):
                self._start(pod)
                with self._counting:
                    self.started[pod["metadata"]["labels"].get(names.LABEL_MANAGED_BY, "")] += 1
                return
            time.sleep(1)

    def _together(self, pod: dict[str, Any]) -> list[dict[str, Any]]:
        """What starts now: a pod, or those with a heartbeat once all of its Deployment are there, so that one
        connection to their database is enough."""
        labels = pod["metadata"]["labels"]
        component, release = names.component_of(pod), labels.get(names.LABEL_INSTANCE, "")
        if labels.get(names.LABEL_MANAGED_BY) != names.MANAGER or component not in JOB_TYPES:
            return [pod]
        with self._counting:
            held = self._hearts.setdefault(release, {})
            held[component] = pod
            if len(held) < len(JOB_TYPES):
                return []
            self._hearts[release] = {}
        with self._inside(release) as connection:
            beats = [(JOB_TYPES[name], address_of(each["metadata"]["uid"])) for name, each in held.items()]
            if not connection.execute(KEPT_ALIVE).fetchone():  # else its pods are replaced
                connection.execute(f"{TABLES} {ALIVE}")
            connection.cursor().executemany(BEAT, beats)
        return list(held.values())

    def _inside(self, release: str) -> psycopg.Connection:
        name = databases.database_name(release)
        connection = psycopg.connect(self._admin_url, dbname=name, autocommit=True)
        connection.execute(f"SET ROLE {name}")  # as that Airflow: what it makes is its own
        return connection


def _events(stream: ApiStream) -> Iterator[dict[str, Any]]:
    rest = b""
    for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line)
