"""The driver contract. One suite, `deployments/tests/contract.py`, holds every driver to these docstrings.

A driver is a pure client of its data plane: it knows no models, holds no state that matters in memory, and may
be constructed anew for every call. Every method is bounded (at most `CALL_BUDGET_SECONDS`), so long work is
started in the data plane and waited for over several calls, never inside one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from deployments.spec import QueueLoad, Release, Secrets
from deployments.states import ComponentState, Executor

CALL_BUDGET_SECONDS = 15.0


DAGS_FOLDER = "DAGs folder"  # the note that names where DAG files go


class DataPlaneError(Exception):
    """A step that could not be taken now. `str()` is one sentence that a person can act on; it holds no secret."""


class DataPlaneUnreachable(DataPlaneError):
    """The data plane itself did not answer: nothing is known about the Deployment."""


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

    `ready` of `wanted` instances answer. `reason` is one sentence, empty when READY. `last_line` is the last error
    line of its log when FAILING (ANSI stripped, at most 1,000 characters), else empty.
    """

    name: str
    state: ComponentState
    ready: int
    wanted: int
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
    """What exists now. `digest` is that of the Release last applied in full, or "" when none was.

    `leftovers` is all that still exists of the Deployment; it is empty exactly when nothing is left. What is there
    before a delete begins becomes its receipt. A converged Deployment has every component READY.
    """

    digest: str
    components: tuple[Component, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    queues: tuple[QueueLoad, ...] = ()

    @property
    def ready(self) -> bool:
        """Everything that should answer answers."""
        return bool(self.components) and all(c.state is ComponentState.READY for c in self.components)


class Outcome(StrEnum):
    """How a call to `apply` or `destroy` ended."""

    PROGRESSED = "progressed"  # something was done: call again at once
    WAITING = "waiting"  # nothing to do but wait; `sentence` says for what
    FINISHED = "finished"  # nothing left to do towards the goal


@dataclass(frozen=True)
class Progress:
    """The result of one step. `step` is a key of `create_steps`/`delete_steps`: all steps before it are done.

    `sentence` says what was done or what is waited for ("Installing Airflow 3.3.2: 57 of 140 packages")."""

    step: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class LogLine:
    """One line of a component's log; `at` when the source says."""

    text: str
    at: datetime | None = None


class DataPlane(Protocol):
    """A cluster that can run Airflow. See the module docstring for what holds of every method."""

    executors: tuple[Executor, ...]

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

        `workers` is the wanted number of workers per queue name. Returns FINISHED when every object is applied
        and every component is READY. Raises DataPlaneError when the step cannot be taken.
        """

    def destroy(self, ref: Ref) -> Progress:
        """Take the next step towards nothing left: processes, then database, then role, then files.

        Already gone is success. Works on a Deployment half created. Returns FINISHED exactly when
        `observe(ref).leftovers` is empty. Raises DataPlaneError, naming what blocks it.
        """

    def fingerprint(self, refs: list[Ref]) -> dict[str, str]:
        """For the observer: a short text per deployment id that changes when the Deployment's observed state may
        have changed. One cheap call for all; ids that do not exist are left out."""

    def logs(self, ref: Ref, component: str, *, lines: int = 200) -> Iterator[LogLine]:
        """The most recent lines of one component, oldest first; empty when it has none."""

    def endpoint(self, ref: Ref) -> str | None:
        """The URL at which a browser reaches this Airflow, or None while it has none."""

    def notes(self, ref: Ref) -> dict[str, str]:
        """Facts for the page, by label (DAGS_FOLDER: "/…/dags")."""


@dataclass(frozen=True, repr=False)
class ClusterConfig:
    """What a driver needs to reach its cluster. Built from the Cluster row by `deployments.clusters`."""

    cluster_id: str
    kind: str  # "local" or "kubernetes"
    database_url: str  # the primary Postgres, with the right to create roles and databases
    settings: Mapping[str, str] = field(default_factory=dict)
