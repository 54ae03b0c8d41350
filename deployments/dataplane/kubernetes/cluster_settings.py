"""What an operator says about a Kubernetes cluster, checked. Pure."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from urllib.parse import urlsplit

from deployments.dataplane.contract import AIRFLOW_PASSWORD, CONSOLE_URLS
from deployments.dataplane.kubernetes import names

DOMAIN = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
OBJECT = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
BUCKET_PATH = re.compile(r"(/[A-Za-z0-9._-]+){1,8}/?")
PROXY = re.compile(r"http://([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]):[0-9]{1,5}")
IMAGE = re.compile(r"^[a-z0-9][\w.:/@-]*$")
REDIS_IMAGE = "redis:7.2-bookworm"  # runs as uid 999; the last line under the BSD licence
# What pods may not reach on their own: private networks and the clouds' metadata services.
PRIVATE_CIDRS = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
PRIVATE_CIDRS_6 = ("fc00::/7", "fe80::/10")


@dataclass(frozen=True, repr=False)
class LogBucket:
    """A bucket of S3-compatible storage for the logs of tasks: https://HOST/BUCKET[/PREFIX]. No repr: keys."""

    url: str
    region: str
    access_key: str
    secret_key: str

    @property
    def keys(self) -> dict[str, str]:
        """The two secret settings, by name."""
        return {"access_key": self.access_key, "secret_key": self.secret_key}

    @property
    def host(self) -> str:
        """The host of the bucket; "" without one."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the URL, or that of its scheme."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    def of(self, release_name: str) -> "LogBucket":
        """The part of the bucket for one Deployment."""
        return replace(self, url=f"{self.url.rstrip('/')}/{release_name}")


@dataclass(frozen=True, repr=False)
class ClusterSettings:
    """A cluster's settings. `image_pull_secret` may hold a registry's password: never logged, no repr.

    ingress_domain: Airflow UIs are https://<release name>.<this>; "" means none.
    ingress_namespace: where the ingress controller runs; "" lets any namespace reach the UI.
    ingress_issuer: a cert-manager ClusterIssuer; "" leaves TLS to the controller's default (wildcard) certificate.
    image_prefix: a registry that mirrors images; put before every image that names no registry itself.
    image_pull_secret: a dockerconfigjson document, or the name of a Secret that something else puts into every
        namespace.
    database_cidrs, api_cidrs: where the metadata database and the Kubernetes API are; empty leaves only the port.
    egress_cidrs: private networks that DAGs may reach.
    api_proxy: http://HOST:PORT, through which the console reaches the API server by CONNECT; "" for directly.
    worker_grace: seconds that a worker gets to finish its tasks.
    extra_capacity_au: room in the quota for pods that tasks start.
    task_logs_gib: room for the logs of one Deployment's tasks, on a volume of the default StorageClass where there is
        one. 0 asks for no volume.
    log_bucket: where logs of tasks are kept as well; None for nowhere else.
    console_urls, takes_password: see `contract.ClusterConfig`.
    """

    ingress_domain: str = ""
    ingress_class: str = ""
    ingress_namespace: str = ""
    ingress_issuer: str = ""
    ingress_annotations: Mapping[str, str] = field(default_factory=dict)
    namespace_prefix: str = ""
    image_prefix: str = ""
    image_pull_secret: str = ""
    redis_image: str = REDIS_IMAGE
    keda: bool = False
    worker_grace: int = 600
    extra_capacity_au: int = 10
    task_logs_gib: int = 10
    task_logs_volume: bool = False  # what the driver finds out: there is a default StorageClass
    log_bucket: LogBucket | None = None
    database_cidrs: tuple[str, ...] = ()
    api_cidrs: tuple[str, ...] = ()
    egress_cidrs: tuple[str, ...] = ()
    api_proxy: str = ""
    console_urls: str = ""
    takes_password: bool = False

    @classmethod
    def of(cls, raw: Mapping[str, str]) -> "ClusterSettings":
        """From `ClusterConfig.settings`; other keys (credentials) are left alone. Raises ValueError with a sentence
        that names the setting."""
        return cls(
            ingress_domain=_matching(raw, "ingress_domain", DOMAIN, "a domain in lower case"),
            ingress_class=_matching(raw, "ingress_class", OBJECT, "the name of an IngressClass"),
            ingress_namespace=_matching(raw, "ingress_namespace", OBJECT, "the name of a namespace"),
            ingress_issuer=_matching(raw, "ingress_issuer", OBJECT, "the name of a ClusterIssuer"),
            ingress_annotations=_texts(raw, "ingress_annotations"),
            namespace_prefix=_prefix(raw),
            image_prefix=_matching(raw, "image_prefix", IMAGE, "a registry").rstrip("/"),
            image_pull_secret=_pull_secret(raw),
            redis_image=_matching(raw, "redis_image", IMAGE, "an image") or REDIS_IMAGE,
            keda=raw.get("keda", "").strip().lower() == "true",
            worker_grace=_number(raw, "worker_grace", 600, 0, 86_400),
            extra_capacity_au=_number(raw, "extra_capacity_au", 10, 0, 400),
            task_logs_gib=_number(raw, "task_logs_gib", 10, 0, 1_000),
            log_bucket=_bucket(raw),
            database_cidrs=_cidrs(raw, "database_cidrs"),
            api_cidrs=_cidrs(raw, "api_cidrs"),
            egress_cidrs=_cidrs(raw, "egress_cidrs"),
            api_proxy=_matching(raw, "api_proxy", PROXY, "a proxy as http://HOST:PORT, without a login"),
            console_urls=raw.get(CONSOLE_URLS, ""),
            takes_password=AIRFLOW_PASSWORD in raw,
        )

    @property
    def pull_secret_name(self) -> str:
        """The Secret by which images are pulled; "" when none is needed."""
        return names.REGISTRY if self.pull_secret_document else self.image_pull_secret

    @property
    def pull_secret_document(self) -> str:
        """The dockerconfigjson that we put into every namespace, or ""."""
        return self.image_pull_secret if self.image_pull_secret.startswith("{") else ""

    @property
    def task_logs_room(self) -> int:
        """GiB for the logs of one Deployment's tasks, also without a volume."""
        return self.task_logs_gib or 1

    def image(self, reference: str) -> str:
        """Where to pull an image from: behind the mirror, unless it names its registry itself."""
        first, slash, _ = reference.partition("/")
        names_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
        return reference if names_registry or not self.image_prefix else f"{self.image_prefix}/{reference}"


