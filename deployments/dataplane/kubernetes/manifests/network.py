"""Who may talk to whom: nothing, except what stands here. One policy per component, for both directions.

A NetworkPolicy means nothing without a network plugin that enforces it; registering a cluster finds that out. The
kubelet's probes come from the node, which policies always let in.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import PRIVATE_CIDRS, PRIVATE_CIDRS_6, ClusterSettings
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests.access import accounts, roles
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.spec import Release
from deployments.domain.states import Executor

NODE_LOCAL_DNS = "169.254.20.10/32"
KUBE_SYSTEM: Manifest = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
WITHOUT_DATABASE = frozenset({names.WORKER, names.TASK, names.REDIS, names.CLEANUP})
# Remote logs, triggers, tasks, imports of DAG files: whatever runs people's code may reach the internet.
WITHOUT_INTERNET = frozenset({names.REDIS, names.MIGRATION, names.CLEANUP, names.CODE_SERVER})


def objects(inputs: Inputs) -> tuple[Manifest, ...]:
    """default-deny, DNS, and one policy per component."""
    own = (_policy(inputs, component) for component in accounts(inputs.release))
    return (*_common(inputs.meta), *own)


def template_policies(
    meta: Callable[[str], Manifest], settings: ClusterSettings, database_url: str, labels: dict[str, str]
) -> tuple[Manifest, ...]:
    """For the namespace in which template databases are migrated: DNS and the database."""
    spec = {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Egress"],
        "egress": [_to_database(settings, database_url)],
    }
    return (*_common(meta), _object(meta(names.MIGRATION), spec))


def flows(release: Release) -> tuple[tuple[str, str, int], ...]:
    """What components ask of each other: (from, to, port). Tasks ask the API server; it fetches their logs. Whatever
    reads or runs code has it from the code server."""
    match release.executor:
        case Executor.CELERY:
            tasks, logs = names.WORKER, [(names.API_SERVER, names.WORKER, conf.WORKER_LOG_PORT)]
        case Executor.LOCAL:
            tasks, logs = names.SCHEDULER, [(names.API_SERVER, names.SCHEDULER, conf.WORKER_LOG_PORT)]
        case Executor.KUBERNETES:
            tasks, logs = names.TASK, []
    found: list[tuple[str, str, int]] = [(tasks, names.API_SERVER, conf.API_PORT), *logs]
    found.append((names.API_SERVER, names.TRIGGERER, conf.TRIGGERER_LOG_PORT))
    readers = (names.API_SERVER, names.DAG_PROCESSOR, names.TRIGGERER, tasks)
    found += [(one, names.CODE_SERVER, conf.CODE_PORT) for one in readers]
    if release.executor is Executor.CELERY:
        found += [(one, names.REDIS, conf.REDIS_PORT) for one in (names.SCHEDULER, names.WORKER)]
    return tuple(found)


def _common(meta: Callable[[str], Manifest]) -> tuple[Manifest, Manifest]:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    rule = {"to": [KUBE_SYSTEM, {"ipBlock": {"cidr": NODE_LOCAL_DNS}}], "ports": ports}
    dns = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}
    return _object(meta("default-deny"), deny), _object(meta("dns"), dns)


def _policy(inputs: Inputs, component: str) -> Manifest:
    """An empty list of rules is left out: the API server drops it, and every apply would look like a change."""
    rules = {"ingress": _ingress(inputs, component), "egress": _egress(inputs, component)}
    spec = {
        "podSelector": {"matchLabels": names.selector(inputs.ref, component)},
        "policyTypes": ["Ingress", "Egress"],
        **{way: found for way, found in rules.items() if found},
    }
    return _object(inputs.meta(component, component), spec)


def _ingress(inputs: Inputs, component: str) -> list[Manifest]:
    rules = [
        {"from": [_pods(inputs, source)], "ports": _ports(port)}
        for source, target, port in flows(inputs.release)
        if target == component
    ]
    if component == names.API_SERVER and inputs.settings.ingress_domain:
        controller = inputs.settings.ingress_namespace
        match = {"matchLabels": {"kubernetes.io/metadata.name": controller}} if controller else {}
        rules.append({"from": [{"namespaceSelector": match}], "ports": _ports(conf.API_PORT)})
    if component == names.CODE_SERVER:
        rules.append(_from_kubernetes(inputs.settings))
    return rules


def _from_kubernetes(settings: ClusterSettings) -> Manifest:
    """The Kubernetes API, by way of which the console reads the logs of tasks: from its own addresses, or by a tunnel
    that ends in kube-system. Where these addresses are not known only the port is fenced, and a token guards it."""
    rule: Manifest = {"ports": _ports(conf.LOG_READER_PORT)}
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in settings.api_cidrs]
    return {"from": [*blocks, KUBE_SYSTEM], **rule} if blocks else rule


def _egress(inputs: Inputs, component: str) -> list[Manifest]:
    settings = inputs.settings
    rules = [
        {"to": [_pods(inputs, target)], "ports": _ports(port)}
        for source, target, port in flows(inputs.release)
        if source == component
    ]
    if component not in WITHOUT_DATABASE:
        rules.append(_to_database(settings, inputs.database_url))
    if component in roles(inputs.release):
        # After address translation the API server has its own address and port, not its Service's.
        rules.append(_to(settings.api_cidrs, 443, 6443))
    if component == names.CODE_SERVER and settings.log_bucket:
        rules.append(_to(_address(settings.log_bucket.host), settings.log_bucket.port))
    runs_code = component != names.SCHEDULER or inputs.release.executor is Executor.LOCAL
    if runs_code and component not in WITHOUT_INTERNET:
        rules += _to_internet(settings)
    return rules


def _to_internet(settings: ClusterSettings) -> list[Manifest]:
    """Everything public, and the private networks that the operator opened."""
    blocks = [
        {"cidr": "0.0.0.0/0", "except": list(PRIVATE_CIDRS)},
        {"cidr": "::/0", "except": list(PRIVATE_CIDRS_6)},
        *({"cidr": cidr} for cidr in settings.egress_cidrs),
    ]
    return [{"to": [{"ipBlock": block} for block in blocks]}]


def _to_database(settings: ClusterSettings, database_url: str) -> Manifest:
    """The metadata database. A policy knows no host names: without an address only the port is fenced."""
    parts = urlsplit(database_url)
    port = parts.port or int(parse_qs(parts.query).get("port", ["5432"])[0])
    return _to(settings.database_cidrs or _address(parts.hostname), port)


def _address(host: str | None) -> tuple[str, ...]:
    try:
        address = ip_address(host or "")
    except ValueError:
        return ()
    return (f"{address}/{address.max_prefixlen}",)


def _to(cidrs: Sequence[str], *ports: int) -> Manifest:
    rule: Manifest = {"ports": _ports(*ports)}
    return {"to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs], **rule} if cidrs else rule


def _pods(inputs: Inputs, component: str) -> Manifest:
    return {"podSelector": {"matchLabels": names.selector(inputs.ref, component)}}


def _ports(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _object(meta: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}
