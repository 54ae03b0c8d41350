"""Trying out whether a cluster keeps pods apart: what is found, and that nothing is left."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.checks.canary import KEPT_OUT, LABEL, LET_IN, LISTENS, Patience, canary
from deployments.dataplane.kubernetes.checks.examine import examine
from deployments.dataplane.kubernetes.checks.verdicts import CheckState
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.pod_security import findings
from deployments.tests.dataplane.kubernetes.test_checks import REAL, api_of, config, emulator, states  # noqa: F401 - fixtures

QUICK = Patience(account=3, start=3, end=3, between=0.02)


class Player(threading.Thread):
    """Plays the cluster around the canary: its service account, and pods that end as told."""

    def __init__(self, emulator: Emulator, outcome: dict[str, str]) -> None:  # noqa: F811
        super().__init__(daemon=True)
        self.emulator, self.outcome, self.done = emulator, outcome, threading.Event()
        self.pods: dict[str, dict] = {}

    def run(self) -> None:
        while not self.done.wait(0.02):
            self.api = api_of(self.emulator)
            with suppress(DataPlaneError):  # the canary removes its namespace while we play
                self._look()

    def _look(self) -> None:
        for found in self.api.items("/api/v1/namespaces", labelSelector=LABEL):
            self._play(found["metadata"]["name"])

    def _play(self, namespace: str) -> None:
        path = path_of("v1", "ServiceAccount", namespace, "default")
        if self.api.get(path) is None:
            self.api.apply(
                path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            )
        for pod in self.api.items(path_of("v1", "Pod", namespace)):
            name = pod["metadata"]["name"]
            self.pods[name] = pod
            phase = self.outcome.get(name)
            if phase and not pod.get("status"):
                status = {"phase": phase, "podIP": "10.1.2.3"}
                self.api.merge(path_of("v1", "Pod", namespace, name) + "/status", {"status": status}, name)


@pytest.fixture
def play(emulator):  # noqa: F811
    started = []

    def begin(**outcome: str) -> Player:
        player = Player(emulator, {LISTENS: "Running", LET_IN: "Succeeded", KEPT_OUT: "Failed", **outcome})
        player.start()
        started.append(player)
        return player

    yield begin
    for player in started:
        player.done.set()
        player.join()


def test_the_canary_finds_isolation_and_leaves_nothing(emulator, play):  # noqa: F811
    emulator.script(
        "POST .*/pods.dryRun=All", Answer(status=403, message="violates PodSecurity"), always=True
    )
    player = play()
    found = canary(config(emulator.kubeconfig), QUICK)
    assert states(found) == {"pod_security": "ok", "isolation": "ok"}
    assert not [n for n in api_of(emulator).items("/api/v1/namespaces") if "canary" in n["metadata"]["name"]]
    assert player.pods.keys() == {LISTENS, LET_IN, KEPT_OUT}
    assert "10.1.2.3" in player.pods[KEPT_OUT]["spec"]["containers"][0]["command"]
    for pod in player.pods.values():
        assert findings(pod["spec"]) == []


def test_a_cluster_that_enforces_nothing_is_said_to(emulator, play):  # noqa: F811
    play(**{KEPT_OUT: "Succeeded"})
    assert states(canary(config(emulator.kubeconfig), QUICK)) == {
        "pod_security": "warning",
        "isolation": "warning",
    }


def test_without_nodes_nothing_is_claimed(emulator, play):  # noqa: F811
    play(**{LISTENS: ""})
    found = canary(config(emulator.kubeconfig), Patience(account=3, start=0.2, end=0.2, between=0.02))
    assert found[1].sentence == "Not checked: no pod started within 0 s (is there a node?)."


def test_pods_that_never_end_are_not_waited_for(emulator, play):  # noqa: F811
    play(**{KEPT_OUT: "Running"})
    found = canary(config(emulator.kubeconfig), Patience(account=3, start=3, end=0.2, between=0.02))
    assert found[1].state is CheckState.UNCHECKED


def test_what_an_earlier_test_left_is_removed_and_a_running_one_is_not(emulator, monkeypatch):  # noqa: F811
    api = api_of(emulator)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "labels": {LABEL: "true"}}}
    api.apply(path_of("v1", "Namespace", "", "other"), body)
    emulator.script("PATCH /api/v1/namespaces/airdeck-canary", Answer(status=403, message="no"), always=True)
    for life, left in ((300, 1), (-60, 0)):
        monkeypatch.setattr("deployments.dataplane.kubernetes.checks.canary.LIFE_SECONDS", life)
        assert states(canary(config(emulator.kubeconfig), QUICK)) == {"isolation": "unchecked"}
        assert len(api.items("/api/v1/namespaces", labelSelector=LABEL)) == left


if REAL:

    def test_a_real_api_server_answers_every_check() -> None:
        found = examine(config(Path(REAL).read_text(), ingress_domain="airflow.example"))
        assert states(found)["api"] == states(found)["rights"] == "ok"
        tried = canary(config(Path(REAL).read_text()), Patience(start=2))
        assert tried[0].sentence == "Pod Security admission is at work."
        assert tried[1].state in (CheckState.OK, CheckState.UNCHECKED, CheckState.WARNING)

else:

    def test_the_checks_against_a_real_api_server() -> None:
        pytest.skip("KUBECONFIG_TEST names no kubeconfig of a real API server")
