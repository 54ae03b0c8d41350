"""The Job that looks at an image of a Deployment's own, in its namespace. No policy lets its pod anywhere, and nothing
of the Deployment is in it but the files that Airdeck adds to every pod: the image is a stranger's until then.

Its first container runs `airflow version` through the image's entrypoint, as every part of Airflow is started; the
second has Python import Airflow and our files. Both run as user 50000.
"""

import json
from importlib.resources import files

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Manifest
from deployments.dataplane.kubernetes.manifests.pods import AIRFLOW_UID, base_spec, locked_down
from deployments.domain.spec import au_size

DEADLINE_SECONDS = 600  # for a node, gigabytes of image, and two imports of Airflow
KEPT_SECONDS = 3_600  # a Job that was forgotten half-way goes by itself
SIZE = au_size(2)  # importing Airflow takes some 400 MiB; the quota's room for a migration covers it
VERSION, IMPORTS = "version", "imports"
SCRIPT = files("deployments.dataplane.kubernetes.in_pods").joinpath("image_check.py").read_text()
# What our files and the image's entrypoint read when they start; the same in every Deployment.
ENVIRONMENT = {
    "AIRFLOW_HOME": conf.HOME,
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{conf.HOME}/logs",
    "CONNECTION_CHECK_MAX_COUNT": "0",
    conf.CODE_SERVER: conf.SERVER,
}
OURS = {"files": names.FILES, "sign-in": names.SIGN_IN}


def job(meta: Manifest, settings: ClusterSettings, image: str) -> Manifest:
    """Looks at `image` once. `meta` names it and has the labels of its pod."""
    folders = [f"{conf.OURS}/{folder}" for folder in OURS]
    pod = {
        **base_spec(settings, names.MIGRATION, uid=AIRFLOW_UID, gid=0, own_registry=True),
        "restartPolicy": "Never",  # a failed pod stays, and with it why it failed
        "initContainers": [_container(VERSION, image, args=["version"])],
        "containers": [_container(IMPORTS, image, command=["python", "-c", SCRIPT, *folders])],
        "volumes": [
            *(
                {"name": folder, "configMap": {"name": name, "optional": True}}
                for folder, name in OURS.items()
            ),
            {"name": "logs", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {"metadata": {"labels": meta["labels"]}, "spec": pod},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def registry(meta: Manifest, login: str) -> Manifest:
    """The Secret by which an image of its own is pulled. It is there without a login too, so that one that is entered
    later restarts nothing."""
    document = login or json.dumps({"auths": {}})
    return conf.secret(meta, {".dockerconfigjson": document}, kind="kubernetes.io/dockerconfigjson")


def _container(name: str, image: str, **started: list[str]) -> Manifest:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "Always",  # a tag may have moved since a node last pulled it
        **started,
        "env": [{"name": key, "value": value} for key, value in sorted(ENVIRONMENT.items())],
        "resources": sizes.resources(SIZE),
        "securityContext": locked_down(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *({"name": folder, "mountPath": f"{conf.OURS}/{folder}", "readOnly": True} for folder in OURS),
            {"name": "logs", "mountPath": f"{conf.HOME}/logs"},
        ],
    }
