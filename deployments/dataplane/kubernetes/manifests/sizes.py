"""How large each component is and how many there are; and what all of it may use at once."""

from dataclasses import dataclass

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.spec import Release, Size, au_size
from deployments.domain.states import Executor

# Sizes that no one chooses, in Astronomer Units as Astronomer Software ships them: web server and triggerer 5, Redis 2.
# The DAG processor is the part of the scheduler that Airflow 3 split off, so it gets a scheduler's least size.
API_SERVER = DAG_PROCESSOR = TRIGGERER = MIGRATION = au_size(5)
REDIS = au_size(2)
TASK = au_size(5)  # a task's own pod under the Kubernetes executor, and any pod that names no resources
CLEANUP = au_size(3)
CODE_SERVER = au_size(1)  # it holds 1 MiB of a file at a time
POOL_SIZE, POOL_OVERFLOW = (
    3,
    7,
)  # connections of one process to the metadata database; an idle one needs about 4


def replicas(release: Release) -> dict[str, int]:
    """How many pods each component other than workers has while the Deployment is awake. Two schedulers or more mean
    high availability, which is worth little with one API server or triggerer. Two DAG processors would only parse
    everything twice."""
    several = 2 if release.scheduler_replicas > 1 else 1
    found = {
        names.API_SERVER: several,
        names.SCHEDULER: release.scheduler_replicas,
        names.DAG_PROCESSOR: 1,
        names.TRIGGERER: several,
        names.CODE_SERVER: 1,
    }
    return {**found, names.REDIS: 1} if release.executor is Executor.CELERY else found


@dataclass(frozen=True)
class Part:
    """The pods of one component at the most load; `size` is what each requests."""

    component: str  # as pages name it
    size: Size
    pods: int


def parts(release: Release) -> tuple[Part, ...]:
    """What an awake Deployment requests at the most, component by component, task pods included. During a change more
    runs for a while (`total`)."""
    size = {
        names.API_SERVER: API_SERVER,
        names.SCHEDULER: release.scheduler,
        names.DAG_PROCESSOR: DAG_PROCESSOR,
        names.TRIGGERER: TRIGGERER,
        names.CODE_SERVER: CODE_SERVER,
        names.REDIS: REDIS,
    }
    found = [Part(name, size[name], count) for name, count in replicas(release).items()]
    found += [Part(f"{names.WORKER}-{queue.name}", queue.size, queue.max_workers) for queue in release.queues]
    if release.executor is Executor.KUBERNETES:
        found.append(Part(names.TASK, TASK, release.parallelism))
    return tuple(found)


def total(inputs: Inputs) -> tuple[Size, int]:
    """What the namespace may request in all, and its number of pods. Room for a rollout is included: one pod more of
    each component, and as many new workers as old ones that still finish their tasks."""
    release = inputs.release
    count = replicas(release)
    parts = [
        (API_SERVER, count[names.API_SERVER] + 1),
        (release.scheduler, count[names.SCHEDULER] + 1),
        (DAG_PROCESSOR, count[names.DAG_PROCESSOR] + 1),
        (TRIGGERER, count[names.TRIGGERER] + 1),
        (CODE_SERVER, 1),
        (MIGRATION, 1),
        (au_size(1), inputs.settings.extra_capacity_au),
    ]
    parts += [(queue.size, 2 * queue.max_workers) for queue in release.queues]
    if release.executor is Executor.CELERY:
        parts.append((REDIS, 1))
    if release.executor is Executor.KUBERNETES:
        parts += [(TASK, release.parallelism), (CLEANUP, 1)]
    size = Size(0, 0)
    for each, number in parts:
        size += each * number
    return size, sum(number for _, number in parts)


def cpu(size: Size) -> str:
    """As Kubernetes writes it: "500m", "2"."""
    cores, rest = divmod(size.cpu_millis, 1000)
    return f"{size.cpu_millis}m" if rest else str(cores)


def memory(size: Size) -> str:
    """As Kubernetes writes it: "1920Mi"."""
    return f"{size.memory_mib}Mi"


def requests(size: Size) -> dict[str, str]:
    """A container's requests."""
    return {"cpu": cpu(size), "memory": memory(size)}


def resources(size: Size) -> Manifest:
    """A container's resources. Memory is limited to what was requested. CPU is not limited: requests share a busy node
    fairly, while a limit makes every start of Airflow (4 to 5 s of one core) many times slower and fails its probes."""
    return {"requests": requests(size), "limits": {"memory": memory(size)}}
