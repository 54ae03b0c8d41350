"""What each component of Airflow runs, with which probes, and with which secrets."""

from typing import Any

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest, checksum
from deployments.dataplane.kubernetes.manifests.pods import PodProgram, airflow_pod
from deployments.domain.spec import QueueSpec
from deployments.domain.states import Executor

STARTS_SECONDS = 300  # a first answer may take this long: API servers behind slow disks do (#44159)
COMPONENT = ("python", f"{conf.OURS}/files/component.py")  # in place of `airflow`, for what has a job
BROKER_KEYS = (conf.BROKER_URL, conf.RESULT_BACKEND)


def api_server(inputs: Inputs) -> PodProgram:
    """The API server: one process per pod. Its probes ask for its version, which needs no database: an outage of that
    restarts nothing."""
    settings = {
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__PORT": str(conf.API_PORT),
        "AIRFLOW__API__INSTANCE_NAME": inputs.release.release_name,
        **conf.sign_in(inputs),
        "FORWARDED_ALLOW_IPS": "*",  # the ingress controller; the NetworkPolicy keeps others away
    }
    if inputs.behind_proxy:
        # It fetches logs from the addresses of pods, over plain HTTP; an empty value in small letters is no proxy.
        settings["http_proxy"] = ""
    return PodProgram(
        names.API_SERVER,
        ("api-server", "--proxy-headers"),
        sizes.API_SERVER,
        (conf.DATABASE_URL, conf.FERNET_KEY, conf.JWT_SECRET, conf.API_SECRET_KEY, conf.CODE_TOKEN),
        settings=settings,
        ports={"http": conf.API_PORT},
        probes=_http_probes("/api/v2/version", conf.API_PORT, liveness_period=20),
        spread=True,
        signs_in=True,
        login=inputs.settings.takes_password,
    )


def scheduler(inputs: Inputs) -> PodProgram:
    """A scheduler. Under the Local executor it runs the tasks, so it gets as long to end as a worker. With Celery it
    sends what it has queued before it ends (`component.py`)."""
    executor = inputs.release.executor
    local, celery = executor is Executor.LOCAL, executor is Executor.CELERY
    settings = {
        "AIRFLOW__CORE__PARALLELISM": str(inputs.release.parallelism),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(conf.SCHEDULER_HEALTH_PORT),
    }
    if celery:
        # SIGTERM then reaches the scheduler alone, and not the processes that send tasks for it.
        settings["DUMB_INIT_SETSID"] = "0"
    ports = {"health": conf.SCHEDULER_HEALTH_PORT, **({"logs": conf.WORKER_LOG_PORT} if local else {})}
    own: dict[Executor, tuple[str, ...]] = {
        Executor.CELERY: BROKER_KEYS,
        Executor.LOCAL: (conf.API_SECRET_KEY, conf.CODE_TOKEN),
        Executor.KUBERNETES: (),
    }
    template = checksum(task_pod(inputs)) if executor is Executor.KUBERNETES else ""
    return PodProgram(
        names.SCHEDULER,
        (*COMPONENT, "scheduler"),
        inputs.release.scheduler,
        (conf.DATABASE_URL, conf.FERNET_KEY, conf.JWT_SECRET, *own[executor]),
        settings=conf.unless_set(inputs, settings),
        ports=ports,
        probes=_http_probes("/health", conf.SCHEDULER_HEALTH_PORT, liveness_period=60),
        grace=inputs.settings.worker_grace if local else 60,
        spread=True,
        keep=local,
        pod_template=template,
    )


def dag_processor(inputs: Inputs) -> PodProgram:
    """The DAG processor."""
    probes = _exec_probes("job", "DagProcessorJob")
    return PodProgram(
        names.DAG_PROCESSOR,
        (*COMPONENT, "dag-processor"),
        sizes.DAG_PROCESSOR,
        (conf.DATABASE_URL, conf.FERNET_KEY, conf.API_SECRET_KEY, conf.CODE_TOKEN),
        probes=probes,
    )


def triggerer(inputs: Inputs) -> PodProgram:
    """A triggerer; it serves the logs of its triggers."""
    return PodProgram(
        names.TRIGGERER,
        (*COMPONENT, "triggerer"),
        sizes.TRIGGERER,
        (conf.DATABASE_URL, conf.FERNET_KEY, conf.API_SECRET_KEY, conf.CODE_TOKEN),
        ports={"logs": conf.TRIGGERER_LOG_PORT},
        probes=_exec_probes("job", "TriggererJob"),
        spread=True,
    )


def worker(inputs: Inputs, queue: QueueSpec) -> PodProgram:
    """A Celery worker of one queue. Asked to end it finishes its tasks, for as long as the grace lasts. Redis knows it
    by its pod's name."""
    arguments = ("celery", "worker", "--queues", queue.name, "--concurrency", str(queue.concurrency))
    return PodProgram(
        names.WORKER,
        (*arguments, "--without-gossip", "--without-mingle"),
        queue.size,
        (conf.FERNET_KEY, conf.API_SECRET_KEY, conf.CODE_TOKEN, *BROKER_KEYS),
        settings={
            # SIGTERM then reaches the worker alone and not its tasks: a warm shutdown.
            "DUMB_INIT_SETSID": "0",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__CLIENT_NAME": "$(POD_NAME)",
        },
        ports={"logs": conf.WORKER_LOG_PORT},
        probes=_exec_probes("worker"),
        queue=queue.name,
        grace=inputs.settings.worker_grace,
        keep=True,
    )


def task_pod(inputs: Inputs) -> Manifest:
    """The pod of one task under the Kubernetes executor, which fills in name and arguments. Airflow wants the container
    to be called `base`."""
    keys = (conf.FERNET_KEY, conf.CODE_TOKEN)
    program = PodProgram(names.TASK, (), sizes.TASK, keys, grace=inputs.settings.worker_grace, keep=True)
    pod = airflow_pod(inputs, program)
    pod["spec"]["restartPolicy"] = "Never"
    pod["spec"]["containers"][0]["name"] = "base"
    # No one restarts a task's pod for a new setting.
    del pod["metadata"]["annotations"][names.ANNOTATION_CHECKSUM]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": names.TASK, **pod["metadata"]},
        "spec": pod["spec"],
    }


def _http_probes(path: str, port: int, *, liveness_period: int) -> dict[str, Any]:
    ask = {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 20}
    return _probes(ask, ask, liveness_period)


def _exec_probes(*question: str) -> dict[str, Any]:
    command = ["python", f"{conf.OURS}/files/probe.py", *question]
    ask = {"exec": {"command": command}, "timeoutSeconds": 30}
    lenient = {"exec": {"command": [*command, "--lenient"]}, "timeoutSeconds": 30}
    return _probes(ask, lenient, 60)


def _probes(ask: Manifest, lenient: Manifest, liveness_period: int) -> dict[str, Any]:
    return {
        "startupProbe": {**ask, "periodSeconds": 5, "failureThreshold": STARTS_SECONDS // 5},
        "readinessProbe": {**ask, "periodSeconds": 15, "failureThreshold": 3},
        "livenessProbe": {**lenient, "periodSeconds": liveness_period, "failureThreshold": 5},
    }
