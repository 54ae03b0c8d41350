"""The driver contract, held by the Kubernetes data plane over HTTPS: against the emulator, and against a real API
server when KUBECONFIG_TEST names a kubeconfig."""

from dataclasses import replace

import pytest

from deployments.dataplane.contract import Outcome
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.objects import drift, inventory
from deployments.domain.states import Executor
from deployments.tests.dataplane.code_contract import CodeContract
from deployments.tests.dataplane.contract import DriverContract, converge, new_case, remove
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.harness import REAL, KubernetesHarness, real_kubeconfig
from deployments.tests.dataplane.life_contract import LifeContract


class OnKubernetes:
    """What must hold of any API server, and what an emulator would be the first to get wrong."""

    def test_nothing_that_happens_by_itself_counts_as_drift(self, harness: KubernetesHarness) -> None:
        case = harness.running()
        harness.kubelet.play()
        namespace = harness.namespace(case)
        known = inventory.read(harness.api(), case.ref, namespace)
        assert {key[1:] for key in known.rendered} == set(known.entries)
        for version, kind, name in known.rendered:
            found = harness.api().get(path_of(version, kind, "" if kind == "Namespace" else namespace, name))
            assert found, (kind, name)
            assert drift.judge(known.entries[kind, name], drift.seen(found)) is None, (kind, name)

    def test_workers_sleep_and_come_back_in_their_number(self, harness: KubernetesHarness) -> None:
        case = replace(new_case(), workers={"default": 2})
        try:
            converge(harness, case)
            converge(harness, replace(case, release=replace(case.release, generation=2, hibernating=True)))
            assert harness.new_driver().observe(case.ref).queues[0].workers == 0
            converge(harness, case)
            path = path_of("apps/v1", "Deployment", harness.namespace(case), "worker-default")
            found = harness.api().get(path)
            assert found["spec"]["replicas"] == 2
            owners = [
                m["manager"]
                for m in found["metadata"]["managedFields"]
                if "f:replicas" in m["fieldsV1"].get("f:spec", {})
            ]
            assert owners in ([], ["airdeck-scaler"])  # a scale of what nobody owned is not written down
        finally:
            remove(harness, case)

    def test_a_field_that_is_not_rendered_any_more_is_taken_out(self, harness: KubernetesHarness) -> None:
        case = new_case(Executor.LOCAL)
        try:
            converge(harness, case)
            bare = replace(case, release=replace(case.release, generation=2, environment={}))
            converge(harness, replace(bare, secrets=replace(case.secrets, variables={})))
            for kind in ("ConfigMap", "Secret"):
                found = harness.api().get(path_of("v1", kind, harness.namespace(case), "variables"))
                assert not found.get("data"), kind
        finally:
            remove(harness, case)

    def test_pods_end_within_half_a_minute_before_their_namespace_does(
        self, harness: KubernetesHarness
    ) -> None:
        """The cluster waits for half of the longest grace of pods in a namespace that ends: 301 s for a worker's."""
        case = new_case()
        namespace = harness.namespace(case)
        try:
            converge(harness, case)
            count = len(harness.api().items(path_of("v1", "Pod", namespace)))
            progress = harness.new_driver().destroy(case.ref)
            assert (progress.outcome, progress.step) == (Outcome.WAITING, "components")
            assert progress.sentence == f"Waiting for {count} pods to end."
            found = harness.api().get(path_of("v1", "Namespace", "", namespace))
            assert "deletionTimestamp" not in found["metadata"]
            for pod in harness.api().items(path_of("v1", "Pod", namespace)):
                assert pod["metadata"]["deletionGracePeriodSeconds"] == 30, pod["metadata"]["name"]
        finally:
            remove(harness, case)

    def test_with_keda_nobody_else_sets_replicas_and_it_lets_go_before_the_namespace_ends(
        self, harness: KubernetesHarness
    ) -> None:
        case, api = new_case(), harness.api()
        namespace = harness.namespace(case)
        worker = path_of("apps/v1", "Deployment", namespace, "worker-default")
        path = path_of("keda.sh/v1alpha1", "ScaledObject", namespace, "worker-default")
        with harness.keda() as driver:
            try:
                driver.apply(case.ref, case.release, case.secrets, {"default": 3})
                owners = api.get(worker)["metadata"]["managedFields"]
                assert not any("f:replicas" in owner["fieldsV1"].get("f:spec", {}) for owner in owners)
                api.merge(path, {"metadata": {"finalizers": ["finalizer.keda.sh"]}}, "it", "keda")
                progress = driver.destroy(case.ref)
                assert progress.outcome is Outcome.WAITING
                assert (
                    progress.sentence == "Deletion waits for 1 ScaledObject with finalizer finalizer.keda.sh."
                )
                assert api.get(path)["metadata"]["finalizers"] == ["finalizer.keda.sh"]
            finally:
                api.merge(path, {"metadata": {"finalizers": None}}, "it", "keda")
                remove(harness, case)


@pytest.mark.thorough
class TestEmulated(DriverContract, LifeContract, CodeContract, OnKubernetes):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with Emulator() as emulator:
            made = KubernetesHarness(emulator.kubeconfig, emulator=emulator)
            made.running()
            yield made
            remove(made, made.running())
            made.close()


if REAL:

    class TestReal(DriverContract, LifeContract, CodeContract, OnKubernetes):
        @pytest.fixture(scope="class")
        @classmethod
        def harness(cls):
            made = KubernetesHarness(real_kubeconfig(), emulator=None)
            made.running()
            yield made
            remove(made, made.running())
            made.close()

else:

    def test_the_same_suite_against_a_real_api_server() -> None:
        pytest.skip("KUBECONFIG_TEST names no kubeconfig of a real API server")
