"""Releases to render, and ways to look into what came out."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import (
    Inputs,
    Manifest,
    image_check,
    render,
    template_objects,
)
from deployments.domain.spec import QueueSpec, Release, RuntimeSpec, Secrets, au_size
from deployments.domain.states import Executor

AIRFLOWS = {"3.1": "3.1.8", "3.2": "3.2.2", "3.3": "3.3.2"}
SHAPES = ("smallest", "largest", "high-availability")
LONGEST_QUEUE = "q" * 63
DATABASE = "postgresql://d_calm_orbit_0012:marked-database-password@db.internal:5433/d_calm_orbit_0012"
CODE = "postgresql://d_calm_orbit_0012_code:marked-code-password@db.internal:5433/airdeck_code"
SECRETS = Secrets(
    fernet_key="marked-fernet-key-marked-fernet-key-0000000=",
    jwt_secret="marked-jwt-secret-" + "j" * 48,
    api_secret_key="marked-api-secret-key",
    database_password="marked-database-password",
    redis_password="marked redis/password@1",
    admin_password="marked-admin-password",
    sign_in_key="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    variables={"TOKEN": "marked-secret-variable", "MULTI": "marked-line one\nmarked-line two $(POD_IP)"},
)
REGISTRY = json.dumps({"auths": {"mirror.example": {"auth": "bWFya2VkLXJlZ2lzdHJ5"}}})
BUCKET = json.dumps(
    {
        "url": "https://s3.example.com/airdeck/logs",
        "region": "eu-central-1",
        "access_key": "marked-access-key",
        "secret_key": "marked-bucket-key",
    }
)
RICH = {  # a cluster in which everything is set
    "kubeconfig": "not ours to read",
    "ingress_domain": "airflow.example.com",
    "ingress_class": "nginx",
    "ingress_namespace": "ingress-nginx",
    "ingress_issuer": "letsencrypt",
    "ingress_annotations": '{"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}',
    "namespace_prefix": "team-a-",
    "image_prefix": "mirror.example/hub",
    "image_pull_secret": REGISTRY,
    "log_bucket": BUCKET,
    "keda": "true",
    "database_cidrs": "10.9.0.0/24",
    "api_cidrs": "172.20.0.1/32",
    "egress_cidrs": "10.20.0.0/16, 10.21.0.0/16",
    "console_urls": "https://airdeck.example.com",
    "airflow_password": "yes",
}


def release(executor: Executor, shape: str = "smallest", minor: str = "3.3") -> Release:
    """One Release of a shape. The largest is at every limit of the form."""
    small = shape == "smallest"
    queues: tuple[QueueSpec, ...] = (QueueSpec("default", 0, 1, 1, au_size(10)),)
    if shape == "high-availability":
        queues = (QueueSpec("default", 1, 10, 16, au_size(10)), QueueSpec("heavy", 0, 5, 4, au_size(40)))
    if shape == "largest":
        queues = tuple(
            QueueSpec(name, 30, 30, 64, au_size(350)) for name in ("default", "b-1", LONGEST_QUEUE)
        )
    return Release(
        deployment_id="00000000-0000-0000-0000-00000000a1b2",
        release_name="calm-orbit-0012",
        generation=3,
        runtime=RuntimeSpec(
            f"{minor}-1", AIRFLOWS[minor], "" if small else f"apache/airflow:{AIRFLOWS[minor]}"
        ),
        executor=executor,
        scheduler=au_size(24 if shape == "largest" else 5),
        scheduler_replicas={"smallest": 1, "high-availability": 2, "largest": 4}[shape],
        queues=queues if executor is Executor.CELERY else (),
        environment={}
        if small
        else {"COLOUR": "blue", "AIRFLOW__CORE__EXECUTOR": "$(POD_IP) {{ not ours }}"},
        secret_marks={} if small else dict.fromkeys(SECRETS.variables, "mark"),
    )


def inputs(
    executor: Executor = Executor.CELERY,
    shape: str = "high-availability",
    minor: str = "3.3",
    *,
    settings: dict[str, str] | None = None,
    **changes: Any,
) -> Inputs:
    """Everything that a rendering takes; `changes` are of the Release."""
    asked = replace(release(executor, shape, minor), **changes)
    if settings is None:
        settings = {"ingress_domain": "airflow.example.com"} if shape == "smallest" else RICH
    secrets = SECRETS if asked.secret_marks else replace(SECRETS, variables={})
    workers = {queue.name: queue.min_workers for queue in asked.queues}
    cluster = replace(ClusterSettings.of(settings), task_logs_volume=settings is RICH)
    return Inputs(asked, secrets, cluster, DATABASE, CODE, workers)


def every(minors: Iterable[str] = tuple(AIRFLOWS)) -> Iterator[tuple[str, Inputs]]:
    """Each Airflow minor x executor x shape, with a name; and each executor hibernating and in a bare cluster."""
    for minor in minors:
        for executor in Executor:
            for shape in SHAPES:
                yield f"{minor}-{executor}-{shape}", inputs(executor, shape, minor)
    for executor in Executor:
        yield f"{executor}-hibernating", inputs(executor, hibernating=True)
        yield f"{executor}-bare", inputs(executor, settings={})


def documents(asked: Inputs) -> list[Manifest]:
    """Everything that is rendered, the migration Job included, in apply order."""
    return [each for _, objects in render(asked).phases for each in objects]


def templates(asked: Inputs) -> list[Manifest]:
    """What migrates the template database of the same runtime."""
    url = "postgresql://airdeck_template_3_3_1:marked-template-password@10.9.0.5/draft"
    return list(template_objects(asked.release.runtime, asked.settings, url))


def image_job() -> Manifest:
    """What looks at an image."""
    asked = inputs(settings=RICH)
    meta = {
        "name": names.image_check("a wish"),
        "namespace": asked.namespace,
        "labels": names.labels(asked.ref, names.IMAGE_CHECK),
    }
    return image_check.job(meta, asked.settings, "registry.example/team/airflow:1")


def by_id(found: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def lasting(asked: Inputs) -> dict[tuple[str, str], Manifest]:
    """What the driver keeps in the cluster, by kind and name."""
    return by_id(render(asked).lasting)


def changed(before: Inputs, after: Inputs) -> set[tuple[str, str]]:
    """What differs between two renderings: changed, new or gone."""
    old, new = lasting(before), lasting(after)
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def pods(found: Iterable[Manifest]) -> Iterator[tuple[str, dict[str, str], Manifest]]:
    """Every pod among the objects: a name, its labels, its spec. The template of task pods is one too."""
    for each in found:
        kind, name, spec = each["kind"], each["metadata"]["name"], each.get("spec", {})
        match kind:
            case "Deployment" | "Job":
                pod = spec["template"]
            case "CronJob":
                pod = spec["jobTemplate"]["spec"]["template"]
            case "ConfigMap" if "pod_template.yaml" in each["data"]:
                pod = json.loads(each["data"]["pod_template.yaml"])
            case _:
                continue
        yield f"{kind}/{name}", pod["metadata"]["labels"], pod["spec"]


def containers(spec: Manifest) -> list[Manifest]:
    """Of a pod, init containers included."""
    return [*spec.get("initContainers", ()), *spec["containers"]]


def decoded(secret: Manifest) -> dict[str, str]:
    """The values of a Secret."""
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def key_references(container: Manifest) -> list[Manifest]:
    """The keys of Secrets that become its variables."""
    sources = [each.get("valueFrom", {}) for each in container.get("env", ())]
    return [source["secretKeyRef"] for source in sources if "secretKeyRef" in source]


def ports(objects: list[Manifest]) -> dict[str, dict[str, int]]:
    """Named ports of containers, by component."""
    found: dict[str, dict[str, int]] = {}
    for _, labels, spec in pods(objects):
        own = found.setdefault(labels[names.LABEL_COMPONENT], {})
        own |= {
            port["name"]: port["containerPort"]
            for container in containers(spec)
            for port in container.get("ports", ())
        }
    return found
