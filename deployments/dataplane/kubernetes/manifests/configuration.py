"""Secrets and ConfigMaps: the generated keys, Airflow's settings, its files, and the user's variables.

Where a name is set twice the later source wins, and ours come last: the user's variables, then `settings`, then the
keys and each component's own. In Airflow 3 tasks ask the API server, so workers and task pods get neither the
metadata database nor the key that signs tokens. They get the Fernet key, with which the SDK encrypts a few kinds of
results; what serves logs also gets the API's secret key, by which it checks who reads them. Checked in the sources
of 3.1 to 3.3.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from urllib.parse import quote

from deployments.dataplane.code import BUNDLE
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest, derived
from deployments.domain.reserved_variables import OVERRIDABLE
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor

HOME = "/opt/airflow"
OURS = "/opt/airdeck"  # our files in a pod
LOGIN_FILE = "passwords.json"
TEMPLATE_FILE = "pod_template.yaml"
API_PORT, REDIS_PORT, WORKER_LOG_PORT, TRIGGERER_LOG_PORT, SCHEDULER_HEALTH_PORT = (
    8080,
    6379,
    8793,
    8794,
    8974,
)
CODE_PORT, LOG_READER_PORT = (
    8090,
    8091,
)  # of the code server: for pods, and for the console by way of Kubernetes
VISIBILITY_SECONDS = 86_400  # Celery hands a task out again after this; Airflow's own default for Redis
TOKEN_SECONDS = 3_600  # a task pod may wait this long for a node; Airflow's 600 s failed such tasks (#59637)
# The variables that are secret, by their key in the Secret.
DATABASE_URL, FERNET_KEY, API_SECRET_KEY, JWT_SECRET, BROKER_URL, RESULT_BACKEND = (
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
)
# Of the code server, whose token every pod that needs code has; the first is the server's alone.
CODE_DATABASE, CODE_TOKEN, CODE_SERVER = "AIRDECK_CODE_DATABASE", "AIRDECK_CODE_TOKEN", "AIRDECK_CODE_SERVER"
LOG_READER_TOKEN, TOKEN_KEY = (
    "AIRDECK_LOG_READER_TOKEN",
    "token",
)  # the console's, for the logs of tasks alone
SERVER = f"http://{names.CODE_SERVER}:{CODE_PORT}"
TASK_LOGS, LOG_DAYS = f"{OURS}/logs", 30
CODE = f"{OURS}/code"  # the versions that a pod has
# A file that is there keeps Airflow from writing one with keys of its own. Airflow 3.2 takes variables of this section
# only when the file has the section.
AIRFLOW_CFG = f"""# Every other setting comes from the environment.
[celery_broker_transport_options]
visibility_timeout = {VISIBILITY_SECONDS}
"""
IN_PODS = files("deployments.dataplane.kubernetes.in_pods")
IN_POD_FILES = ("code_server.py", "code_versions.py", "log_bucket.py", "log_reader.py", "log_store.py")
CODE_SERVER_FILES = (*IN_POD_FILES, "task_log_files.py")
# What Airflow imports: it puts the folder `config` of its home on the path of modules itself.
MODULES = {
    "airdeck_bundle.py": files("deployments.dataplane").joinpath("airflow_bundle.py").read_text(),
    "airdeck_served_bundle.py": IN_PODS.joinpath("served_bundle.py").read_text(),
    "airdeck_logging.py": IN_PODS.joinpath("served_logs.py").read_text(),
}
FILES = {
    "airflow.cfg": AIRFLOW_CFG,
    "probe.py": files("deployments.dataplane.kubernetes.manifests").joinpath("probe.py").read_text(),
    "component.py": files("deployments.dataplane").joinpath("airflow_component.py").read_text(),
    **{name: IN_PODS.joinpath(name).read_text() for name in IN_POD_FILES},
    "task_log_files.py": files("deployments.dataplane").joinpath("task_log_files.py").read_text(),
    **MODULES,
}
# The auth manager, for the API server alone: a change restarts nothing else.
SIGN_IN_FILES = {
    "airdeck_sign_in.py": files("deployments.dataplane").joinpath("airflow_sign_in.py").read_text(),
    "airdeck_auth_manager.py": files("deployments.dataplane").joinpath("airflow_auth_manager.py").read_text(),
}
PEOPLE_FILE = "people"


def objects(inputs: Inputs, pod_template: Manifest | None) -> tuple[Manifest, ...]:
    """Everything that pods read; `pod_template` is that of task pods under the Kubernetes executor."""
    release, secrets = inputs.release, inputs.secrets
    plain, secret_ones = inputs.variables
    found = [
        *task_logs(inputs),
        secret(inputs.meta(names.KEYS), keys(inputs)),
        secret(inputs.meta(names.LOG_READER, names.CODE_SERVER), {TOKEN_KEY: log_reader_token(inputs)}),
        secret(inputs.meta(names.VARIABLES), secret_ones),
        _config_map(inputs, names.VARIABLES, plain),
        _config_map(inputs, names.SETTINGS, settings(inputs)),
        _config_map(inputs, names.FILES, FILES),
        _config_map(inputs, names.SIGN_IN, SIGN_IN_FILES),
    ]
    if bucket := inputs.log_bucket:
        found.append(secret(inputs.meta(names.LOG_BUCKET, names.CODE_SERVER), bucket.keys))
    if inputs.settings.takes_password:
        login = {LOGIN_FILE: json.dumps({"admin": secrets.admin_password}) + "\n"}
        found.append(secret(inputs.meta(names.LOGIN, names.API_SERVER), login))
    if release.executor is Executor.CELERY:
        found.append(secret(inputs.meta(names.REDIS_CONFIG, names.REDIS), redis(inputs)))
    if pod_template is not None:
        # JSON is YAML.
        found.append(
            _config_map(inputs, names.POD_TEMPLATE, {TEMPLATE_FILE: json.dumps(pod_template, indent=1)})
        )
    if inputs.settings.pull_secret_document:
        found.append(pull_secret(inputs.meta(names.REGISTRY), inputs.settings))
    return tuple(found)


def keys(inputs: Inputs) -> dict[str, str]:
    """Our secret variables; each component names those that it gets."""
    secrets = inputs.secrets
    found = {
        DATABASE_URL: sqlalchemy_url(inputs.database_url),
        FERNET_KEY: secrets.fernet_key,
        API_SECRET_KEY: secrets.api_secret_key,
        JWT_SECRET: secrets.jwt_secret,
        CODE_DATABASE: inputs.code_url,
        CODE_TOKEN: derived(secrets, "code token"),
    }
    if inputs.release.executor is Executor.CELERY:
        url = f"redis://:{quote(secrets.redis_password, safe='')}@{names.REDIS}:{REDIS_PORT}/0"
        found |= {BROKER_URL: url, RESULT_BACKEND: url}
    return found


def log_reader_token(inputs: Inputs) -> str:
    """By which the console reads the logs of tasks. A Secret of its own: who reads it gets nothing else."""
    return derived(inputs.secrets, "log reader")


def settings(inputs: Inputs) -> dict[str, str]:
    """The environment of every Airflow pod, task pods included. What only one component reads stands with that
    component, so that a change restarts nothing else."""
    executor = inputs.release.executor
    sections: dict[str, dict[str, str]] = {
        "CORE": {
            "EXECUTOR": f"{executor.value.capitalize()}Executor",
            "LOAD_EXAMPLES": "False",
            "EXECUTION_API_SERVER_URL": f"http://{names.API_SERVER}:{API_PORT}/execution/",
            # Pods have no names in DNS, and the API server fetches logs from the host that a task ran on.
            "HOSTNAME_CALLABLE": "airflow.utils.net.get_host_ip_address",
        },
        "DATABASE": {
            "SQL_ALCHEMY_POOL_SIZE": str(sizes.POOL_SIZE),
            "SQL_ALCHEMY_MAX_OVERFLOW": str(sizes.POOL_OVERFLOW),
        },
        "DAG_PROCESSOR": _bundles(),
        "LOGGING": {
            "BASE_LOG_FOLDER": f"{HOME}/logs",
            "COLORED_CONSOLE_LOG": "False",
            "LOGGING_CONFIG_CLASS": "airdeck_logging.LOGGING_CONFIG",
        },
        "WORKERS": {"EXECUTION_API_TIMEOUT": "30"},
        **({"OPERATORS": {"DEFAULT_QUEUE": DEFAULT_QUEUE}} if executor is Executor.CELERY else {}),
        **({"KUBERNETES_EXECUTOR": _kubernetes_executor(inputs)} if executor is Executor.KUBERNETES else {}),
    }
    if inputs.settings.ingress_domain:
        sections["API"] = {"BASE_URL": inputs.address}
    if executor is Executor.KUBERNETES:
        sections["EXECUTION_API"] = {"JWT_EXPIRATION_TIME": str(TOKEN_SECONDS)}
    found = {
        f"AIRFLOW__{name}__{key}": value
        for name, section in sections.items()
        for key, value in section.items()
    }
    if inputs.behind_proxy:
        # By its name: no list of exceptions that every program reads can hold an address that is not known before.
        found["KUBERNETES_SERVICE_HOST"] = names.KUBERNETES_API
    # The image's entrypoint waits for the database: the console has seen to it, and workers cannot reach it.
    found |= {CODE_SERVER: SERVER, "AIRFLOW_HOME": HOME, "CONNECTION_CHECK_MAX_COUNT": "0"}
    return unless_set(inputs, found)


def _bundles() -> dict[str, str]:
    """The one DAG bundle. Its name is Airflow's own for the DAGs folder and never changes: Airflow forgets what belongs
    to a name that vanishes. Until the first deploy it is the folder of the image."""
    kwargs = {"server": SERVER, "code": CODE, "folder": f"{HOME}/dags"}
    bundle = {"name": BUNDLE, "classpath": "airdeck_served_bundle.ServedBundle", "kwargs": kwargs}
    return {
        "DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "STALE_BUNDLE_CLEANUP_INTERVAL": "0",  # the class itself makes room
    }


def sign_in(inputs: Inputs) -> dict[str, str]:
    """How the API server signs people in."""
    own = {
        "RELEASE": inputs.release.release_name,
        "CONSOLE": inputs.settings.console_urls,
        "SIGN_IN_KEY": inputs.secrets.sign_in_key,
        "PEOPLE": f"{OURS}/people/{PEOPLE_FILE}",
    }
    if inputs.settings.takes_password:
        own["PASSWORD_FILE"] = f"{OURS}/login/{LOGIN_FILE}"
    manager = {"AIRFLOW__CORE__AUTH_MANAGER": "airdeck_auth_manager.AirdeckAuthManager"}
    return manager | {f"AIRFLOW__AIRDECK__{key}": value for key, value in own.items()}


def people(meta: Manifest, text: str) -> Manifest:
    """The list of who may come in, which the API server reads."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {PEOPLE_FILE: text}}


