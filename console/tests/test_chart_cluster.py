"""The chart on a real API server, when KUBECONFIG_TEST names a kubeconfig: every object is taken without a warning,
installing it again changes nothing, the cluster's own controllers make every pod under the restricted standard, and
the account of the chart may do all that a console does."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from console.tests import chart
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.checks.examine import examine
from deployments.tests.dataplane.contract import converge, new_case, remove
from deployments.tests.dataplane.kubernetes import strict
from deployments.tests.dataplane.kubernetes.harness import KubernetesHarness, real_kubeconfig
from deployments.tests.dataplane.kubernetes.rights import account
from deployments.tests.dataplane.kubernetes.strict import cluster

__all__ = ["cluster"]

pytestmark = strict.needs_one
MANAGER = "helm"
OPERATOR = "monitoring.coreos.com/v1"  # its kinds are there where the Prometheus operator is
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
WITH_PODS = ("Deployment", "Job")
DEADLINE = 60.0


@pytest.fixture
def namespace(cluster) -> Iterator[str]:
    """A restricted namespace of this test alone."""
    name = f"chart-{secrets.token_hex(4)}"
    meta = {"name": name, "labels": RESTRICTED}
    strict.apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, MANAGER)
    yield name
    binding = path_of("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", f"{chart.RELEASE}-{name}")
    for path in (binding, path_of("v1", "Namespace", "", name)):
        strict.send(cluster, "DELETE", path)


@pytest.mark.parametrize("name", chart.SETS)
def test_every_object_is_taken_without_a_warning_and_a_second_install_changes_nothing(
    cluster, namespace, name
):
    objects = _objects(cluster, chart.SETS[name], namespace)
    for each in objects:
        strict.apply(cluster, each, MANAGER, namespace, dryRun="All")
    first = [strict.apply(cluster, each, MANAGER, namespace) for each in objects]
    again = [strict.apply(cluster, each, MANAGER, namespace) for each in objects]
    assert len(first) >= 7
    for before, after in zip(first, again, strict=True):
        assert strict.unchanged(before, after, MANAGER), before["kind"]


@pytest.mark.parametrize("name", chart.SETS)
def test_the_cluster_makes_every_pod_under_the_restricted_standard(cluster, namespace, name):
    objects = _objects(cluster, chart.SETS[name], namespace)
    for each in objects:
        strict.apply(cluster, each, MANAGER, namespace)
    desired = {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"].get(
            "replicas", 1
        )
        for each in objects
        if each["kind"] in WITH_PODS
    }
    deadline = time.monotonic() + DEADLINE
    while (made := _made(cluster, namespace)) != desired:
        assert time.monotonic() < deadline, (made, desired, _warnings(cluster, namespace))
        time.sleep(0.2)
    assert set(desired) - {"register"} == {"web", "worker", "observer", "beat", "migrate"}
    assert not _warnings(cluster, namespace)


def test_the_account_of_the_chart_may_do_all_that_a_console_does(cluster, namespace):
    for each in _objects(cluster, chart.SETS["in-cluster"], namespace):
        strict.apply(cluster, each, MANAGER, namespace)
    made = KubernetesHarness(real_kubeconfig(), emulator=None)
    try:
        made.credentials = account(made.api(), made.credentials, namespace, chart.RELEASE)
        checks = {check.key: check.state.value for check in examine(made.config())}
        assert checks["api"] == checks["rights"] == "ok", checks
        case = new_case()
        converge(made, case)
        asked = made.bare_driver().connection.requests
        assert asked.total() > 40
        assert not [name for name in asked if name.endswith((" 401", " 403"))], asked
        remove(made, case)
        assert not [name for name in asked if name.endswith((" 401", " 403"))], asked
    finally:
        made.close()


def _objects(cluster: Connection, changes: chart.Values, namespace: str) -> list[dict[str, Any]]:
    """What the chart makes of it; without the kinds of an operator that the cluster does not have."""
    has_operator = strict.send(cluster, "GET", f"/apis/{OPERATOR}")[0] == 200
    objects = chart.rendered(changes, namespace)
    found = [each for each in objects if has_operator or each["apiVersion"] != OPERATOR]
    return sorted(found, key=lambda each: each["kind"] in WITH_PODS)  # as Helm does: accounts before pods


def _made(cluster: Connection, namespace: str) -> dict[str, int]:
    """How many pods there are, by component."""
    _, found, _ = strict.send(cluster, "GET", path_of("v1", "Pod", namespace))
    names = [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in found["items"]]
    return {name: names.count(name) for name in names}


def _warnings(cluster: Connection, namespace: str) -> list[str]:
    """What controllers complain about."""
    _, found, _ = strict.send(cluster, "GET", path_of("v1", "Event", namespace), fieldSelector="type=Warning")
    return [event["message"] for event in found["items"] if event["reason"].startswith("FailedCreate")]
