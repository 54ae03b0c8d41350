"""The bare script that a fleet is measured against does what it says: every object once, and no refusal overlooked."""

import json

import pytest

from console.bench import fleet, fleet_script
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.kubernetes.emulator import Answer, Emulator

FLEET = [f"script-{number:05d}" for number in range(20)]


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def file(emulator, tmp_path):
    """Namespace and ConfigMap of each."""
    about = {
        key: getattr(emulator.credentials, name) for key, name in (("server", "server"), ("ca", "ca_pem"))
    }
    lines = [json.dumps({**about, "token": emulator.credentials.token})]
    for name in FLEET:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        meta = {"name": "one", "namespace": name}
        inside = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"of": name}}
        objects = [(path_of("v1", "Namespace", "", name), namespace)]
        objects.append((path_of("v1", "ConfigMap", name, "one"), inside))
        lines.append(json.dumps([[path, json.dumps(body)] for path, body in objects]))
    made = tmp_path / "fleet.jsonl"
    made.write_text("\n".join(lines) + "\n")
    return made


def test_every_object_is_sent_once_over_eight_connections(emulator, file) -> None:
    assert fleet_script.main(file) > 0
    made = [
        (place.namespace, found["data"])
        for place, found in emulator.store.objects.items()
        if place.plural == "configmaps"
    ]
    assert sorted(made, key=str) == [(name, {"of": name}) for name in FLEET]
    assert len([call for _, call in emulator.calls if call.startswith("PATCH")]) == 2 * len(FLEET)


def test_a_refusal_ends_it_with_what_the_server_said(emulator, file) -> None:
    emulator.script(f"PATCH .*/{FLEET[7]}/configmaps", Answer(status=403, message="no room"), always=True)
    with pytest.raises(RuntimeError, match=r"script-00007/configmaps/one.*403.*no room"):
        fleet_script.main(file)


def test_no_observer_follows_what_the_script_sends() -> None:
    _, asked = next(samples.every())
    for one in samples.documents(asked):
        text = json.dumps(one)
        assert names.LABEL_DEPLOYMENT in text
        sent = fleet.of_the_script(text)
        assert names.LABEL_DEPLOYMENT not in sent
        assert json.loads(sent)["metadata"]["labels"][names.LABEL_MANAGED_BY] == fleet.SCRIPT
