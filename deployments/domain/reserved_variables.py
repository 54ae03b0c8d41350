"""Environment variables that Airdeck sets itself, each with what to use instead. Pure: no Django, no I/O.

deployments/tests/domain/test_variables.py holds that no name that a data plane sets is missing here.
"""

from collections.abc import Mapping

from deployments.domain.launch_variables import why_no_name

_CELERY_OPTIONS = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"
_LOGIN = "Airdeck signs people in to Airflow, with the role that they have in the Workspace. There is nothing to set."
_DATABASE = "Airdeck makes the metadata database and connects Airflow to it. There is nothing to set."
_KEYS = "Airdeck generates this key once and keeps it encrypted, so that what Airflow stored stays readable."
_ADDRESS = (
    "Airdeck decides at which addresses Airflow answers. Open its UI with the button on the Overview page."
)
_BROKER = "Airdeck runs the broker between scheduler and workers. Set the worker queues instead."
_TASK_LOGS = "Airdeck keeps logs where its Logs page and the Airflow UI read them. There is nothing to set."
_METRICS = (
    "Airdeck reads health from Airflow itself. Use AIRFLOW__METRICS__OTEL_ON to export metrics of your own."
)
_HEALTH = "Airdeck judges health by this heartbeat, so it sets the interval itself."
_FILES = "Airdeck decides where files are. The Overview page names the folder for DAGs."
_LINEAGE = "Use AIRFLOW__OPENLINEAGE__TRANSPORT, which holds address and key in one JSON value."
_AWS = "Use an Airflow connection instead: AIRFLOW_CONN_AWS_DEFAULT holds key, secret and region."
_START = "Airdeck needs it to start Airflow. Name your own paths in a variable of another name."
_QUEUE = "Set Concurrency of the worker queue instead."
_UI = "The Airflow UI carries the release name, so that people see which Deployment they are in."
_EXECUTOR = "Choose the executor with Edit on the Overview page instead."
_NAMESPACE = "The namespace is the Deployment's release name, which never changes."

