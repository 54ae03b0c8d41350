"""CPU and memory of a Deployment's pods, where the cluster measures them (metrics.k8s.io). One question a minute serves
all Deployments of the cluster."""

import time
from collections.abc import Mapping

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.errors import Forbidden
from deployments.dataplane.kubernetes.api.transport import Json, Measured
from deployments.dataplane.kubernetes.text import cores, memory
from deployments.dataplane.reading import Usage

METRICS_PATH = "/apis/metrics.k8s.io/v1beta1/pods"
FRESH_SECONDS = 45.0  # the cluster itself measures every 15 to 60 s
ABSENT_SECONDS = 600.0  # until a cluster that does not measure is asked again
NOT_MEASURED = "The cluster does not measure CPU and memory. Install metrics-server in it."
FORBIDDEN = "Airdeck's account may not read what the cluster measures. Apply its ClusterRole again."
NOT_YET = "The cluster has not measured its pods yet."


def usage(api: Api, measured: Measured, deployment_id: str) -> Usage:
    """What the pods of one Deployment use. `measured` is kept per connection, to spare the cluster questions; while one
    thread asks, the others take what was measured before."""
    if time.monotonic() >= measured.until and measured.lock.acquire(blocking=False):
        try:
            measured.used, measured.absent, rest = _ask(api)
            measured.until = time.monotonic() + rest
        finally:
            measured.lock.release()
    if measured.absent:
        return Usage(absent=measured.absent)
    if deployment_id not in measured.used:
        return Usage(absent=NOT_YET)
    used_cores, used_bytes = measured.used[deployment_id]
    return Usage(cores=used_cores, memory_bytes=int(used_bytes))


def _ask(api: Api) -> tuple[Mapping[str, tuple[float, float]], str, float]:
    selector = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
    try:
        found = api.get(METRICS_PATH, "what its pods use", labelSelector=selector)
    except Forbidden:
        return {}, FORBIDDEN, ABSENT_SECONDS
    except DataPlaneError as error:
        return {}, str(error), FRESH_SECONDS
    if found is None:
        return {}, NOT_MEASURED, ABSENT_SECONDS
    return _sums(found.get("items") or ()), "", FRESH_SECONDS


def _sums(items: object) -> Mapping[str, tuple[float, float]]:
    """Cores and bytes by Deployment id. What a pod's label says is anybody's: it adds to that Deployment alone."""
    sums: dict[str, tuple[float, float]] = {}
    for pod in items if isinstance(items, list) else ():
        owner = str(((pod.get("metadata") or {}).get("labels") or {}).get(names.LABEL_DEPLOYMENT, ""))
        used = [_of_container(one) for one in pod.get("containers") or ()]
        known = sums.get(owner, (0.0, 0.0))
        sums[owner] = (known[0] + sum(c for c, _ in used), known[1] + sum(m for _, m in used))
    return sums


def _of_container(container: Json) -> tuple[float, float]:
    found = container.get("usage") or {}
    return _cpu(str(found.get("cpu", ""))), memory(str(found.get("memory", ""))) or 0.0


def _cpu(quantity: str) -> float:
    """In cores. metrics-server counts in billionths ("12345678n"), others in millionths ("u")."""
    for unit, share in (("n", 1e-9), ("u", 1e-6)):
        if quantity.endswith(unit):
            return (cores(quantity.removesuffix(unit)) or 0.0) * share
    return cores(quantity) or 0.0
