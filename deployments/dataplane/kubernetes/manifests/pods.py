"""Pods: every one passes the restricted Pod Security Standard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.access import roles
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest, checksum
from deployments.domain.spec import Size

AIRFLOW_UID, REDIS_UID = 50_000, 999  # as their images make them
CODE_LIMIT = "5Gi"  # of unpacked versions in one pod, and of archives in a code server
LOGS_LIMIT = "10Gi"  # a pod whose logs outgrow this is evicted rather than filling its node's disk


@dataclass(frozen=True)
class PodProgram:
    """What one container of Airflow runs. `keys` are the secret variables that it gets, `settings` those that are its
    alone; `probes` are merged into the container, `files` are ConfigMaps mounted under conf.OURS by folder."""

    component: str
    args: tuple[str, ...]
    size: Size
    keys: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    probes: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""
    grace: int = 60
    spread: bool = False  # several of them should not share a node
    keep: bool = False  # a node is not emptied under it: it runs tasks
    signs_in: bool = False  # it is where people come in
    login: bool = False  # and by a password too
    pod_template: str = ""  # marks the template of task pods that it reads; "" when it reads none


def airflow_pod(inputs: Inputs, program: PodProgram) -> Manifest:
    """The pod template of a component of Airflow."""
    meta: Manifest = {
        "labels": names.labels(inputs.ref, program.component, queue=program.queue),
        "annotations": {names.ANNOTATION_CHECKSUM: _checksum(inputs, program), **_eviction(program)},
    }
    token = program.component in roles(inputs.release)
    spec: Manifest = {
        **base_spec(
            inputs.settings,
            program.component,
            uid=AIRFLOW_UID,
            gid=0,
            token=token,
            own_registry=bool(inputs.release.image),
        ),
        "terminationGracePeriodSeconds": program.grace,
        "containers": [airflow_container(inputs, program, program.component)],
        "volumes": _volumes(program),
    }
    if program.spread:
        spec |= _apart(names.selector(inputs.ref, program.component, queue=program.queue))
    return {"metadata": meta, "spec": spec}


def base_spec(
    settings: ClusterSettings,
    account: str,
    *,
    uid: int,
    gid: int,
    token: bool = False,
    own_registry: bool = False,
) -> Manifest:
    """What holds for every pod of ours. `token` says that it speaks to the Kubernetes API, `own_registry` that its
    image is the Deployment's own."""
    spec: Manifest = {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,  # injected variables collide with Airflow's settings (#67447)
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": gid,
            "fsGroup": gid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    secrets = [settings.pull_secret_name, names.OWN_REGISTRY if own_registry else ""]
    if any(secrets):
        spec["imagePullSecrets"] = [{"name": name} for name in secrets if name]
    return spec


def locked_down() -> Manifest:
    """A container's security context."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def airflow_container(inputs: Inputs, program: PodProgram, name: str) -> Manifest:
    """One container of Airflow. The user's variables come first, so that ours win; they are never written as `value`,
    in which Kubernetes would expand $(NAME)."""
    sources = [{kind: {"name": source}} for kind, source in SOURCES]
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": names.KEYS, "key": key}}} for key in program.keys
    ]
    plain = [{"name": key, "value": value} for key, value in sorted(program.settings.items())]
    pod = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    container: Manifest = {
        "name": name,
        "image": inputs.image,
        "envFrom": sources,
        "env": [*pod, *secret, *plain],
        "resources": sizes.resources(program.size),
        "securityContext": locked_down(),
        "volumeMounts": _mounts(program),
        **program.probes,
    }
    if program.args:
        container["args"] = list(program.args)
    if program.ports:
        container["ports"] = [
            {"name": port, "containerPort": number, "protocol": "TCP"}
            for port, number in program.ports.items()
        ]
    return container


SOURCES = (
    ("configMapRef", names.VARIABLES),
    ("secretRef", names.VARIABLES),
    ("configMapRef", names.SETTINGS),
)


def _checksum(inputs: Inputs, program: PodProgram) -> str:
    """Changes with what the pod reads when it starts, and with nothing else."""
    keys = conf.keys(inputs)
    plain, secret = inputs.variables
    return checksum(
        {
            "settings": conf.settings(inputs),
            "files": [text for name, text in conf.FILES.items() if name not in conf.CODE_SERVER_FILES],
            "keys": {key: inputs.mark(keys[key]) for key in program.keys},
            "environment": plain,
            "variables": {key: inputs.mark(value) for key, value in secret.items()},
            "login": inputs.mark(inputs.secrets.admin_password) if program.login else "",
            "pod_template": program.pod_template,
            **({"sign_in": list(conf.SIGN_IN_FILES.values())} if program.signs_in else {}),
        }
    )


def _eviction(program: PodProgram) -> dict[str, str]:
    return {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"} if program.keep else {}


def _volumes(program: PodProgram) -> list[Manifest]:
    volumes: list[Manifest] = [
        {"name": "files", "configMap": {"name": names.FILES}},
        {"name": "logs", "emptyDir": {"sizeLimit": LOGS_LIMIT}},
    ]
    if conf.CODE_TOKEN in program.keys:
        volumes.append({"name": "code", "emptyDir": {"sizeLimit": CODE_LIMIT}})
    if program.pod_template:
        volumes.append({"name": "template", "configMap": {"name": names.POD_TEMPLATE}})
    if program.login:
        volumes.append({"name": "login", "secret": {"secretName": names.LOGIN, "defaultMode": 0o440}})
    if program.signs_in:
        volumes.append({"name": "sign-in", "configMap": {"name": names.SIGN_IN}})
        # The list is written once the pod's namespace is there, and the pod waits for nothing.
        volumes.append({"name": "people", "configMap": {"name": names.PEOPLE, "optional": True}})
    return volumes


def _mounts(program: PodProgram) -> list[Manifest]:
    mounts: list[Manifest] = [
        {
            "name": "files",
            "mountPath": f"{conf.HOME}/airflow.cfg",
            "subPath": "airflow.cfg",
            "readOnly": True,
        },
        {"name": "files", "mountPath": f"{conf.OURS}/files", "readOnly": True},
        *(
            {"name": "files", "mountPath": f"{conf.HOME}/config/{name}", "subPath": name, "readOnly": True}
            for name in conf.MODULES
        ),
        {"name": "logs", "mountPath": f"{conf.HOME}/logs"},
    ]
    if conf.CODE_TOKEN in program.keys:
        mounts.append({"name": "code", "mountPath": conf.CODE})
    if program.pod_template:
        mounts.append({"name": "template", "mountPath": f"{conf.OURS}/template", "readOnly": True})
    if program.login:
        mounts.append({"name": "login", "mountPath": f"{conf.OURS}/login", "readOnly": True})
    if program.signs_in:
        # Airflow has this folder on its module path. A file of its own: what the image holds there stays.
        mounts += [
            {
                "name": "sign-in",
                "mountPath": f"{conf.HOME}/config/{file}",
                "subPath": file,
                "readOnly": True,
            }
            for file in sorted(conf.SIGN_IN_FILES)
        ]
        # Not by subPath: that would never change under a pod that runs.
        mounts.append({"name": "people", "mountPath": f"{conf.OURS}/people", "readOnly": True})
    return mounts


def _apart(selector: Mapping[str, str]) -> Manifest:
    """Other nodes and other zones when there are any. Preferred, not required: a rollout must also succeed where every
    node has one already."""
    labels = {"labelSelector": {"matchLabels": dict(selector)}}
    term = {"weight": 100, "podAffinityTerm": {**labels, "topologyKey": "kubernetes.io/hostname"}}
    zones = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    }
    return {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}},
        "topologySpreadConstraints": [{**zones, **labels}],
    }
