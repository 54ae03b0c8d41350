"""What a Deployment is asked to be, as frozen values. Pure: no Django, no I/O.

A `Release` is computed from a Deployment's desired state; every data plane driver receives the same one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from deployments.domain.code_manifest import CodeVersion
from deployments.domain.states import Executor

AU_CPU_MILLIS = 100  # one Astronomer Unit, in thousandths of a core
AU_MEMORY_MIB = 384  # and its memory (0.375 GiB)
DEFAULT_QUEUE = "default"  # the worker queue that every Deployment under Celery has


@dataclass(frozen=True)
class Size:
    """An amount of compute: thousandths of a core, and MiB of memory."""

    cpu_millis: int
    memory_mib: int

    def __mul__(self, count: int) -> "Size":
        return Size(self.cpu_millis * count, self.memory_mib * count)

    def __add__(self, other: "Size") -> "Size":
        return Size(self.cpu_millis + other.cpu_millis, self.memory_mib + other.memory_mib)

    @property
    def cpu_text(self) -> str:
        """Cores for people, without trailing zeros: 500 -> "0.5"."""
        return f"{self.cpu_millis / 1000:g}"

    @property
    def memory_text(self) -> str:
        """GiB for people with at most two decimals: 1920 -> "1.88"."""
        return f"{self.memory_mib / 1024 + 1e-9:.2f}".rstrip("0").rstrip(".")


def au_size(au: int) -> Size:
    """The size of `au` Astronomer Units. 5 AU = 0.5 CPU and 1920 MiB."""
    return Size(au * AU_CPU_MILLIS, au * AU_MEMORY_MIB)


@dataclass(frozen=True)
class RuntimeSpec:
    """The Airflow to run: our release of it, and the Airflow version inside."""

    version: str  # "3.3-1"
    airflow_version: str  # "3.3.2"
    image: str = ""  # for Kubernetes

    @property
    def label(self) -> str:
        """As the create form shows it."""
        return f"{self.version} (based on Airflow {self.airflow_version})"


@dataclass(frozen=True)
class QueueSpec:
    """One Celery worker queue. `name` matches `options.QUEUE_NAME`; 0 <= min_workers <= max_workers."""

    name: str
    min_workers: int
    max_workers: int
    concurrency: int
    size: Size


@dataclass(frozen=True)
class Release:
    """Everything a data plane needs to know to run one generation of a Deployment.

    Holds no secret: secrets travel beside it as `Secrets`, so that a Release can be logged and compared.
    `environment` is the user's plain variables. `secret_marks` names the user's secret variables, each with a keyed
    mark that changes with its value; the values are `Secrets.variables`. `release_name` matches
    ^[a-z]+-[a-z]+-[0-9]{4}$. A hibernating Deployment keeps its database, files and settings, and runs nothing.
    `upgrade_from` is the runtime before an upgrade that is not known to have succeeded; a Deployment with and without
    it is the same, so it does not count in the digest; nor does `ran_before`, by which a data plane knows that a
    metadata database which is not there was lost, even when all that it kept itself was lost with it. `code` is the
    deployed version that is to be active; None until the first deploy, as long as code comes from a folder or with the
    image. `packages` is the digest of the packages that it has beyond those of its runtime (`PackageLock.digest`), ""
    for none. `image` is an image of its own in place of the runtime's, by its digest ("repository@sha256:…"), "" for
    none; `registry_mark` changes with the login by which that is pulled (`Secrets.registry_login`), "" without one.
    """

    deployment_id: str
    release_name: str
    generation: int
    runtime: RuntimeSpec
    executor: Executor
    scheduler: Size
    scheduler_replicas: int
    queues: tuple[QueueSpec, ...] = ()  # empty unless the executor is Celery
    environment: Mapping[str, str] = field(default_factory=dict)
    secret_marks: Mapping[str, str] = field(default_factory=dict)
    hibernating: bool = False
    upgrade_from: RuntimeSpec | None = None
    code: CodeVersion | None = None
    packages: str = ""
    image: str = ""
    registry_mark: str = ""
    ran_before: bool = False

    @property
    def parallelism(self) -> int:
        """Concurrent tasks at most: the sum over queues of max workers x concurrency; 32 (Airflow's own) without."""
        return sum(q.max_workers * q.concurrency for q in self.queues) or 32

    @property
    def digest(self) -> str:
        """Changes exactly when something that a data plane acts on changes. The generation is left out, so
        saving the same thing twice restarts nothing. A field added later counts only once it is used, so that a
        new Airdeck restarts no Airflow."""
        document = asdict(self)
        document.pop("generation")
        document.pop("upgrade_from")
        document.pop("ran_before")
        document["environment"] = dict(sorted(self.environment.items()))
        document["secret_marks"] = dict(sorted(self.secret_marks.items()))
        for added_later in ("secret_marks", "hibernating", "code", "packages", "image", "registry_mark"):
            if not document[added_later]:
                document.pop(added_later)
        if self.code is not None and not self.code.plugins:
            document["code"].pop("plugins")
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, repr=False)
class Secrets:
    """The secrets of one Deployment, in the clear, for handing to a driver: the generated ones, and the values of the
    user's secret variables. Never logged: no repr."""

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    database_password: str
    redis_password: str
    admin_password: str
    sign_in_key: str  # the public half of the key by which the console signs who comes in
    variables: Mapping[str, str] = field(default_factory=dict)
    registry_login: str = ""  # a dockerconfigjson document for an image of its own; "" without a login

    def __repr__(self) -> str:
        return "Secrets(…)"


@dataclass(frozen=True)
class QueueLoad:
    """What waits and runs on one worker queue now, how many workers serve it, and how many more are on their way out:
    they take no new task and end when theirs are done."""

    name: str
    queued: int
    running: int
    workers: int
    draining: int = 0


def desired_workers(queue: QueueSpec, queued: int, running: int) -> int:
    """ceil((running + queued) / concurrency), clamped to [min, max]."""
    need = -(-(queued + running) // queue.concurrency)
    return max(queue.min_workers, min(queue.max_workers, need))
