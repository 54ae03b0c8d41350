"""A thousand Deployments on the cluster of KUBECONFIG_TEST: how fast they are Healthy, what another Workspace notices
of that, and what the quiet costs then.

Only when BENCH_FLEET says how many, because it fills an API server. BENCH_FLEET_STEADY=0 leaves the quiet out.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from django.db import connection
from django.db.models.functions import Now

from console.bench import airflow, cluster, rows, worker_process
from console.bench.cluster import Registered
from console.bench.fleet_kubelet import FleetKubelet
from console.bench.result import Figure, Result, each, median
from console.tests.system.installation import Installation
from deployments.clusters import connections
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, path_of
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import Inputs, render
from deployments.dataplane.postgres import databases
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.queries.releases import release_of
from deployments.secrets import vault
from workspaces.models import Workspace

COUNT = int(os.environ.get("BENCH_FLEET", "0"))
AT_ONCE = 40  # Deployments on their way
PATIENCE = 300.0  # without one more of them Healthy
IDLE_ROUNDS = 3
SETTLE_SECONDS, STEADY_SECONDS = 60.0, float(os.environ.get("BENCH_FLEET_STEADY", "300"))
MUST_RATIO, MUST_OTHER, MUST_LOOKS, MUST_MIB = 1.5, 3.0, 1.0, 300.0
LOOK, LOOK_REQUESTS = "GET configmaps", 2  # a look reads the inventory and lists the workloads
SCRIPT = "script"  # who manages its objects, as their labels say
SCRIPT_DEPLOYMENT = "script/deployment-id"  # in place of the label by which an observer follows objects
SERVED = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$")
METHOD = (
    "The script first: the objects of BENCH_FLEET Deployments (Celery, one queue) under other names, made before, are "
    "sent over 8 connections by a process that does nothing else (`console/bench/fleet_script.py`), until the last one "
    "is answered; and, before anything else begins, until the last of their pods is ready. Then as many Deployments "
    "are created through the console's own action, "
    f"{AT_ONCE} on their way at a time, and reconciled by two workers, as the Helm chart starts them, and one observer "
    "until the last one is recorded as Healthy. In both, a helper hears of pods by a watch and sets their status; for "
    "the console it writes Airflow's heartbeats into their databases, too. Everything, the API server and etcd "
    "included, shares the machine. "
    f"Another Workspace creates one Deployment {IDLE_ROUNDS} times before (median) and once half way, from the action "
    f"to Healthy. {SETTLE_SECONDS:.0f} s after the last one is Healthy, over {STEADY_SECONDS:.0f} s: the API server's "
    "own count of everything that it was asked by anybody (`apiserver_request_total` without watches), less what the "
    "helper asked, so the cluster's own controllers are in it. The observer's memory is the largest resident set in "
    "its life (VmHWM)."
)


def measure(at: Installation) -> Result:
    """Send, create, and be quiet."""
    if not (cluster.KUBECONFIG and COUNT):
        return Result((), "Not measured: KUBECONFIG_TEST and BENCH_FLEET are not both set.")
    airflow.ensure_none(at)
    with Registered(at) as registered:
        first = registered.create_healthy()  # the template database is made now, by a Job elsewhere
        registered.kubelet = kubelet = FleetKubelet(registered)
        kubelet.keep_alive(first.release_name)
        other, _ = rows.make_workspace(1)
        # Two workers, as the chart starts them.
        with kubelet.watching(), worker_process.running("console.processes", "worker"):
            before = [_one(registered, other) for _ in range(IDLE_ROUNDS)]
            idle = [seconds for _, seconds in before]
            chunk = _objects(registered, first)
            script = _script(registered, first, chunk)
            ready = script + _until_ready(kubelet, chunk)
            made, created, busy = _all_healthy(registered, other)
            speed = _speed(created, script, ready, busy, idle)
            objects = COUNT * len(json.loads(chunk))
            details = [
                f"{COUNT:,} Healthy after {created:.0f} s; the script sent {objects:,} objects in {script:.0f} s, and "
                f"the last of their pods was ready after {ready:.0f} s."
            ]
            quiet = _quiet(registered, [first, *made], details) if STEADY_SECONDS else ()
            memory = _memory(at.pid("observer"), len(made) + 1)
            _forget(registered, [first, *made, *(one for one, _ in before)])
    return Result((*speed, *quiet, memory), METHOD, tuple(details))


def _speed(created: float, script: float, ready: float, busy: float, idle: list[float]) -> tuple[Figure, ...]:
    ratio, to_ready, slower = created / script, created / ready, busy / median(idle)
    return (
        Figure(
            f"Kubernetes: {COUNT:,} Deployments created and Healthy, against a bare script that sends the same objects",
            f"at most {MUST_RATIO:.1f} times",
            f"{ratio:.2f} times ({created:.0f} s against {script:.0f} s)",
            ratio <= MUST_RATIO,
        ),
        Figure(
            f"Kubernetes: the same {COUNT:,}, against that script until the pods of its objects are ready, too",
            f"at most {MUST_RATIO:.1f} times",
            f"{to_ready:.2f} times ({created:.0f} s against {ready:.0f} s)",
            to_ready <= MUST_RATIO,
        ),
        Figure(
            "Kubernetes: one create of another Workspace in the middle of these, against an idle one",
            f"at most {MUST_OTHER:.0f} times",
            f"{slower:.1f} times ({busy:.1f} s against {each(idle, 's')})",
            slower <= MUST_OTHER,
        ),
    )


def _memory(pid: int, count: int) -> Figure:
    peak, now = _peak_mib(pid), psutil.Process(pid).memory_info().rss / 2**20
    return Figure(
        f"Kubernetes: observer with {count:,} Deployments, largest resident memory",
        f"at most {MUST_MIB:.0f} MiB",
        f"{peak:.0f} MiB ({now:.0f} MiB at the end)",
        peak <= MUST_MIB,
    )


# -- The script --


def _script(registered: Registered, like: Deployment, chunk: str) -> float:
    """The seconds that the bare script takes for the objects of as many Deployments as are created later."""
    about = {"server": registered.credentials.server, "ca": registered.credentials.ca_pem}
    token = json.dumps({**about, "token": registered.credentials.token})
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:  # made with mode 0600
        file.write(f"{token}\n")
        for number in range(COUNT):
            file.write(chunk.replace(like.release_name, f"script-{number:05d}") + "\n")
        file.flush()
        argv = [sys.executable, "-m", "console.bench.fleet_script", file.name]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _until_ready(kubelet: FleetKubelet, chunk: str) -> float:
    """Wait for the last pod of what the script sent; the seconds from now."""
    bodies = [json.loads(body) for _, body in json.loads(chunk)]
    pods = sum(
        each["spec"].get("replicas", 1) for each in bodies if each["kind"] in ("Deployment", "StatefulSet")
    )
    began = time.monotonic()
    cluster.wait(lambda: kubelet.started[SCRIPT] >= pods * COUNT, PATIENCE + COUNT, "its pods being ready")
    return time.monotonic() - began


def _objects(registered: Registered, like: Deployment) -> str:
    """The objects of a Deployment, as a line of the script's."""
    config = connections.config(like.cluster)
    url = databases.url(config.database_url, database="d", user="d", password="d")
    release = release_of(like, list(like.queues.select_related("worker_type")))
    inputs = Inputs(release, vault.read(like), ClusterSettings.of(config.settings), url, url, {"default": 1})
    namespace = registered.namespace(like.release_name)
    sent = []
    for one in render(inputs).lasting:
        place = "" if one["kind"] in CLUSTER_KINDS else namespace
        sent.append(
            [path_of(one["apiVersion"], one["kind"], place, one["metadata"]["name"]), json.dumps(one)]
        )
    sent.sort(key=lambda pair: pair[0] != path_of("v1", "Namespace", "", namespace))
    return json.dumps([[path, of_the_script(body)] for path, body in sent])


