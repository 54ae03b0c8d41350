"""The manifests against a real API server, when KUBECONFIG_TEST names a kubeconfig: every object is taken without
a warning, a second apply changes nothing, and every pod is admitted under the restricted standard and its quota."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deployments.dataplane.kubernetes.api.client import FIELD_MANAGER, path_of
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.driver import KEDA_PATH
from deployments.dataplane.kubernetes.manifests import Inputs
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes import samples, strict
from deployments.tests.dataplane.kubernetes.strict import cluster

__all__ = ["cluster"]

pytestmark = strict.needs_one


@pytest.fixture
def prefix(cluster) -> Iterator[str]:
    """A namespace prefix of this test alone; what it named is deleted at the end."""
    prefix = f"t{secrets.token_hex(4)}-"
    yield prefix
    for each in ("calm-orbit-0012", "airdeck-templates"):
        strict.send(cluster, "DELETE", path_of("v1", "Namespace", "", prefix + each))


@pytest.fixture
def keda(cluster) -> str:
    """The setting: "true" where the cluster has KEDA, so that its kinds are sent as well."""
    return "true" if strict.send(cluster, "GET", KEDA_PATH)[0] == 200 else ""


@pytest.mark.parametrize("shape", samples.SHAPES)
@pytest.mark.parametrize("executor", Executor)
def test_every_object_is_taken_without_a_warning_and_a_second_apply_changes_nothing(
    cluster, prefix, keda, executor, shape
):
    asked = _asked(executor, shape, prefix, keda)
    objects = samples.documents(asked)
    first = [strict.apply(cluster, each, FIELD_MANAGER) for each in objects]
    again = [strict.apply(cluster, each, FIELD_MANAGER) for each in objects]
    assert len(first) > 25
    for before, after in zip(first, again, strict=True):
        assert strict.unchanged(before, after, FIELD_MANAGER), before["kind"]


@pytest.mark.parametrize("executor", Executor)
def test_every_pod_is_admitted_under_the_restricted_standard_and_the_quota(cluster, prefix, keda, executor):
    asked = _asked(executor, "largest", prefix, keda)
    objects = samples.documents(asked)
    for each in objects[: next(n for n, o in enumerate(objects) if o["kind"] == "Job")]:
        if each["kind"] == "Namespace":
            each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
        strict.apply(cluster, each, FIELD_MANAGER)
    path = path_of("v1", "Pod", asked.namespace)
    seen = 0
    for pod, labels, spec in samples.pods(objects):
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "dry-", "labels": labels},
            "spec": spec,
        }
        status, found, warnings = strict.send(cluster, "POST", path, body, dryRun="All")
        assert (status, warnings) == (201, ""), (pod, found.get("message"))
        seen += 1
    assert seen >= 5


def test_the_namespace_of_template_databases_is_taken_too(cluster, prefix):
    for each in samples.templates(_asked(Executor.CELERY, "smallest", prefix, "")):
        strict.apply(cluster, each, FIELD_MANAGER)


def _asked(executor: Executor, shape: str, prefix: str, keda: str) -> Inputs:
    asked = samples.inputs(executor, shape)
    settings = ClusterSettings.of({**samples.RICH, "namespace_prefix": prefix, "keda": keda})
    return replace(asked, settings=settings)