# Sentence -> the names it refuses, with Airflow 2's names beside Airflow 3's, since people bring them along.
_REFUSED: tuple[tuple[str, str], ...] = (
    (_EXECUTOR, "AIRFLOW__CORE__EXECUTOR"),
    (_FILES, "AIRFLOW_HOME AIRFLOW_CONFIG AIRFLOW__CORE__DAGS_FOLDER AIRFLOW__CORE__PLUGINS_FOLDER"),
    (
        _KEYS,
        "AIRFLOW__CORE__FERNET_KEY AIRFLOW__API__SECRET_KEY AIRFLOW__WEBSERVER__SECRET_KEY "
        "AIRFLOW__API_AUTH__JWT_SECRET AIRFLOW__API_AUTH__JWT_PRIVATE_KEY_PATH "
        "AIRFLOW__API_AUTH__TRUSTED_JWKS_URL AIRFLOW__API_AUTH__JWT_ALGORITHM",
    ),
    (
        _DATABASE,
        "AIRFLOW_CONN_AIRFLOW_DB AIRFLOW__DATABASE__SQL_ALCHEMY_CONN AIRFLOW__CORE__SQL_ALCHEMY_CONN "
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA "
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW "
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED",
    ),
    (
        _LOGIN,
        "AIRFLOW__API_AUTH__JWT_AUDIENCE AIRFLOW__API_AUTH__JWT_ISSUER AIRFLOW__API__JWT_AUDIENCE "
        "AIRFLOW__CORE__AUTH_MANAGER AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS "
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS "
        "AIRFLOW__WEBSERVER__UPDATE_FAB_PERMS AIRFLOW__FAB__UPDATE_FAB_PERMS",
    ),
    (
        _ADDRESS,
        "AIRFLOW__API__BASE_URL AIRFLOW__API__HOST AIRFLOW__API__PORT "
        "AIRFLOW__API__PROXY_FIX_ENABLED AIRFLOW__API__SSL_CERT AIRFLOW__API__SSL_KEY "
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL AIRFLOW__CORE__HOSTNAME_CALLABLE "
        "AIRFLOW__WEBSERVER__BASE_URL AIRFLOW__WEBSERVER__ENABLE_PROXY_FIX AIRFLOW__FAB__ENABLE_PROXY_FIX "
        "AIRFLOW__WEBSERVER__COOKIE_SECURE AIRFLOW__FAB__COOKIE_SECURE",
    ),
    (
        _UI,
        "AIRFLOW__API__INSTANCE_NAME AIRFLOW__WEBSERVER__INSTANCE_NAME AIRFLOW__WEBSERVER__NAVBAR_COLOR "
        "AIRFLOW__FAB__NAVBAR_COLOR",
    ),
    (
        "The whole configuration holds secrets, so it is not shown in the Airflow UI.",
        "AIRFLOW__API__EXPOSE_CONFIG AIRFLOW__WEBSERVER__EXPOSE_CONFIG",
    ),
    ("Airdeck runs one process per API server. There is nothing to set.", "AIRFLOW__API__WORKERS"),
    (_QUEUE, "AIRFLOW__CELERY__WORKER_CONCURRENCY AIRFLOW__CELERY__WORKER_AUTOSCALE"),
    (
        _BROKER,
        "AIRFLOW__CELERY__BROKER_URL AIRFLOW__CELERY__RESULT_BACKEND "
        f"{_CELERY_OPTIONS}CLIENT_NAME {_CELERY_OPTIONS}VISIBILITY_TIMEOUT {_CELERY_OPTIONS}MASTER_NAME "
        f"{_CELERY_OPTIONS}SENTINEL_KWARGS {_CELERY_OPTIONS}GLOBAL_KEYPREFIX {_CELERY_OPTIONS}SEP "
        f"{_CELERY_OPTIONS}PRIORITY_STEPS {_CELERY_OPTIONS}QUEUE_ORDER_STRATEGY",
    ),
    (_NAMESPACE, "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE AIRFLOW__KUBERNETES__NAMESPACE"),
    (
        "Airdeck writes the template of task pods. Use executor_config in a DAG to change the pod of a task.",
        "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE AIRFLOW__KUBERNETES__POD_TEMPLATE_FILE",
    ),
    (
        "Tasks prove to the API server who they are with tokens that Airdeck gives long enough a life.",
        "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME",
    ),
    (_START, "POD_NAME POD_IP FORWARDED_ALLOW_IPS DUMB_INIT_SETSID CONNECTION_CHECK_MAX_COUNT"),
    (
        _TASK_LOGS,
        "AIRFLOW_CONN_ASTRO_S3_LOGGING AIRFLOW__LOGGING__REMOTE_LOGGING "
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID "
        "AIRFLOW__LOGGING__ENCRYPT_S3_LOGS AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS "
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER AIRFLOW__LOGGING__DAG_PROCESSOR_LOG_TARGET "
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY AIRFLOW__LOGGING__COLORED_CONSOLE_LOG "
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
    ),
    (
        _METRICS,
        "AIRFLOW__METRICS__STATSD_ON AIRFLOW__METRICS__STATSD_HOST AIRFLOW__METRICS__STATSD_PORT "
        "AIRFLOW__METRICS__STATSD_PREFIX AIRFLOW__SCHEDULER__STATSD_ON AIRFLOW__SCHEDULER__STATSD_HOST "
        "AIRFLOW__SCHEDULER__STATSD_PORT",
    ),
    (
        _HEALTH,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC "
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK "
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
    ),
    (
        "Choose the worker type of the worker queue instead.",
        "INSTANCE_TYPE",
    ),
    (_LINEAGE, "OPENLINEAGE_URL OPENLINEAGE_API_KEY"),
    (_AWS, "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION"),
    (_START, "PATH HOME SPT_NOENV"),
)
RESERVED: Mapping[str, str] = {name: why for why, names in _REFUSED for name in names.split()}
# What a data plane sets and a user may set otherwise: theirs then stands.
OVERRIDABLE = frozenset(
    {
        "AIRFLOW__CORE__PARALLELISM",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL",
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_INTERVAL",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT",
        "AIRFLOW__OPERATORS__DEFAULT_QUEUE",
        "AIRFLOW__CELERY__SYNC_PARALLELISM",
        "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_PODS_CREATION_BATCH_SIZE",
        "AIRFLOW__KUBERNETES_EXECUTOR__TASK_PUBLISH_MAX_RETRIES",
    }
)
# Families whose every name is ours or the system's.
_FAMILIES: tuple[tuple[str, str], ...] = (
    ("_AIRFLOW_", "Airflow sets it for its own processes. There is nothing to set."),
    ("__AIRFLOW_", "Airflow sets it for its own processes. There is nothing to set."),
    ("AIRFLOW__AIRDECK__", _LOGIN),
    ("AIRDECK_", "Names that begin with AIRDECK_ are Airdeck's own. Choose another name."),
    (
        "KUBERNETES_SERVICE_",
        "Kubernetes sets it, so that Airflow finds its cluster. There is nothing to set.",
    ),
    ("KUBERNETES_PORT", "Kubernetes sets it, so that Airflow finds its cluster. There is nothing to set."),
    ("SUPERVISOR_", "Airdeck's process supervisor sets it. There is nothing to set."),
)


def reserved(key: str) -> str:
    """The sentence with which a name that is not the user's to set is refused; "" for all others."""
    for prefix, sentence in _FAMILIES:
        if key.startswith(prefix):
            return f"{key} cannot be set here. {sentence}"
    # Airflow also reads options from NAME_CMD and NAME_SECRET: for those of ours NAME's sentence says more.
    for suffix in ("", "_CMD", "_SECRET"):
        if key.endswith(suffix) and (sentence := RESERVED.get(key.removesuffix(suffix), "")):
            return f"{key} cannot be set here. {sentence}"
    if sentence := why_no_name(key):
        return f"{key} cannot be set here. {sentence}"
    return ""
