"""The driver contract, held by the Kubernetes data plane over HTTPS: against the emulator, and against a real API
server when KUBECONFIG_TEST names a kubeconfig."""

import pytest

from deployments.tests.contract import DriverContract, SleepAndUpgradeContract, remove
from deployments.tests.kubernetes.emulator import Emulator
from deployments.tests.kubernetes.harness import REAL, KubernetesHarness, real_kubeconfig


class TestEmulated(DriverContract, SleepAndUpgradeContract):
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

    class TestReal(DriverContract, SleepAndUpgradeContract):
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
