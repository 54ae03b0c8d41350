"""What each program of a Deployment runs and with which environment. Pure: no I/O, no clock.

Values were checked against the configuration reference of Airflow 3.2.2 and 3.3.2
(config_templates/config.yml). Later lines win: this machine's base, then what is only a default, then the user's
plain variables, then the secret ones, then ours. `deployments.variables` refuses the names that are ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as files_of
from pathlib import Path
from urllib.parse import quote

from deployments.dataplane.code import BUNDLE as BUNDLE_NAME
from deployments.dataplane.local import sign_in
from deployments.dataplane.local.program_names import API_SERVER, DAG_PROCESSOR, REDIS, TRIGGERER
from deployments.dataplane.local.supervisor.specs import DEPLOYMENT_TAG, STATE_TAG, Spec
from deployments.domain.proxies import completed
from deployments.domain.spec import DEFAULT_QUEUE, QueueSpec, Release, Secrets
from deployments.domain.states import Executor

AIRFLOW = ("-m", "airflow")
# Connections to the metadata database. Only the API server, the schedulers, the DAG processor and the
# triggerer open any: in Airflow 3 tasks speak to the API server. Measured: 4 when idle, 6 while a task runs.
POOL_SIZE, POOL_OVERFLOW = 3, 7
# So that readiness can ask for a heartbeat that advanced, not just began, at the price of 2 s in place of 5.
HEARTBEAT_SECONDS = 2
TASK_VISIBILITY_SECONDS = (
    86_400  # Celery hands a task out again after this; Airflow's own default for Redis URLs
)
# A file that is there keeps Airflow from writing one, with generated secrets in it, four times at once.
# Airflow 3.2 takes this section's variables only when the file has the section.
AIRFLOW_CFG = f"""# Every other setting comes from the environment.
[celery_broker_transport_options]
visibility_timeout = {TASK_VISIBILITY_SECONDS}
"""

# What we choose and a user's variable may choose otherwise.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "CORE": {"LOAD_EXAMPLES": "False"},
    # A DAG put into the folder is parsed within about ten seconds.
    "DAG_PROCESSOR": {
        "REFRESH_INTERVAL": "5",
        "MIN_FILE_PROCESS_INTERVAL": "15",
        "BUNDLE_REFRESH_CHECK_INTERVAL": "2",
    },
    # A busy laptop may take longer than the default of 5 s to answer its own tasks.
    "WORKERS": {"EXECUTION_API_TIMEOUT": "30"},
}
CELERY_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "OPERATORS": {"DEFAULT_QUEUE": DEFAULT_QUEUE},
    # The scheduler sends tasks itself. Helpers that send them would end at once when its process group is asked to end.
    "CELERY": {"SYNC_PARALLELISM": "1"},
}
COMPONENT = files_of("deployments.dataplane").joinpath("airflow_component.py").read_text()
BUNDLE = files_of("deployments.dataplane").joinpath("airflow_bundle.py").read_text()


@dataclass(frozen=True, repr=False)
class Layout:
    """Where a Deployment lives on this machine. `database_url` holds a password: never logged."""

    state_dir: Path
    folder: Path
    python: Path
    redis_server: Path
    redis_socket: Path
    port: int
    console_port: int
    database_url: str
    base: Mapping[str, str] = field(default_factory=dict)
    console_urls: str = ""  # where browsers reach the console, apart by spaces
    takes_password: bool = False  # the API server takes the password of last resort too
    warm: Mapping[str, str] | None = None  # the runtime's warm parent, see `steps/warm_parents.py`
    fence: Mapping[str, object] | None = None  # what confines every program, see `steps/fencing.py`

    @property
    def dags(self) -> Path:
        """Where people put their DAGs."""
        return self.folder / "dags"

    def plugins(self, release: Release) -> Path:
        """Airflow's plugins: those of the deployed project, or what people put into a folder. Another path whenever
        they differ, so that every component restarts then, and only then."""
        digest = release.code.plugins if release.code else ""
        return self.folder / "code" / "plugins" / digest if digest else self.folder / "plugins"

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME, and the working folder of every program."""
        return self.folder / "home"

    @property
    def component(self) -> Path:
        """What runs as scheduler, DAG processor and triggerer."""
        return self.folder / "component.py"

    @property
    def bundle(self) -> Path:
        """The class of the DAG bundle. Airflow itself puts `home/config`, a link to this folder, on the path of
        modules, behind the user's."""
        return self.folder / "config" / "airdeck_bundle.py"

    @property
    def airflow_config(self) -> Path:
        """airflow.cfg, where only we write."""
        return self.folder / "config" / "airflow.cfg"

    @property
    def redis_config(self) -> Path:
        """redis.conf; it holds the password."""
        return self.folder / "secrets" / "redis.conf"


