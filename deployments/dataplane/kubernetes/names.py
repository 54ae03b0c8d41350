"""What everything of a Deployment is called in a Kubernetes cluster, and its labels. Pure.

Guarantees: every name is legal for its kind, at most 52 characters where pods are named after it, and two worker
queues of one Deployment never share one. A Deployment has a namespace of its own, so object names are plain words.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from deployments.dataplane.contract import Ref

MANAGER = "airdeck"  # part-of and managed-by labels, and the field manager of every apply
SCALER = "airdeck-scaler"  # the field manager that owns the replicas of workers

API_SERVER, SCHEDULER, DAG_PROCESSOR, TRIGGERER = "api-server", "scheduler", "dag-processor", "triggerer"
REDIS, WORKER, TASK, MIGRATION, CLEANUP = "redis", "worker", "task", "migration", "cleanup"
CODE_SERVER, IMAGE_CHECK = "code-server", "image-check"

# What Airflow's parts call each other, and the Kubernetes API; never asked for through a proxy.
KUBERNETES_API = "kubernetes.default.svc"
OWN_HOSTS = (API_SERVER, REDIS, KUBERNETES_API, ".svc", ".cluster.local")

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_VERSION = "app.kubernetes.io/version"
LABEL_DEPLOYMENT = "airdeck.io/deployment-id"
LABEL_QUEUE = "airdeck.io/queue"
ANNOTATION_CHECKSUM = "airdeck.io/checksum"

INVENTORY = "airdeck-inventory"  # the driver's own ConfigMap; never rendered here
KEYS = "airflow-keys"
LOGIN = "airflow-login"
REDIS_CONFIG = "redis-config"
REGISTRY = "registry"
OWN_REGISTRY = "own-registry"  # where an image of the Deployment's own is
DATABASE_LOGIN = "database-login"  # for KEDA
VARIABLES = "variables"  # the user's: a ConfigMap and a Secret of this name
SETTINGS = "airflow-settings"
FILES = "airflow-files"
TASK_LOGS = "task-logs"
LOG_BUCKET = "log-bucket"  # the keys to the bucket for the logs of tasks
LOG_READER = "log-reader"  # the token by which the console reads the logs of tasks
LOGS_PORT = "logs"  # the code server's port for that
LOG_SERVICE = f"{CODE_SERVER}:{LOGS_PORT}"  # as the API server is asked for it
POD_TEMPLATE = "pod-template"
SIGN_IN = "airdeck-sign-in"  # the auth manager
PEOPLE = "airdeck-people"  # who may come in; written whenever that changes, and never rendered here

LONGEST_NAMESPACE = 63
LONGEST_OBJECT = 52  # leaves room for the two hashes that name a pod
LONGEST_PREFIX = 20
PREFIX = re.compile(r"^([a-z]([a-z0-9-]*[a-z0-9])?-?)?$")

POD_LAUNCHER, POD_LOG_READER, POD_CLEANER = (
    "airdeck-pod-launcher",
    "airdeck-pod-log-reader",
    "airdeck-pod-cleaner",
)


def namespace(prefix: str, release_name: str) -> str:
    """The Deployment's namespace: "calm-orbit-0012" behind the cluster's prefix."""
    return _bounded(prefix + release_name, LONGEST_NAMESPACE)


def template_namespace(prefix: str) -> str:
    """Airdeck's own namespace, in which template databases are migrated."""
    return f"{prefix}airdeck-templates"


def component(name: str) -> str:
    """The value of the component label for a component as pages name it: "worker-default" -> "worker"."""
    return WORKER if name.startswith(f"{WORKER}-") else name


def worker(queue: str) -> str:
    """The name of the objects of one worker queue: "worker-default"; long ones are cut and hashed."""
    return _bounded(f"{WORKER}-{queue}", LONGEST_OBJECT)


def component_of(found: Mapping[str, Any]) -> str:
    """The component, as pages name it, to which an object of the cluster belongs by its labels; "" when to none."""
    labels = (found.get("metadata") or {}).get("labels") or {}
    name = str(labels.get(LABEL_COMPONENT, ""))
    return f"{WORKER}-{labels[LABEL_QUEUE]}" if name == WORKER and LABEL_QUEUE in labels else name


def labels(ref: Ref, component: str = "", *, queue: str = "") -> dict[str, str]:
    """The labels of an object and of its pods. No version: what is in a pod's labels restarts it, and what is in a
    selector can never change."""
    found = {
        LABEL_NAME: "airflow",
        LABEL_INSTANCE: ref.release_name,
        LABEL_PART_OF: MANAGER,
        LABEL_MANAGED_BY: MANAGER,
        LABEL_DEPLOYMENT: ref.deployment_id,
    }
    if component:
        found[LABEL_COMPONENT] = component
    if queue:
        found[LABEL_QUEUE] = queue
    return found


def selector(ref: Ref, component: str, *, queue: str = "") -> dict[str, str]:
    """The labels by which one component's pods are found. Selectors are immutable: never add to this."""
    found = {LABEL_INSTANCE: ref.release_name, LABEL_COMPONENT: component}
    return {**found, LABEL_QUEUE: queue} if queue else found


def host(release_name: str, domain: str) -> str:
    """The host name of the Airflow UI."""
    return f"{release_name}.{domain}"


def migration_job(*parts: str) -> str:
    """The name of the Job that migrates a database to one image. A Job's template cannot change, so whatever changes
    it gives another name; the same name is the same work."""
    return f"{MIGRATION}-{_short_hash(*parts)}"


def image_check(key: str) -> str:
    """The name of the Job that looks at an image. `key` names the wish."""
    return f"{IMAGE_CHECK}-{_short_hash(key)}"


def _bounded(name: str, longest: int) -> str:
    """Names that fit pass; others, and those as long as a cut one, are cut and hashed. So both never meet."""
    if len(name) < longest:
        return name
    mark = _short_hash(name)
    return f"{name[: longest - len(mark) - 1]}-{mark}"


def _short_hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
