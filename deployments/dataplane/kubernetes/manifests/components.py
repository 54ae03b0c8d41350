"""What runs: a Kubernetes Deployment for each component and each worker queue.

A hibernating Deployment keeps all of them, at no replicas: waking is then one field, nothing is pruned, workers end
with the grace that they always have, and the address, the quota and the keys stay where they are.
"""

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import programs, sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest, checksum
from deployments.dataplane.kubernetes.manifests.pods import (
    AIRFLOW_UID,
    CODE_LIMIT,
    REDIS_UID,
    PodProgram,
    airflow_pod,
    base_spec,
    locked_down,
)
from deployments.domain.states import Executor

ONE_MORE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
# New workers start beside the old ones, which finish their tasks.
ALL_MORE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
REPLACE = {"type": "Recreate"}
PROGRESS_SECONDS = 600  # the startup budget, and as long for a node and an image


def objects(inputs: Inputs) -> tuple[Manifest, ...]:
    """One Deployment per component: what others need first, workers last."""
    return (_code_server(inputs), *_control(inputs), *_redis(inputs), *_workers(inputs))


def _control(inputs: Inputs) -> list[Manifest]:
    count = sizes.replicas(inputs.release)
    each = (
        programs.api_server(inputs),
        programs.scheduler(inputs),
        programs.dag_processor(inputs),
        programs.triggerer(inputs),
    )
    return [
        _airflow(inputs, program, replicas=count[program.component], strategy=ONE_MORE) for program in each
    ]


def _workers(inputs: Inputs) -> list[Manifest]:
    """Where KEDA scales, or the caller leaves a queue out of `workers`, `replicas` is not sent: it has an owner."""
    owned = {} if inputs.settings.keda else inputs.workers
    if inputs.release.hibernating and not inputs.settings.keda:
        owned = dict.fromkeys((queue.name for queue in inputs.release.queues), 0)
    return [
        _airflow(inputs, programs.worker(inputs, queue), replicas=owned.get(queue.name), strategy=ALL_MORE)
        for queue in inputs.release.queues
    ]


def _airflow(inputs: Inputs, program: PodProgram, *, replicas: int | None, strategy: Manifest) -> Manifest:
    name = names.worker(program.queue) if program.queue else program.component
    template = airflow_pod(inputs, program)
    return _workload(
        inputs, name, program.component, template, program.queue, replicas=replicas, strategy=strategy
    )


def _workload(
    inputs: Inputs,
    name: str,
    component: str,
    template: Manifest,
    queue: str = "",
    *,
    replicas: int | None,
    strategy: Manifest,
) -> Manifest:
    spec: Manifest = {
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
        "selector": {"matchLabels": names.selector(inputs.ref, component, queue=queue)},
        "strategy": strategy,
        "template": template,
    }
    if replicas is not None:
        spec["replicas"] = 0 if inputs.release.hibernating else replicas
    meta = inputs.meta(name, component, queue=queue)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _redis(inputs: Inputs) -> tuple[Manifest, ...]:
    """Celery's broker. What it holds lives as long as its pod: Airflow queues a task again when a new, empty one
    takes its place ([scheduler] task_queued_timeout, 600 s). One at a time: two would split the queue."""
    if inputs.release.executor is not Executor.CELERY:
        return ()
    template = {
        "metadata": {
            "labels": names.labels(inputs.ref, names.REDIS),
            "annotations": {names.ANNOTATION_CHECKSUM: inputs.mark(conf.redis(inputs)["redis.conf"])},
        },
        "spec": {
            **base_spec(inputs.settings, names.REDIS, uid=REDIS_UID, gid=REDIS_UID),
            "containers": [_redis_container(inputs)],
            "volumes": [
                {"name": "config", "secret": {"secretName": names.REDIS_CONFIG, "defaultMode": 0o440}},
                {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}},
            ],
        },
    }
    return (_workload(inputs, names.REDIS, names.REDIS, template, replicas=1, strategy=REPLACE),)


def _redis_container(inputs: Inputs) -> Manifest:
    # -e: an answer such as LOADING counts as a failure. The password comes from the environment, not from arguments.
    ping = {"exec": {"command": ["redis-cli", "-e", "ping"]}, "timeoutSeconds": 5, "periodSeconds": 10}
    password = {"name": names.REDIS_CONFIG, "key": "password"}
    return {
        "name": names.REDIS,
        "image": inputs.settings.image(inputs.settings.redis_image),
        "args": ["redis-server", "/etc/redis/redis.conf"],
        "env": [{"name": "REDISCLI_AUTH", "valueFrom": {"secretKeyRef": password}}],
        "ports": [{"name": "redis", "containerPort": conf.REDIS_PORT, "protocol": "TCP"}],
        "resources": sizes.resources(sizes.REDIS),
        "securityContext": {**locked_down(), "readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/redis", "readOnly": True},
            {"name": "data", "mountPath": "/data"},
        ],
        "readinessProbe": {**ping, "failureThreshold": 3},
        "livenessProbe": {**ping, "failureThreshold": 6},
    }