def connection_limit(release: Release) -> int:
    """How many connections the Deployment's role may hold: four pools half full and one per further
    scheduler."""
    return 4 * POOL_SIZE + 2 * POOL_OVERFLOW + (release.scheduler_replicas - 1) * (POOL_SIZE + POOL_OVERFLOW)


def instances(release: Release) -> dict[str, int]:
    """Instances by component, for `look`; those of workers change with the load and are counted there."""
    desired = {API_SERVER: 1, "scheduler": release.scheduler_replicas, DAG_PROCESSOR: 1, TRIGGERER: 1}
    if release.executor is Executor.CELERY:
        desired |= {REDIS: 1, **{f"worker-{queue.name}": 0 for queue in release.queues}}
    return desired


def worker_name(queue: str, slot: int) -> str:
    """The program that is the `slot`-th worker of a queue."""
    return f"worker-{queue}-{slot:02d}"


def static_specs(release: Release, secrets: Secrets, layout: Layout) -> dict[str, Spec]:
    """Every program but the Celery workers, by name."""
    environment = airflow_environment(release, secrets, layout)
    # Nothing but the API server lets anybody in.
    signing_in = sign_in.settings(
        release.release_name,
        secrets,
        layout.folder,
        layout.console_urls,
        takes_password=layout.takes_password,
    )
    specs = {API_SERVER: _airflow(layout, environment | _named(signing_in), *_api_server_arguments(layout))}
    # Nothing else reads it (checked in 3.2.2 and 3.3.2), so another number of workers restarts the scheduler alone.
    # A user may pin it.
    scheduling = {"AIRFLOW__CORE__PARALLELISM": str(release.parallelism), **environment}
    celery = release.executor is Executor.CELERY
    run = (str(layout.component),)
    for number in range(1, release.scheduler_replicas + 1):
        specs[f"scheduler-{number}"] = _airflow(layout, scheduling, "scheduler", "--skip-serve-logs", run=run)
    specs[DAG_PROCESSOR] = _airflow(layout, environment, "dag-processor", run=run)
    specs[TRIGGERER] = _airflow(layout, environment, "triggerer", "--skip-serve-logs", run=run)
    if celery:
        argv = (str(layout.redis_server), str(layout.redis_config))
        environment = {**layout.base, **_tags(release, layout)}
        specs[REDIS] = Spec(argv, layout.folder / "redis", environment, fence=layout.fence)
    return specs


def worker_spec(release: Release, secrets: Secrets, layout: Layout, *, queue: QueueSpec, slot: int) -> Spec:
    """One Celery worker. Logs are on one disk, so it serves none."""
    name = worker_name(queue.name, slot)
    environment = {
        **airflow_environment(release, secrets, layout),
        # By this name Redis knows which workers are connected (`health`).
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__CLIENT_NAME": name,
    }
    arguments = ("celery", "worker", "--queues", queue.name, "--concurrency", str(queue.concurrency))
    flags = ("--celery-hostname", name, "--skip-serve-logs", "--without-gossip", "--without-mingle")
    return _airflow(layout, environment, *arguments, *flags)


