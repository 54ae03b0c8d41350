"""One emulated cluster for all tests here, and Deployments in it."""

from collections.abc import Iterator

import pytest

from deployments.tests.dataplane.contract import Case, converge, new_case, remove
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.harness import KubernetesHarness


@pytest.fixture(scope="package")
def whole() -> Iterator[KubernetesHarness]:
    with Emulator() as emulator:
        made = KubernetesHarness(emulator.kubeconfig, emulator=emulator)
        made.running()  # with its template database
        yield made
        remove(made, made.running())
        made.close()


@pytest.fixture
def harness(whole: KubernetesHarness) -> Iterator[KubernetesHarness]:
    yield whole
    whole.emulator.heal()
    whole.kubelet.broken.clear()


@pytest.fixture
def cases(harness: KubernetesHarness) -> Iterator[list[Case]]:
    """Deployments that a test made, removed after it."""
    made: list[Case] = []
    yield made
    harness.emulator.heal()
    for case in made:
        remove(harness, case)


@pytest.fixture
def own(harness: KubernetesHarness, cases: list[Case]) -> Case:
    """A Deployment that runs, for one test to ruin."""
    made = new_case()
    cases.append(made)
    converge(harness, made)
    return made


@pytest.fixture(scope="package")
def shared(whole: KubernetesHarness) -> Iterator[Case]:
    made = new_case()
    yield made
    remove(whole, made)


@pytest.fixture
def case(harness: KubernetesHarness, shared: Case) -> Case:
    """A Deployment that runs, for tests to change one after the other: each finds it as it was meant to be."""
    converge(harness, shared)
    return shared
