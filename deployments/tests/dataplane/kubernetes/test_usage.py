"""What pods use, as metrics-server says, and why it is not known where there is none."""

import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.transport import Connection, Measured
from deployments.dataplane.kubernetes.health import usage
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.store import Place

API = "metrics.k8s.io/v1beta1"
METRICS = "GET /apis/metrics.k8s.io/.*"


@pytest.fixture
def emulator():
    with Emulator() as found:
        yield found


@pytest.fixture
def api(emulator) -> Api:
    return Api(Connection(emulator.console_credentials), 4.0)


def measure(emulator: Emulator, name: str, deployment_id: str, *used: tuple[str, str]) -> None:
    """What metrics-server says of a pod, one container for each of `used`."""
    labels = {names.LABEL_DEPLOYMENT: deployment_id, names.LABEL_MANAGED_BY: names.MANAGER}
    document = {
        "apiVersion": API,
        "kind": "PodMetrics",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "containers": [
            {"name": f"c{at}", "usage": {"cpu": cpu, "memory": memory}}
            for at, (cpu, memory) in enumerate(used)
        ],
    }
    emulator.store.apply(Place(API, "pods", "default", name), document, "test")


def test_what_all_pods_of_a_deployment_use_is_added_up_by_one_question_for_all(emulator, api):
    measure(emulator, "a", "one", ("250000000n", "512Mi"), ("10m", "1Gi"))
    measure(emulator, "b", "one", ("1", "100Ki"))
    measure(emulator, "c", "two", ("500u", "0"))
    measured = Measured()
    found = usage.usage(api, measured, "one")
    assert found.cores == pytest.approx(1.26)
    assert found.memory_bytes == 512 * 2**20 + 2**30 + 100 * 2**10
    assert usage.usage(api, measured, "two").cores == pytest.approx(0.0005)
    assert usage.usage(api, measured, "three").absent == usage.NOT_YET
    assert emulator.counted()["GET"] == 1


@pytest.mark.parametrize(("status", "sentence"), [(404, usage.NOT_MEASURED), (403, usage.FORBIDDEN)])
def test_a_cluster_that_does_not_measure_says_why(emulator, api, status, sentence):
    emulator.script(METRICS, Answer(status=status))
    measured = Measured()
    assert usage.usage(api, measured, "one").absent == sentence
    assert usage.usage(api, measured, "one").absent == sentence
    assert (
        len([call for _, call in emulator.calls if "metrics.k8s.io" in call]) == 1
    )  # it is left alone for ten minutes


def test_an_api_server_that_fails_costs_no_reading(emulator, api):
    emulator.script(METRICS, Answer(status=500), always=True)
    assert usage.usage(api, Measured(), "one").absent.endswith(".")
