"""The driver contract. One suite, `deployments/tests/dataplane/contract.py`, holds every driver to these docstrings.

A driver is a pure client of its data plane: it knows no models, holds no state that matters in memory, and may
be constructed for every call. Every method is bounded (at most `CALL_BUDGET_SECONDS`), so long work is
started in the data plane and waited for over several calls, never inside one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from deployments.domain.spec import QueueLoad, Release, Secrets
from deployments.domain.states import ComponentState, Executor

if TYPE_CHECKING:
    from deployments.dataplane.code import CodeStore
    from deployments.dataplane.images import ImageChecker
    from deployments.dataplane.packages import PackageStore
    from deployments.dataplane.reading import Reading, Since

CALL_BUDGET_SECONDS = 15.0


ADDRESS = "Address"  # a note: why browsers may not reach it
TASK_LOGS = "Task logs"  # the note that says for how long the logs of tasks are kept
DAGS_FOLDER = "DAGs folder"  # the note that names where DAG files go
UPGRADE_STEP = "upgrade"  # the key of the step that moves a metadata database to another runtime
UNDER_WAY = "under way"  # an observed digest of no Release: what was applied is being changed
LOG_BEGINNING = "beginning"  # in place of a cursor: the oldest lines that are kept


class DataPlaneError(Exception):
    """A step that could not be taken now. `str()` is one sentence that a person can act on; it holds no secret."""


class DataPlaneUnreachable(DataPlaneError):
    """The data plane itself did not answer: nothing is known about the Deployment."""


class UpgradeFailed(DataPlaneError):
    """The migration to another runtime failed, and the metadata database is again as it was before it. The Release
    with the earlier runtime can be applied. `str()` says why it failed."""


class TaskLogGone(DataPlaneError):
    """There is no such log of a task, or not any more."""

    def __init__(self) -> None:
        super().__init__("This log does not exist or is no longer kept. Choose one from the list.")


@dataclass(frozen=True)
class Ref:
    """Names one Deployment to a driver, also after its desired state is gone."""

    deployment_id: str
    release_name: str


@dataclass(frozen=True)
class StepName:
    """A step as the page lists it: a stable key and a title for people."""

    key: str
    title: str


@dataclass(frozen=True)
class Component:
    """One component as observed: "api-server", "scheduler", "dag-processor", "triggerer", "redis", "worker-default".

    `ready` of `desired` instances answer. `reason` is one sentence, empty when READY. `last_line` is the last error
    line of its log when FAILING (ANSI stripped, at most 1,000 characters), else empty.
    """

    name: str
    state: ComponentState
    ready: int
    desired: int
    reason: str = ""
    last_line: str = ""
    restarts: int = 0


@dataclass(frozen=True)
class Leftover:
    """Something of a Deployment that exists: which delete step removes it, and what it is in words."""

    step: str  # a key of `delete_steps`
    text: str  # "database d_calm_orbit_0012", "6 processes", "files in /…"


@dataclass(frozen=True)
class Observation:
    """What exists now. `digest` is that of the Release last applied in full, "" when none was, and UNDER_WAY from the
    first change towards another one on: a change that is taken back half-way must be applied too.

    `leftovers` is all that still exists of the Deployment; it is empty exactly when nothing is left. What is there
    before a delete begins becomes its receipt. A converged Deployment has every component READY.
    """

    digest: str
    components: tuple[Component, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    queues: tuple[QueueLoad, ...] = ()
    drifted: bool = False  # another person changed or removed something of ours: `apply` puts it right
    signs_in: bool = False  # the API server that was last started takes people from the console
    # Why nothing of it can work or be changed now, whatever its components say (its database server is away): one
    # sentence. The data plane's watcher reports when that begins and when it is over.
    unreachable_reason: str = ""
    # In how many seconds this may read otherwise although nothing changes there (a wait that has lasted too long is a
    # failure): no watcher reports that. None when it will not.
    changes_in: float | None = None

    @property
    def ready(self) -> bool:
        """Everything that should answer answers."""
        return bool(self.components) and all(c.state is ComponentState.READY for c in self.components)

    @property
    def asleep(self) -> bool:
        """Nothing runs, and nothing should: how a hibernating Deployment looks once it is applied."""
        return all(c.state is ComponentState.ABSENT and not c.desired for c in self.components)


class Outcome(StrEnum):
    """How a call to `apply` or `destroy` ended."""

    PROGRESSED = "progressed"  # something was done: call again at once
    WAITING = "waiting"  # nothing to do but wait; `sentence` says for what
    FINISHED = "finished"  # nothing left to do towards the goal


@dataclass(frozen=True)
class Progress:
    """The result of one step. `step` is a key of `create_steps`/`delete_steps`: all steps before it are done.

    `sentence` says what was done or what is waited for ("Installing Airflow 3.3.2: 57 of 140 packages").
    `notices` are sentences for the Activity about what this call put right that another person had changed."""

    step: str
    outcome: Outcome
    sentence: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogLine:
    """One line of a component's log, without colours and control characters; `at` when the source says, and the
    instance (program, pod) that wrote it."""

    text: str
    at: datetime | None = None
    source: str = ""


@dataclass(frozen=True)
class LogTail:
    """Lines of one component, oldest first, and where to read on: hand `cursor` back as `after`."""

    lines: tuple[LogLine, ...] = ()
    cursor: str = ""


@dataclass(frozen=True)
class TaskLog:
    """What one attempt of a task wrote. `path` names it to `Driver.task_log`, and says by Airflow's own template which
    task it was; `size` is in bytes, `at` when it was last written to."""

    path: str
    size: int
    at: datetime


@dataclass(frozen=True)
class TaskLogs:
    """Logs of tasks, the newest first. `whole` says that these are all that were asked for."""

    logs: tuple[TaskLog, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class Instance:
    """One process or pod of a component, as found when a person asks why. `sentence` says what it does or what is
    wrong with it; `facts` are labelled texts ("Process": "4242", "Last probe": "…", "Last exit": "…")."""

    name: str
    state: ComponentState
    sentence: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskCount:
    """Task instances of the whole Deployment that run, and that are handed to the executor and wait."""

    running: int
    queued: int


class Watcher(Protocol):
    """Watches changes in one data plane as they happen, for the observer. One thread at a time calls it; threads of
    its own run from the first call of `changed` until `close`."""

    def changed(self, refs: Mapping[str, Ref], wait: float) -> frozenset[str]:
        """The ids among `refs` (every Deployment of the cluster, by id) whose observed state may have changed since
        the last call, or since before the watcher began. Returns as soon as there is one, and after `wait` seconds at
        the latest. Never raises for a data plane that does not answer."""

    def unreachable_reason(self) -> str:
        """Empty while everything is watched; else one sentence that says why not, and what to do. A change may have
        been missed then, and nothing counts as known."""

    def close(self) -> None:
        """End; what is under way ends within a second or by itself."""


class Driver(Protocol):
    """A cluster that can run Airflow. See the module docstring for what holds of every method.

    `healthy_rest` is for how many seconds a Healthy Deployment may be left alone when its fingerprint says nothing.
    `load_wakes` says that the fingerprint reports the queues' load too, so that no one need look at it every 10 s.
    """

    executors: tuple[Executor, ...]
    healthy_rest: float
    load_wakes: bool

    def create_steps(self, release: Release) -> tuple[StepName, ...]:
        """The steps towards this Release, in order. Pure: no I/O."""

    def delete_steps(self) -> tuple[StepName, ...]:
        """The steps towards nothing left, in order. Pure: no I/O."""

    def observe(self, ref: Ref) -> Observation:
        """What exists. No side effect, cheap, bounded; a Deployment never applied gives an empty Observation.

        Raises DataPlaneUnreachable when nothing can be known.
        """

    def apply(self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]) -> Progress:
        """Take the next step towards `release`. Idempotent: already there is success, applying twice changes
        nothing, and a call killed at any instant is completed by the next one.

        `workers` is the desired number of workers per queue name. Returns FINISHED when every object is applied
        and every component is READY; for a hibernating Release, when nothing runs any more. `release.code` becomes
        the active version before anything waits for a component, also while it sleeps; that alone restarts nothing.
        Where components run with other packages than `release.packages` they are asked to end first: no new code runs
        with old packages. `PackageStore.install` made these ready; without it DataPlaneError says so. The same holds
        for `release.image`, which components run in place of the runtime's own.
        A Release with another
        runtime than the one that the metadata database was migrated to stops Airflow, takes a snapshot of the
        database, migrates it, and drops the snapshot once everything is READY; when the migration fails, the
        snapshot is put back and UpgradeFailed raised. Raises DataPlaneError when the step cannot be taken, and when the
        metadata database of a Deployment that was applied, or `ran_before`, is gone: none takes its place.
        """

    def admit(self, ref: Ref, people: str) -> bool:
        """Put the signed list of who may come in where this Airflow reads it, in place of the one before: it counts
        there within 30 s, on clusters within two minutes, and restarts nothing. Idempotent. False while there is no
        place for it. Raises DataPlaneError when it cannot be put there."""

    def destroy(self, ref: Ref) -> Progress:
        """Take the next step towards nothing left: processes, then database, then role, then files.

        Already gone is success. Works on a Deployment half created. Returns FINISHED exactly when
        `observe(ref).leftovers` is empty. Raises DataPlaneError, naming what blocks it.
        """

    def fingerprint(self, refs: list[Ref]) -> dict[str, str]:
        """For the observer: a short text per deployment id that changes when the Deployment's observed state may
        have changed. One cheap call for all; ids that do not exist are left out."""

    def watcher(self, may_write: Callable[[], bool]) -> Watcher | None:
        """What watches changes as they happen, or None when this data plane must be asked (`fingerprint`). Pure: it
        begins with its first call. It asks `may_write` before it writes anything down in the data plane: only the
        observer that leads may."""

    def logs(self, ref: Ref, component: str, *, lines: int = 200, after: str = "") -> LogTail:
        """The most recent lines of one component, at most `lines` (and 5,000), oldest first; empty when it has none.

        With the `cursor` of an earlier answer as `after`, the lines written since, the oldest first when there are
        more than `lines`, so that calling again reads on without loss or repeat. A cursor that means nothing any
        more (the log was cut) reads as none. It may come from a stranger: it never names what is read. With
        LOG_BEGINNING as `after` reading starts at the oldest line that is kept, as far back as the data plane can.
        Answers or raises DataPlaneError within 5 s."""

    def task_logs(self, ref: Ref, *, text: str = "", most: int = 200) -> TaskLogs:
        """The logs of tasks that are kept, also of those whose process or pod is gone, however it ended: the newest
        `most` (at most 1,000) whose path has every word of `text` in it, whatever the case. Answers or raises
        DataPlaneError within 5 s, also while what keeps them does not run."""

    def task_log(self, ref: Ref, path: str, *, lines: int = 200, after: str = "") -> LogTail:
        """One of them, as `logs` gives the log of a component: the same bounds, and the same promises about cursors. A
        task that still writes can be followed. `path` may come from a stranger: it never leads out of these logs.
        Raises TaskLogGone when there is no such log, and DataPlaneError."""

    def inspect(self, ref: Ref, component: str) -> tuple[Instance, ...]:
        """Every process or pod of one component, worst first, asked now. Empty when there is none. Within 5 s."""

    def tasks(self, ref: Ref) -> TaskCount:
        """What runs and waits now, from the metadata database. Raises DataPlaneError when it cannot be asked."""

    def reading(self, ref: Ref, since: "Since | None") -> "Reading":
        """What its DAGs, runs, tasks and queues do, and what CPU and memory it uses (`dataplane/reading.py`). Only
        reads; asked once a minute. `since` is what the reading before left, None for the first one. The metadata
        database is asked for 1.5 s in all; where CPU and memory cannot be had the reading says why. Raises
        DataPlaneError when the database cannot be asked or holds no Airflow yet."""

    def code(self, ref: Ref) -> "CodeStore | None":
        """Where its code is kept and built, or None when this data plane takes no code by deploys: it comes with the
        image of the runtime. Pure."""

    def packages(self, ref: Ref) -> "PackageStore | None":
        """Where its packages are resolved and installed, or None where they come with the image. Pure."""

    def images(self, ref: Ref) -> "ImageChecker | None":
        """What looks at an image of its own, or None where Airflow runs without images. Pure."""

    def endpoint(self, ref: Ref) -> str | None:
        """The URL at which a browser reaches this Airflow, or None while it has none."""

    def upkeep(self, ref: Ref) -> None:
        """Keep it in order while nothing is to be changed, such as dropping old logs. Called by every pass; cheap when
        nothing is due, and within two seconds when something is. Raises nothing that a full disk could cause."""

    def details(self, ref: Ref) -> dict[str, str]:
        """Facts for the page, by label (DAGS_FOLDER: "/…/dags")."""


CONSOLE_URLS, AIRFLOW_PASSWORD = "console_urls", "airflow_password"  # settings of every cluster


@dataclass(frozen=True, repr=False)
class ClusterConfig:
    """What a driver needs to reach its cluster. Built from the Cluster row by `deployments.clusters`. Every cluster has
    the settings CONSOLE_URLS, the addresses at which browsers reach the console, apart by spaces, the preferred one
    first, and AIRFLOW_PASSWORD when Airflows are to take the password of last resort too."""

    cluster_id: str
    kind: str  # "local" or "kubernetes"
    database_url: str  # the primary Postgres, with the right to create roles and databases
    settings: Mapping[str, str] = field(default_factory=dict)
