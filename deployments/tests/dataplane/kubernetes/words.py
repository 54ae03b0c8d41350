"""Small words of the tests of the Kubernetes driver."""

from dataclasses import replace

from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.objects import drift, inventory
from deployments.tests.dataplane.contract import Case
from deployments.tests.dataplane.kubernetes.harness import KubernetesHarness

SCHEDULER = ("apps/v1", "Deployment", "scheduler")
WORKER = ("apps/v1", "Deployment", "worker-default")


def api(harness: KubernetesHarness) -> Api:
    return harness.api()


def get(harness: KubernetesHarness, case: Case, what: tuple[str, str, str]) -> dict | None:
    version, kind, name = what
    return api(harness).get(path_of(version, kind, harness.namespace(case), name))


def calls(harness: KubernetesHarness, since: int) -> list[str]:
    return [call for _, call in harness.emulator.calls[since:]]


def changed(case: Case, **changes: object) -> Case:
    return replace(case, release=replace(case.release, generation=case.release.generation + 1, **changes))


def objects(harness: KubernetesHarness, case: Case) -> set[tuple[str, str]]:
    """Everything in the namespace that a person would call ours."""
    inside = [
        target for target in harness.emulator.store.objects if target.namespace == harness.namespace(case)
    ]
    return {(target.plural, target.name) for target in inside if target.plural != "pods"}


def mark_drift(harness: KubernetesHarness, case: Case, *found: drift.Drift) -> None:
    """As the watcher does."""
    meta = {"annotations": {drift.ANNOTATION: drift.annotation(found)}}
    path = inventory.path(harness.namespace(case))
    api(harness).merge(path, {"metadata": meta}, "it", drift.OBSERVER)