def files(secrets: Secrets, layout: Layout) -> dict[Path, str]:
    """The files that programs read, by path; private."""
    redis_config = {
        "port": "0",
        "unixsocket": f'"{layout.redis_socket}"',
        "unixsocketperm": "700",
        "requirepass": json.dumps(secrets.redis_password),  # quoted as redis.conf wants it
        "dir": f'"{layout.folder / "redis"}"',
        "appendonly": "yes",  # queued tasks survive a restart of Redis
        "save": '""',
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    return {
        layout.airflow_config: AIRFLOW_CFG,
        layout.component: COMPONENT,
        layout.bundle: BUNDLE,
        layout.redis_config: "".join(f"{key} {value}\n" for key, value in redis_config.items()),
        **sign_in.files(secrets, layout.folder, layout.bundle.parent, takes_password=layout.takes_password),
    }


def default_variables() -> dict[str, str]:
    """What every Deployment has unless its own variables say otherwise."""
    return _named(DEFAULTS)


def airflow_environment(release: Release, secrets: Secrets, layout: Layout) -> dict[str, str]:
    """The whole environment of an Airflow process of this Deployment."""
    celery = _celery(secrets, layout) if release.executor is Executor.CELERY else {}
    # Tasks ask the API server at 127.0.0.1.
    plain, secret = completed(release.environment, secrets.variables, (f"{release.release_name}.localhost",))
    sections = {
        "CORE": _core(release, secrets, layout),
        "DATABASE": {
            "SQL_ALCHEMY_CONN": layout.database_url.replace("postgresql:", "postgresql+psycopg2:", 1),
            "SQL_ALCHEMY_POOL_SIZE": str(POOL_SIZE),
            "SQL_ALCHEMY_MAX_OVERFLOW": str(POOL_OVERFLOW),
        },
        "API": _api(release, secrets, layout),
        "API_AUTH": {"JWT_SECRET": secrets.jwt_secret},
        "SCHEDULER": {
            "SCHEDULER_HEARTBEAT_SEC": str(HEARTBEAT_SECONDS),
            "JOB_HEARTBEAT_SEC": str(HEARTBEAT_SECONDS),
        },
        "TRIGGERER": {"JOB_HEARTBEAT_SEC": str(HEARTBEAT_SECONDS)},
        "LOGGING": {
            "BASE_LOG_FOLDER": str(layout.folder / "logs" / "tasks"),
            "DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(layout.folder / "logs" / "dags"),
            "COLORED_CONSOLE_LOG": "False",
        },
        **celery,
    }
    return {
        **layout.base,
        **_named(DEFAULTS),
        **_named({"DAG_PROCESSOR": _bundles(layout)}),
        **(_named(CELERY_DEFAULTS) if celery else {}),
        **plain,
        **secret,
        **_named(sections),
        "AIRFLOW_HOME": str(layout.home),
        "AIRFLOW_CONFIG": str(layout.airflow_config),
        "SPT_NOENV": "1",  # keeps setproctitle from overwriting the environment, by which orphans are known
        **_tags(release, layout),
    }


def _named(sections: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"AIRFLOW__{s}__{key}": value for s, values in sections.items() for key, value in values.items()}


def _api(release: Release, secrets: Secrets, layout: Layout) -> dict[str, str]:
    return {
        "BASE_URL": f"http://{release.release_name}.localhost:{layout.console_port}",
        "HOST": "127.0.0.1",
        "PORT": str(layout.port),
        "WORKERS": "1",
        "SECRET_KEY": secrets.api_secret_key,
        "INSTANCE_NAME": release.release_name,
    }


def _core(release: Release, secrets: Secrets, layout: Layout) -> dict[str, str]:
    return {
        "EXECUTOR": "CeleryExecutor" if release.executor is Executor.CELERY else "LocalExecutor",
        "DAGS_FOLDER": str(layout.dags),
        "PLUGINS_FOLDER": str(layout.plugins(release)),
        "FERNET_KEY": secrets.fernet_key,
        # Tasks reach the API server directly, not through the console.
        "EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{layout.port}/execution/",
        # The default asks DNS for the full name, seconds on a machine without one.
        "HOSTNAME_CALLABLE": "socket.gethostname",
    }


def _bundles(layout: Layout) -> dict[str, str]:
    """The one DAG bundle. Its name is Airflow's own for the DAGs folder and never changes: Airflow forgets what belongs
    to a name that vanishes. Who names bundles of their own gets those, and no deploys."""
    kwargs = {
        "code": str(layout.folder / "code"),
        "folder": str(layout.dags),
        "parsed": str(layout.home / "parsed"),
    }
    bundle = {"name": BUNDLE_NAME, "classpath": "airdeck_bundle.AirdeckBundle", "kwargs": kwargs}
    return {
        "DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "DAG_BUNDLE_STORAGE_PATH": str(layout.home / "bundles"),  # the default is shared by all on a machine
        "STALE_BUNDLE_CLEANUP_INTERVAL": "0",  # `local/code/store.py` knows which versions are still needed
    }


def _celery(secrets: Secrets, layout: Layout) -> dict[str, dict[str, str]]:
    url = f"redis+socket://:{quote(secrets.redis_password, safe='')}@{quote(str(layout.redis_socket))}"
    return {"CELERY": {"BROKER_URL": url, "RESULT_BACKEND": url}}


def _api_server_arguments(layout: Layout) -> tuple[str, ...]:
    # Proxy headers are trusted from 127.0.0.1 alone, where the console's proxy is.
    return ("api-server", "--host", "127.0.0.1", "--port", str(layout.port), "--proxy-headers")


def _airflow(
    layout: Layout, environment: Mapping[str, str], *arguments: str, run: tuple[str, ...] = AIRFLOW
) -> Spec:
    return Spec((str(layout.python), *run, *arguments), layout.home, environment, layout.warm, layout.fence)


def _tags(release: Release, layout: Layout) -> dict[str, str]:
    return {STATE_TAG: str(layout.state_dir), DEPLOYMENT_TAG: release.release_name}
