"""The rows of a Kubernetes cluster: measured when KUBECONFIG_TEST names one."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import replace

from django.db.models.functions import Now

from console.bench import airflow, cluster
from console.bench.cluster import Registered, status, wait
from console.bench.result import Figure, Result, each, median, percentile
from console.tests.system.installation import Installation
from deployments.clusters import connections
from deployments.dataplane.contract import Outcome, Ref
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.driver import KubernetesDriver
from deployments.dataplane.kubernetes.manifests import Inputs, render
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.postgres import databases
from deployments.domain.spec import Release
from deployments.domain.states import Executor, Status
from deployments.models import Deployment
from deployments.queries.releases import release_of
from deployments.secrets import vault

ROUNDS, CHANGES = 5, 50
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl") or "kubectl"
METHOD = (
    f"A cluster (KUBECONFIG_TEST) is registered in the installation; its real observer and worker do the work, and a "
    f"helper sets the status of pods where there is no kubelet. {ROUNDS} times in turn: `create_deployment` until the "
    "inventory in the cluster says that every object was applied (with database, role and template), and `kubectl "
    "apply -f` of the same manifests in one file for another namespace; medians. Requests are those of the driver in "
    f"this process, from an empty namespace to FINISHED. Status: {CHANGES} times a pod's Ready condition is changed "
    "through the API, and the Deployment's row is read every 5 ms until it says otherwise. Hanging: a second cluster "
    "whose server takes connections and says nothing has three Deployments, all due at its first moment; "
    f"{2 * ROUNDS} creates, median."
)


def measure(at: Installation) -> Result:
    """Every row of Kubernetes."""
    if not cluster.KUBECONFIG:
        return Result((), "Not measured: KUBECONFIG_TEST is not set.")
    airflow.ensure_none(at)
    with Registered(at) as registered:
        first = registered.create_healthy()  # the template database is made now
        requests = _requests(registered, first)
        badge = _badge(registered, first)
        registered.remove(first)
        create, alone = _create(registered)
        hanging = _hanging(registered, alone)
    return Result((create, *requests, badge, hanging), METHOD)


# -- Creating --


def _create(registered: Registered) -> tuple[Figure, float]:
    ours, theirs = [], []
    for number in range(ROUNDS):
        seconds, made = _applied(registered)
        ours.append(seconds)
        theirs.append(_kubectl(registered, made, number))
        registered.remove(made)
    ratio = median(ours) / median(theirs)
    message = f"{ratio:.2f} ({each(ours, 's')} against {each(theirs, 's')})"
    what = "Kubernetes: create to every object applied, against `kubectl apply -f` of the same manifests"
    return Figure(what, "at most 1.30", message, ratio <= 1.3), median(ours)


def _applied(registered: Registered) -> tuple[float, Deployment]:
    """Seconds from the create to the last object applied. No one plays the kubelet in the meantime."""
    registered.play(False)
    began = time.monotonic()
    made = registered.create()
    wait(lambda: bool(registered.inventory(made).applied), 60, "applying", pause=0.02)
    taken = time.monotonic() - began
    registered.play(True)
    return taken, made


def _kubectl(registered: Registered, made: Deployment, number: int) -> float:
    """Seconds for the same objects in another namespace, which is removed again."""
    name = f"bench-kubectl-{number:04d}"
    release = replace(_release(made), release_name=name)
    config = connections.config(made.cluster)
    url = databases.url(config.database_url, database="d", user="d", password="d")
    inputs = Inputs(release, vault.read(made), ClusterSettings.of(config.settings), url, url, {"default": 1})
    items = {"apiVersion": "v1", "kind": "List", "items": list(render(inputs).lasting)}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(items, file)
        file.flush()
        began = time.monotonic()
        argv = [KUBECTL, "--kubeconfig", cluster.KUBECONFIG, "apply", "-f", file.name]
        subprocess.run(argv, check=True, capture_output=True)
        taken = time.monotonic() - began
    path = path_of("v1", "Namespace", "", registered.namespace(name))
    registered.api().delete(path, "namespace")
    wait(lambda: registered.api().get(path, "namespace") is None, 120, "kubectl's namespace gone")
    return taken


def _release(deployment: Deployment) -> Release:
    return release_of(deployment, list(deployment.queues.select_related("worker_type")))


# -- Requests --


def _requests(registered: Registered, like: Deployment) -> tuple[Figure, Figure]:
    """Of the driver, with the kubelet playing between the calls on a connection of its own."""
    driver = KubernetesDriver(connections.config(like.cluster))
    release = replace(
        _release(like),
        release_name="bench-requests-0001",
        deployment_id="00000000-0000-0000-0000-00000000be7c",
    )
    ref, secrets, workers = Ref(release.deployment_id, release.release_name), vault.read(like), {"default": 1}
    count, deadline = 0, time.monotonic() + 180
    while True:
        earlier = driver.connection.requests.copy()
        driver.observe(ref)
        progress = driver.apply(ref, release, secrets, workers)
        spent = driver.connection.requests - earlier
        if any(name.startswith("PATCH") for name in spent):  # asking again while pods start is not creating
            count += spent.total()
        if progress.outcome is Outcome.FINISHED:
            break
        assert time.monotonic() < deadline, progress.sentence
        time.sleep(0.2)
    counted = driver.connection.requests.total()
    KubernetesDriver(connections.config(like.cluster)).observe(ref)  # one that has not just seen it
    again = driver.connection.requests.total() - counted
    objects = len(_inventory(registered, ref))
    while driver.destroy(ref).outcome is not Outcome.FINISHED:
        time.sleep(0.5)
    created = Figure(
        "Kubernetes: API requests to create one Deployment",
        "at most its objects + 10",
        f"{count} for {objects} objects",
        count <= objects + 10,
    )
    look = Figure(
        "Kubernetes: API requests of a second pass, nothing changed", "at most 2", str(again), again <= 2
    )
    return created, look


def _inventory(registered: Registered, ref: Ref) -> dict[tuple[str, str, str], str]:
    """What exists of it, by the inventory."""
    return dict(inventory.read(registered.api(), ref, registered.namespace(ref.release_name)).rendered)


# -- Status --


def _badge(registered: Registered, made: Deployment) -> Figure:
    """The kubelet plays on in the meantime: pods that run it leaves alone, and heartbeats stay fresh."""
    taken = [_one_change(registered, made, ready=bool(number % 2)) for number in range(CHANGES)]
    wait(lambda: status(made) == Status.HEALTHY, 60, "Healthy again")
    p50, p95 = percentile(taken, 0.5), percentile(taken, 0.95)
    return Figure(
        f"Kubernetes: status of a pod on the API server to the badge row committed, {CHANGES} changes",
        "p95 at most 500 ms",
        f"p50 {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms",
        p95 <= 0.5,
    )


def _one_change(registered: Registered, made: Deployment, *, ready: bool) -> float:
    desired = Status.HEALTHY if ready else Status.UNHEALTHY
    api, namespace = registered.api(), registered.namespace(made.release_name)
    pods = api.items(path_of("v1", "Pod", namespace), "pods")
    pod = next(p for p in pods if p["metadata"]["name"].startswith("scheduler"))
    conditions = [
        {**c, "status": str(ready)} if c["type"] in ("Ready", "ContainersReady") else c
        for c in pod["status"]["conditions"]
    ]
    containers = [{**c, "ready": ready} for c in pod["status"]["containerStatuses"]]
    path = path_of("v1", "Pod", namespace, pod["metadata"]["name"]) + "/status"
    body = {"status": {"conditions": conditions, "containerStatuses": containers}}
    api.merge(path, body, "pod", "kubelet")
    began = time.monotonic()
    wait(lambda: status(made) == desired, 30, f"{desired} recorded", pause=0.005)
    taken = time.monotonic() - began
    time.sleep(0.5)
    return taken


# -- A cluster that hangs --


def _hanging(registered: Registered, alone: float) -> Figure:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        held: list[socket.socket] = []
        threading.Thread(target=_hold, args=(server, held), daemon=True).start()
        stored = registered.credentials.settings() | {
            "server": f"https://127.0.0.1:{server.getsockname()[1]}"
        }
        rows = [registered.create(Executor.LOCAL) for _ in range(3)]
        wait(lambda: all(status(row) == Status.HEALTHY for row in rows), 300, "three more Healthy")
        other = registered.register("Hanging", stored)
        moved = Deployment.objects.filter(pk__in=[row.pk for row in rows])
        # Due at once: a cluster that begins to hang costs most in its first moment.
        moved.update(cluster=other, generation=2, due_at=Now())
        taken = []
        for _ in range(2 * ROUNDS):
            seconds, made = _applied(registered)
            taken.append(seconds)
            registered.remove(made)
        moved.update(cluster=registered.cluster)
    ratio = median(taken) / alone
    return Figure(
        "Kubernetes: creating while another cluster with three Deployments hangs, against without it",
        "at most 1.10",
        f"{ratio:.2f} ({each(taken, 's')} against {alone:.1f} s)",
        ratio <= 1.1,
    )


def _hold(server: socket.socket, held: list[socket.socket]) -> None:
    """Take every connection, and say nothing."""
    try:
        while True:
            held.append(server.accept()[0])
    except OSError:
        return
