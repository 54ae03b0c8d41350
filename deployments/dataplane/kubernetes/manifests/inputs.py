"""What manifests are made from, and the few helpers that every kind of object needs."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings, LogBucket
from deployments.domain.proxies import completed, uses_proxy
from deployments.domain.spec import Release, Secrets

type Manifest = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Inputs:
    """One Deployment to render. `database_url` is its own, with its password, as pods reach it; `code_url` leads to its
    code, for its code server. `workers` is the desired number per queue; a queue that it lacks gets no `replicas`,
    because a scaler owns them. No repr: secrets."""

    release: Release
    secrets: Secrets
    settings: ClusterSettings
    database_url: str
    code_url: str
    workers: Mapping[str, int] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        """Which Deployment."""
        return Ref(self.release.deployment_id, self.release.release_name)

    @property
    def namespace(self) -> str:
        """The Deployment's namespace."""
        return names.namespace(self.settings.namespace_prefix, self.release.release_name)

    @property
    def image(self) -> str:
        """What Airflow's parts run: the Deployment's own image, or its runtime's."""
        return self.settings.image(self.release.image) if self.release.image else self.runtime_image

    @property
    def runtime_image(self) -> str:
        """The catalogue's image, or the official one of that version."""
        runtime = self.release.runtime
        return self.settings.image(runtime.image or f"apache/airflow:{runtime.airflow_version}")

    @property
    def address(self) -> str:
        """Where a browser finds the Airflow UI; "" in a cluster without a domain."""
        domain = self.settings.ingress_domain
        return f"https://{names.host(self.release.release_name, domain)}" if domain else ""

    @property
    def variables(self) -> tuple[dict[str, str], dict[str, str]]:
        """The user's variables, plain and secret, under which Airflow's parts reach each other also behind a proxy."""
        return completed(self.release.environment, self.secrets.variables, names.OWN_HOSTS)

    @property
    def log_bucket(self) -> LogBucket | None:
        """Its place in the bucket for the logs of tasks, where there is one."""
        bucket = self.settings.log_bucket
        return bucket.of(self.release.release_name) if bucket else None

    @property
    def behind_proxy(self) -> bool:
        """Whether the user sends traffic through a proxy."""
        return uses_proxy({*self.release.environment, *self.secrets.variables})

    def meta(
        self, name: str, component: str = "", *, queue: str = "", annotations: Mapping[str, str] | None = None
    ) -> Manifest:
        """The metadata of a namespaced object."""
        labels = names.labels(self.ref, component, queue=queue)
        labels[names.LABEL_VERSION] = self.release.runtime.airflow_version
        found: Manifest = {"name": name, "namespace": self.namespace, "labels": labels}
        return {**found, "annotations": dict(annotations)} if annotations else found

    def mark(self, *secret: str) -> str:
        """A text that changes with a secret and reveals nothing about it: keyed, so that a short secret cannot be
        guessed from it by who may read pods but no Secrets."""
        text = json.dumps(secret).encode()
        return hmac.new(self.secrets.fernet_key.encode(), text, hashlib.sha256).hexdigest()[:16]


def derived(secrets: Secrets, purpose: str) -> str:
    """A secret for one purpose, made of the password of the metadata database: what leaves the console for a code
    server does not report that, and a Deployment from before there were code servers has it too."""
    return hmac.new(
        secrets.database_password.encode(), f"airdeck {purpose}".encode(), hashlib.sha256
    ).hexdigest()


def checksum(document: object) -> str:
    """A short text that changes with the document. Never for secrets (`Inputs.mark`)."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