def _matching(raw: Mapping[str, str], key: str, pattern: re.Pattern[str], what: str) -> str:
    value = raw.get(key, "").strip()
    if value and not pattern.fullmatch(value):
        raise ValueError(f"{key}: give {what}, not “{value}”.")
    return value


def _prefix(raw: Mapping[str, str]) -> str:
    value = _matching(raw, "namespace_prefix", names.PREFIX, "lower case letters, digits and hyphens")
    if len(value) > names.LONGEST_PREFIX:
        raise ValueError(f"namespace_prefix: at most {names.LONGEST_PREFIX} characters.")
    return value


def _pull_secret(raw: Mapping[str, str]) -> str:
    value = raw.get("image_pull_secret", "").strip()
    if not value.startswith("{"):
        return _matching(
            raw, "image_pull_secret", OBJECT, "the name of a Secret, or a dockerconfigjson document"
        )
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("auths"), dict):
        raise ValueError("image_pull_secret: the document is not a dockerconfigjson (it needs “auths”).")
    return value


BUCKET_KEYS = tuple(each.name for each in fields(LogBucket))


def _bucket(raw: Mapping[str, str]) -> LogBucket | None:
    """No refusal repeats what was given: it holds a secret."""
    value = raw.get("log_bucket", "").strip()
    if not value:
        return None
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    known = isinstance(document, dict) and set(document) <= set(BUCKET_KEYS)
    if not known or not all(isinstance(document.get(key), str) and document[key] for key in BUCKET_KEYS):
        raise ValueError(f"log_bucket: give a JSON object with {', '.join(BUCKET_KEYS)}.")
    try:
        parts = urlsplit(document["url"])
        fine = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not BUCKET_PATH.fullmatch(parts.path) or parts.username or parts.query or parts.fragment:
        raise ValueError("log_bucket: give url as https://HOST/BUCKET or https://HOST/BUCKET/PREFIX.")
    if not all(document[key].isascii() and document[key].isprintable() for key in BUCKET_KEYS):
        raise ValueError("log_bucket: region and keys are of printable ASCII characters.")
    return LogBucket(**document)


def _texts(raw: Mapping[str, str], key: str) -> dict[str, str]:
    value = raw.get(key, "").strip()
    if not value:
        return {}
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        raise ValueError(f"{key}: give a JSON object of texts.")
    return document


def _number(raw: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    value = raw.get(key, "").strip() or str(default)
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise ValueError(f"{key}: give a whole number from {low} to {high}.")
    return int(value)


def _cidrs(raw: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        return tuple(
            str(ipaddress.ip_network(part.strip())) for part in raw.get(key, "").split(",") if part.strip()
        )
    except ValueError as error:
        raise ValueError(
            f"{key}: give networks such as 10.1.0.0/16, separated by commas ({error})."
        ) from None