def unless_set(inputs: Inputs, settings: Mapping[str, str]) -> dict[str, str]:
    """`settings` without those that a user may choose otherwise, and has."""
    users = OVERRIDABLE & (inputs.release.environment.keys() | inputs.secrets.variables.keys())
    return {key: value for key, value in settings.items() if key not in users}


def code_server(inputs: Inputs) -> dict[str, str]:
    """The environment of the code server, but for its secrets. Of its volume a tenth is left for what a file system
    needs itself."""
    bucket = inputs.log_bucket
    named = (
        {"AIRDECK_LOG_BUCKET_URL": bucket.url, "AIRDECK_LOG_BUCKET_REGION": bucket.region} if bucket else {}
    )
    return {
        **named,
        "AIRDECK_CODE_CACHE": CODE,
        "AIRDECK_CODE_PORT": str(CODE_PORT),
        "AIRDECK_LOG_BYTES": str(inputs.settings.task_logs_room * 1024**3 * 9 // 10),
        "AIRDECK_LOG_DAYS": str(LOG_DAYS),
        "AIRDECK_LOG_FOLDER": f"{TASK_LOGS}/tasks",
        "AIRDECK_LOG_READER_PORT": str(LOG_READER_PORT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def task_logs(inputs: Inputs) -> tuple[Manifest, ...]:
    """The volume for the logs of tasks, where the cluster has a class for it. It stays as long as the Deployment."""
    if not inputs.settings.task_logs_volume:
        return ()
    room = {"requests": {"storage": f"{inputs.settings.task_logs_gib}Gi"}}
    return (
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": inputs.meta(names.TASK_LOGS, names.CODE_SERVER),
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": room},
        },
    )


def redis(inputs: Inputs) -> dict[str, str]:
    """redis.conf, and the password by itself for the probe."""
    password = inputs.secrets.redis_password
    lines = {
        "port": str(REDIS_PORT),
        "protected-mode": "no",  # others reach it by its Service; the password and the NetworkPolicy guard it
        "requirepass": json.dumps(password),  # quoted as redis.conf wants it
        "dir": "/data",
        "appendonly": "yes",  # queued tasks survive a restart of the container
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    return {"redis.conf": "".join(f"{key} {value}\n" for key, value in lines.items()), "password": password}


def _kubernetes_executor(inputs: Inputs) -> dict[str, str]:
    return {
        "NAMESPACE": inputs.namespace,
        "POD_TEMPLATE_FILE": f"{OURS}/template/{TEMPLATE_FILE}",
        "WORKER_PODS_CREATION_BATCH_SIZE": "16",  # the default starts one pod per scheduler loop
        "TASK_PUBLISH_MAX_RETRIES": "3",  # the default fails a task at the first full quota
    }


def secret(meta: Manifest, values: Mapping[str, str], kind: str = "Opaque") -> Manifest:
    """A Secret. Not by stringData: a key left out of that stays in the Secret for ever under server-side apply."""
    data = {key: b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind, "data": data}


def pull_secret(meta: Manifest, settings: ClusterSettings) -> Manifest:
    """The Secret by which images are pulled."""
    document = {".dockerconfigjson": settings.pull_secret_document}
    return secret(meta, document, kind="kubernetes.io/dockerconfigjson")


def sqlalchemy_url(url: str) -> str:
    """A database's URL as Airflow reads it."""
    return url.replace("postgresql:", "postgresql+psycopg2:", 1)


def _config_map(inputs: Inputs, name: str, values: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": inputs.meta(name), "data": dict(values)}
