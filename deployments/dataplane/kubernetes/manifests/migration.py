"""The Job that migrates a metadata database: a Deployment's own at an upgrade, or the template database of a runtime.

The console runs it and waits for `Complete`; no pod waits for it, which is how Helm hooks deadlock (#11979). The URL
must be direct: Airflow holds a session lock while it migrates.
"""

import json

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import network, sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.dataplane.kubernetes.manifests.namespace import pod_security
from deployments.dataplane.kubernetes.manifests.pods import AIRFLOW_UID, base_spec, locked_down
from deployments.domain.spec import RuntimeSpec

DEADLINE_SECONDS = 1_800
TRIES = 3
TEMPLATE = "template-database"  # the component label of the objects of template databases


def job(inputs: Inputs) -> Manifest:
    """Migrates the Deployment's own database to its runtime. The name is a hash of what the Job does: one that is there
    and Complete is done. One that failed must be deleted before it is tried again."""
    labels = names.labels(inputs.ref, names.MIGRATION)
    spec = _spec(inputs.settings, inputs.runtime_image, names.KEYS, labels)
    meta = inputs.meta(_name(spec), names.MIGRATION)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def template_objects(
    runtime: RuntimeSpec, settings: ClusterSettings, database_url: str
) -> tuple[Manifest, ...]:
    """What migrates a runtime's template database inside the cluster, in apply order: a namespace of Airdeck's own with
    nothing but this Job, its URL and a way to the database. `database_url` is the template's, with its password."""
    namespace = names.template_namespace(settings.namespace_prefix)
    name = f"template-{runtime.version.replace('.', '-')}"
    labels = {
        names.LABEL_PART_OF: names.MANAGER,
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_COMPONENT: TEMPLATE,
    }

    def meta(own: str) -> Manifest:
        return {"name": own, "namespace": namespace, "labels": labels}

    image = settings.image(runtime.image or f"apache/airflow:{runtime.airflow_version}")
    spec = _spec(settings, image, name, labels)
    url = {conf.DATABASE_URL: conf.sqlalchemy_url(database_url)}
    found: list[Manifest] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {**labels, **pod_security("restricted")}},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": meta(names.MIGRATION),
            "automountServiceAccountToken": False,
        },
        *network.template_policies(meta, settings, database_url, labels),
        conf.secret(meta(name), url),
    ]
    if settings.pull_secret_document:
        found.append(conf.pull_secret(meta(names.REGISTRY), settings))
    found.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta(_name(spec)), "spec": spec})
    return tuple(found)


def _name(spec: Manifest) -> str:
    return names.migration_job(json.dumps(spec, sort_keys=True))


def _spec(settings: ClusterSettings, image: str, url_secret: str, labels: dict[str, str]) -> Manifest:
    url = {"secretKeyRef": {"name": url_secret, "key": conf.DATABASE_URL}}
    container = {
        "name": names.MIGRATION,
        "image": image,
        "args": ["db", "migrate"],
        "env": [
            {"name": "CONNECTION_CHECK_MAX_COUNT", "value": "0"},
            {"name": conf.DATABASE_URL, "valueFrom": url},
        ],
        "resources": sizes.resources(sizes.MIGRATION),
        "securityContext": locked_down(),
    }
    pod = {
        **base_spec(settings, names.MIGRATION, uid=AIRFLOW_UID, gid=0),
        "restartPolicy": "Never",  # a failed pod stays, and with it its log
        "containers": [container],
    }
    return {
        "backoffLimit": TRIES - 1,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