def of_the_script(body: str) -> str:
    """That object with the script as its manager, and without the label by which an observer follows objects."""
    ours = json.dumps({names.LABEL_MANAGED_BY: names.MANAGER})[1:-1]
    others = json.dumps({names.LABEL_MANAGED_BY: SCRIPT})[1:-1]
    return body.replace(ours, others).replace(names.LABEL_DEPLOYMENT, SCRIPT_DEPLOYMENT)


# -- All of them --


def _all_healthy(registered: Registered, other: Workspace) -> tuple[list[Deployment], float, float]:
    """The Deployments, the seconds until the last one is Healthy, and those of another Workspace's in the middle."""
    made: list[Deployment] = []
    moving: dict[object, Deployment] = {}
    beside = _Beside(registered, other)
    began = progress_at = time.monotonic()
    while len(made) < COUNT or moving:
        while len(made) < COUNT and len(moving) < AT_ONCE:
            one = registered.create()
            made.append(one)
            moving[one.pk] = one
        if len(made) - len(moving) >= COUNT // 2:
            beside.start()
        time.sleep(0.2)
        done = Deployment.objects.filter(pk__in=list(moving), status=Status.HEALTHY).values_list(
            "pk", flat=True
        )
        for pk in done:
            moving.pop(pk)
            progress_at = time.monotonic()
            if (count := len(made) - len(moving)) % max(20, COUNT // 10) == 0:
                print(f"  {count} of {COUNT} Healthy after {time.monotonic() - began:.0f} s", flush=True)
        assert time.monotonic() - progress_at < PATIENCE, _restless(made)
    taken = time.monotonic() - began
    return [*made, beside.made()], taken, beside.seconds


class _Beside:
    """One create of another Workspace, in a thread of its own, once."""

    def __init__(self, registered: Registered, workspace: Workspace) -> None:
        self.seconds = 0.0
        self._deployment: Deployment | None = None
        self._registered, self._workspace = registered, workspace
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = False

    def start(self) -> None:
        """Now, if it has not begun."""
        if not self._started:
            self._started = True
            self._thread.start()

    def made(self) -> Deployment:
        """It, once it is Healthy."""
        self.start()
        self._thread.join()
        assert self._deployment, "the other Workspace's Deployment did not get Healthy"
        return self._deployment

    def _run(self) -> None:
        try:
            self._deployment, self.seconds = _one(self._registered, self._workspace)
        finally:
            connection.close()


def _one(registered: Registered, workspace: Workspace) -> tuple[Deployment, float]:
    """A Deployment of that Workspace, and the seconds from the action until it is recorded as Healthy."""
    began = time.monotonic()
    made = registered.create(workspace=workspace)
    cluster.wait(
        lambda: cluster.status(made) == Status.HEALTHY, PATIENCE, f"{made.release_name} Healthy", pause=0.05
    )
    return made, time.monotonic() - began


def _restless(rows: list[Deployment]) -> list[tuple[str, str, str]]:
    """Those of them that are not Healthy, with why."""
    others = Deployment.objects.filter(pk__in=[row.pk for row in rows]).exclude(status=Status.HEALTHY)
    return list(others.values_list("release_name", "status", "status_reason"))


def _forget(registered: Registered, rows: list[Deployment]) -> None:
    """Leave the end to the cluster, which takes seconds for each namespace, and to the installation, whose databases go
    with it. Pods of a node that is no more are ended by the cluster itself."""
    Deployment.objects.filter(pk__in=[row.pk for row in rows]).update(status=Status.DELETED, deleted_at=Now())
    releases = [row.release_name for row in rows] + [f"script-{number:05d}" for number in range(COUNT)]
    for release in releases:
        registered.api().delete(path_of("v1", "Namespace", "", registered.namespace(release)), "namespace")


# -- The quiet --


def _quiet(registered: Registered, rows: list[Deployment], details: list[str]) -> tuple[Figure]:
    """What is asked once all are Healthy. Adds what that was to `details`."""
    time.sleep(SETTLE_SECONDS)
    steady, asked = _steady(registered, rows)
    details.append(f"Asked in the quiet {STEADY_SECONDS:.0f} s: {asked}.")
    return (steady,)


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