def _code_server(inputs: Inputs) -> Manifest:
    """Hands deployed code to the others. It runs on the runtime's image, which every node has, and with nothing of the
    user's: no variables, no Airflow. Its archives go with its pod, and come back from Postgres. One at a time: the
    volume for logs is one pod's."""
    keys, marks = conf.keys(inputs), (conf.CODE_DATABASE, conf.CODE_TOKEN)
    bucket = inputs.log_bucket
    read = {
        "files": [conf.FILES[name] for name in conf.CODE_SERVER_FILES],
        "settings": conf.code_server(inputs),
        "keys": {key: inputs.mark(keys[key]) for key in marks},
        "log_reader": inputs.mark(conf.log_reader_token(inputs)),
        **({"log_bucket": inputs.mark(*bucket.keys.values())} if bucket else {}),
    }
    template = {
        "metadata": {
            "labels": names.labels(inputs.ref, names.CODE_SERVER),
            "annotations": {names.ANNOTATION_CHECKSUM: checksum(read)},
        },
        "spec": {
            **base_spec(inputs.settings, names.CODE_SERVER, uid=AIRFLOW_UID, gid=0),
            "containers": [_code_server_container(inputs)],
            "volumes": [
                {"name": "files", "configMap": {"name": names.FILES}},
                {"name": "cache", "emptyDir": {"sizeLimit": CODE_LIMIT}},
                {"name": "logs", **_log_volume(inputs)},
            ],
        },
    }
    return _workload(inputs, names.CODE_SERVER, names.CODE_SERVER, template, replicas=1, strategy=REPLACE)


def _log_volume(inputs: Inputs) -> Manifest:
    """Without a default StorageClass logs outlive the pods of tasks, and not that of the code server."""
    if inputs.settings.task_logs_volume:
        return {"persistentVolumeClaim": {"claimName": names.TASK_LOGS}}
    return {"emptyDir": {"sizeLimit": f"{inputs.settings.task_logs_room}Gi"}}


def _code_server_container(inputs: Inputs) -> Manifest:
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": names.KEYS, "key": key}}}
        for key in (conf.CODE_DATABASE, conf.CODE_TOKEN)
    ]
    token = {"secretKeyRef": {"name": names.LOG_READER, "key": conf.TOKEN_KEY}}
    secret.append({"name": conf.LOG_READER_TOKEN, "valueFrom": token})
    if bucket := inputs.log_bucket:
        secret += [
            {
                "name": f"AIRDECK_LOG_BUCKET_{key.upper()}",
                "valueFrom": {"secretKeyRef": {"name": names.LOG_BUCKET, "key": key}},
            }
            for key in bucket.keys
        ]
    plain = [{"name": key, "value": value} for key, value in sorted(conf.code_server(inputs).items())]
    ready = {"httpGet": {"path": "/ready", "port": conf.CODE_PORT}, "timeoutSeconds": 10}
    # Alive as long as it listens: an outage of the database restarts nothing.
    alive = {"tcpSocket": {"port": conf.CODE_PORT}, "timeoutSeconds": 10}
    return {
        "name": names.CODE_SERVER,
        "image": inputs.runtime_image,  # never one of the user's: it may read the code of the Deployment
        "command": ["python", f"{conf.OURS}/files/{conf.CODE_SERVER_FILES[0]}"],
        "env": [*secret, *plain],
        "ports": [
            {"name": "code", "containerPort": conf.CODE_PORT, "protocol": "TCP"},
            {"name": names.LOGS_PORT, "containerPort": conf.LOG_READER_PORT, "protocol": "TCP"},
        ],
        "resources": sizes.resources(sizes.CODE_SERVER),
        "securityContext": {**locked_down(), "readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "files", "mountPath": f"{conf.OURS}/files", "readOnly": True},
            {"name": "cache", "mountPath": conf.CODE},
            {"name": "logs", "mountPath": conf.TASK_LOGS},
        ],
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**alive, "periodSeconds": 20, "failureThreshold": 6},
    }
