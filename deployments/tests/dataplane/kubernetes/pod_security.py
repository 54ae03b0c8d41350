"""The restricted Pod Security Standard as a checker, for tests only.

Written from the standard's text (kubernetes.io/docs/concepts/security/pod-security-standards, the controls of
Baseline and of Restricted for Linux pods). Each finding names the control and the field.
"""

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SECCOMP = {"RuntimeDefault", "Localhost"}
APPARMOR = {"RuntimeDefault", "Localhost"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}


def findings(spec: Spec, annotations: dict[str, str] | None = None) -> list[str]:
    """Everything for which admission under `restricted` would refuse this pod; empty when it passes."""
    context = spec.get("securityContext") or {}
    return [
        *_pod(spec, context, annotations or {}),
        *(found for container in _containers(spec) for found in _container(container, context)),
    ]


def _containers(spec: Spec) -> list[Spec]:
    return [*spec.get("initContainers", ()), *spec["containers"], *spec.get("ephemeralContainers", ())]


def _pod(spec: Spec, context: Spec, annotations: dict[str, str]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"Host Namespaces: {field}"
    for volume in spec.get("volumes", ()):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"Volume Types: {volume['name']} {sorted(kinds - VOLUMES)}"
    for sysctl in context.get("sysctls", ()):
        if sysctl["name"] not in SYSCTLS:
            yield f"Sysctls: {sysctl['name']}"
    for key, value in annotations.items():
        if key.startswith("container.apparmor.security.beta.kubernetes.io/") and not (
            value == "runtime/default" or value.startswith("localhost/")
        ):
            yield f"AppArmor: {key}"
    yield from _shared(context, "pod")
    if context.get("runAsUser") == 0:
        yield "Running as Non-root user: pod runAsUser"


def _container(container: Spec, pod: Spec) -> Iterator[str]:
    name, context = container["name"], container.get("securityContext") or {}
    if context.get("privileged"):
        yield f"Privileged Containers: {name}"
    if context.get("procMount", "Default") not in ("", "Default"):
        yield f"/proc Mount Type: {name}"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield f"Host Ports: {name}"
    if any(_names_host(part) for part in _handlers(container)):
        yield f"Host Probes / Lifecycle Hooks: {name}"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"Privilege Escalation: {name}"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", ()):
        yield f"Capabilities: {name} drops not ALL"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"Capabilities: {name} adds"
    if not _own_or_pod(context, pod, "runAsNonRoot"):
        yield f"Running as Non-root: {name}"
    if context.get("runAsUser") == 0:
        yield f"Running as Non-root user: {name}"
    if (_own_or_pod(context, pod, "seccompProfile") or {}).get("type") not in SECCOMP:
        yield f"Seccomp: {name}"
    yield from _shared(context, name)


def _shared(context: Spec, where: str) -> Iterator[str]:
    """Controls that hold for the pod's and each container's security context alike."""
    profile = context.get("appArmorProfile")
    if profile and profile.get("type") not in APPARMOR:
        yield f"AppArmor: {where}"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"HostProcess: {where}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"SELinux: {where}"
    seccomp = context.get("seccompProfile")
    if seccomp and seccomp.get("type") not in SECCOMP:
        yield f"Seccomp: {where}"


def _own_or_pod(context: Spec, pod: Spec, field: str) -> Any:
    """A container's own value decides, also when it undoes the pod's."""
    return context[field] if field in context else pod.get(field)


def _handlers(container: Spec) -> Iterator[Spec]:
    for field in ("startupProbe", "livenessProbe", "readinessProbe"):
        yield container.get(field) or {}
    yield from (container.get("lifecycle") or {}).values()


def _names_host(handler: Spec) -> bool:
    return any((handler.get(way) or {}).get("host") for way in ("httpGet", "tcpSocket"))
