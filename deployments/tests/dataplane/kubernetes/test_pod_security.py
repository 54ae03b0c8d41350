"""Every pod of ours passes the restricted Pod Security Standard; and the checker that says so can say no."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from deployments.tests.dataplane.kubernetes import pod_security, samples

GOOD = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 5, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "a", "emptyDir": {}}],
    "initContainers": [],
    "containers": [
        {
            "name": "c",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "ports": [{"containerPort": 80}],
        }
    ],
}
BAD: dict[str, Callable[[dict], object]] = {
    "Host Namespaces": lambda pod: pod.update(hostNetwork=True),
    "Volume Types": lambda pod: pod["volumes"].append({"name": "b", "hostPath": {"path": "/"}}),
    "Sysctls": lambda pod: pod["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "Privileged Containers": lambda pod: _own(pod).update(privileged=True),
    "/proc Mount Type": lambda pod: _own(pod).update(procMount="Unmasked"),
    "Host Ports": lambda pod: pod["containers"][0]["ports"][0].update(hostPort=80),
    "Host Probes": lambda pod: pod["containers"][0].update(
        livenessProbe={"httpGet": {"host": "1.1.1.1", "port": 1}}
    ),
    "Privilege Escalation": lambda pod: _own(pod).pop("allowPrivilegeEscalation"),
    "Capabilities: c drops": lambda pod: _own(pod).pop("capabilities"),
    "Capabilities: c adds": lambda pod: _own(pod)["capabilities"].update(add=["SYS_ADMIN"]),
    "Running as Non-root: c": lambda pod: _own(pod).update(runAsNonRoot=False),
    "Running as Non-root user": lambda pod: _own(pod).update(runAsUser=0),
    "Seccomp: c": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "Seccomp": lambda pod: _own(pod).update(seccompProfile={"type": "Unconfined"}),
    "AppArmor": lambda pod: _own(pod).update(appArmorProfile={"type": "Unconfined"}),
    "SELinux": lambda pod: _own(pod).update(seLinuxOptions={"type": "spc_t"}),
    "HostProcess": lambda pod: pod["securityContext"].update(windowsOptions={"hostProcess": True}),
}


def _own(pod: dict) -> dict:
    return pod["containers"][0]["securityContext"]


def test_the_checker_passes_a_pod_that_meets_every_control():
    assert pod_security.findings(GOOD) == []


@pytest.mark.parametrize("control", BAD)
def test_the_checker_finds_a_breach_of(control):
    pod = deepcopy(GOOD)
    BAD[control](pod)
    assert any(found.startswith(control) for found in pod_security.findings(pod))


def test_the_checker_looks_into_init_containers():
    pod = deepcopy(GOOD)
    pod["initContainers"].append({"name": "first"})
    assert "Privilege Escalation: first" in pod_security.findings(pod)


def test_every_pod_passes_the_restricted_standard():
    seen = set()
    for name, asked in samples.every():
        for objects in (samples.documents(asked), samples.templates(asked)):
            for pod, _, spec in samples.pods(objects):
                assert pod_security.findings(spec) == [], f"{name} {pod}"
                seen.add(pod.partition("-")[0])
    assert {"Deployment/api", "Deployment/worker", "Deployment/redis", "Job/migration"} <= seen
    assert {"ConfigMap/pod", "CronJob/cleanup"} <= seen
