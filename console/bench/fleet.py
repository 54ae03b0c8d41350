"""A thousand Deployments on the cluster of KUBECONFIG_TEST: all of them Healthy, and what the quiet costs then.

Only when BENCH_FLEET says how many, because it takes an hour and fills an API server.
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import batched
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.db.models.functions import Now

from console.bench import airflow, cluster
from console.bench.cluster import Registered
from console.bench.result import Figure, Result
from console.tests.system.installation import Installation
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.postgres import databases
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.tests.dataplane.kubernetes.kubelet import Kubelet

COUNT = int(os.environ.get("BENCH_FLEET", "0"))
AT_ONCE = 40  # Deployments on their way
EACH_SECONDS = 300.0  # for one of them, at most
SETTLE_SECONDS, STEADY_SECONDS = 60.0, 300.0
BEAT_SECONDS = 10.0
MUST_LOOKS, MUST_MIB = 1.0, 400.0
LOOK, LOOK_REQUESTS = "GET configmaps", 2  # a look reads the inventory and lists the workloads
SERVED = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$")
METHOD = (
    f"BENCH_FLEET Deployments (Celery, one queue) are created through the console's own action, {AT_ONCE} on their way "
    "at a time, and reconciled by the console's worker and observer; a helper sets the status of their pods and writes "
    f"Airflow's heartbeats into their databases. {SETTLE_SECONDS:.0f} s after the last one is Healthy, over "
    f"{STEADY_SECONDS:.0f} s: the API server's own count of everything that it was asked by anybody "
    "(`apiserver_request_total` without watches), less what the helper asked, so the cluster's own controllers are in "
    "it. The observer's memory is the largest resident set in its life (VmHWM)."
)


def measure(at: Installation) -> Result:
    """Create, and be quiet."""
    if not (cluster.KUBECONFIG and COUNT):
        return Result((), "Not measured: KUBECONFIG_TEST and BENCH_FLEET are not both set.")
    airflow.ensure_none(at)
    with Registered(at) as registered:
        first = registered.create_healthy()  # the template database is made now, by a Job elsewhere
        registered.kubelet = kubelet = FleetKubelet(registered)
        kubelet.editable = [first.release_name]
        with kubelet.beating():
            began = time.monotonic()
            rows = [first, *_all_healthy(registered, kubelet, COUNT - 1)]
            created = time.monotonic() - began
            time.sleep(SETTLE_SECONDS)
            steady, asked = _steady(registered, rows)
            memory = _peak_mib(at.pid("observer"))
            now = psutil.Process(at.pid("observer")).memory_info().rss / 2**20
            _forget(registered, rows)
    figures = (
        steady,
        Figure(
            f"Kubernetes: observer with {len(rows):,} Deployments, largest resident memory",
            f"at most {MUST_MIB:.0f} MiB",
            f"{memory:.0f} MiB ({now:.0f} MiB at the end)",
            memory <= MUST_MIB,
        ),
    )
    details = (
        f"All {len(rows):,} Healthy after {created:.0f} s.",
        f"Asked in the quiet {STEADY_SECONDS:.0f} s: {asked}.",
    )
    return Result(figures, METHOD, details)


class FleetKubelet(Kubelet):
    """Looks at the pods of those on their way, and keeps the hearts of the others beating."""

    def __init__(self, registered: Registered) -> None:
        super().__init__(registered.api, registered.database_url, registered.prefix, controllers=False)
        self.node, self.log = registered.kubelet.node, registered.kubelet.log
        self.moving: dict[str, str] = {}  # release name: namespace
        self.editable: list[str] = []  # release names

    def _list(self, api_version: str, kind: str) -> list[dict[str, Any]]:
        paths = [path_of(api_version, kind, namespace) for namespace in list(self.moving.values())]
        return [one for path in paths for one in self._api.items(path, kind)]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Every settled Deployment has fresh heartbeats inside."""
        stop = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _beat_until(self, stop: threading.Event) -> None:
        with ThreadPoolExecutor(2) as pool:
            while not stop.wait(BEAT_SECONDS):
                list(pool.map(self._advance, list(self.editable)))

    def _advance(self, release: str) -> None:
        name = databases.database_name(release)
        with (
            suppress(psycopg.Error),
            psycopg.connect(self._admin_url, dbname=name, autocommit=True) as connection,
        ):
            connection.execute("UPDATE job SET latest_heartbeat = now()")


# -- All of them --


def _all_healthy(registered: Registered, kubelet: FleetKubelet, count: int) -> list[Deployment]:
    rows: list[Deployment] = []
    for number, batch in enumerate(batched(range(count), AT_ONCE)):
        made = [registered.create() for _ in batch]
        kubelet.moving = {row.release_name: registered.namespace(row.release_name) for row in made}
        _wait_healthy(made)
        kubelet.editable += [row.release_name for row in made]
        rows += made
        if number % 5 == 0:
            print(f"  {len(rows)} of {count} Healthy", flush=True)
    kubelet.moving = {}
    assert not (others := _restless(rows)), others
    return rows


def _wait_healthy(rows: list[Deployment]) -> None:
    cluster.wait(lambda: not _restless(rows), EACH_SECONDS, f"{len(rows)} Healthy", pause=0.5)


def _restless(rows: list[Deployment]) -> list[tuple[str, str, str]]:
    """Those of them that are not Healthy, with why."""
    others = Deployment.objects.filter(pk__in=[row.pk for row in rows]).exclude(status=Status.HEALTHY)
    return list(others.values_list("release_name", "status", "status_reason"))


def _forget(registered: Registered, rows: list[Deployment]) -> None:
    """Leave the end to the cluster, which takes seconds for each namespace, and to the installation, whose databases go
    with it. Pods of a node that is no more are ended by the cluster itself."""
    Deployment.objects.filter(pk__in=[row.pk for row in rows]).update(status=Status.DELETED, deleted_at=Now())
    for row in rows:
        path = path_of("v1", "Namespace", "", registered.namespace(row.release_name))
        registered.api().delete(path, "namespace")


# -- The quiet --


def _steady(registered: Registered, rows: list[Deployment]) -> tuple[Figure, str]:
    own = registered.connection.requests.total()
    before, began = _served(registered), time.monotonic()
    time.sleep(STEADY_SECONDS)
    asked = _served(registered) - before
    own = registered.connection.requests.total() - own
    minutes = (time.monotonic() - began) / 60
    restless = _restless(rows)
    looks = asked[LOOK]
    each = 10 * looks / minutes / len(rows)
    rest = (asked.total() - own - LOOK_REQUESTS * looks) / minutes
    figure = Figure(
        f"Kubernetes: looks at a healthy Deployment in ten minutes, with {len(rows):,} of them",
        f"at most {MUST_LOOKS:.0f}",
        f"{each:.2f}; beside them {rest:.0f} requests a minute for the whole cluster, its own controllers among "
        f"them; {len(restless)} not Healthy at some time",
        each <= MUST_LOOKS and not restless,
    )
    words = ", ".join(f"{count} {what}" for what, count in asked.most_common(8))
    return figure, f"{words}; {own} of all by the helper"


def _served(registered: Registered) -> Counter[str]:
    """What the API server says that it answered, by verb and resource, without watches."""
    with registered.api().stream("/metrics", "its metrics", 30.0, "text/plain") as stream:
        text = b"".join(stream).decode()
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if match := SERVED.match(line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
            if labels["verb"] != "WATCH":
                found[f"{labels['verb']} {labels['resource'] or labels['group'] or 'other'}"] += int(
                    float(match[2])
                )
    return found


def _peak_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) / 1024
