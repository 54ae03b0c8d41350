"""The words for what a Deployment, a component and a step can be. One vocabulary for rows, pages and docs."""

from dataclasses import dataclass
from enum import StrEnum


class Executor(StrEnum):
    """How Airflow places tasks. Which ones are offered depends on the cluster (`options`)."""

    CELERY = "celery"
    KUBERNETES = "kubernetes"
    LOCAL = "local"

    @property
    def label(self) -> str:
        """The word on the page."""
        return self.value.capitalize()


class Status(StrEnum):
    """The consolidated status of a Deployment, worst part first."""

    CREATING = "creating"
    DEPLOYING = "deploying"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    HIBERNATING = "hibernating"
    UNKNOWN = "unknown"
    DELETING = "deleting"
    DELETED = "deleted"

    @property
    def label(self) -> str:
        """The word on the badge."""
        return self.value.capitalize()


class ComponentState(StrEnum):
    """What one component of an Airflow is doing."""

    ABSENT = "absent"  # nothing of it exists
    STARTING = "starting"  # exists, has not answered yet
    READY = "ready"  # answers, and its heartbeat advances
    FAILING = "failing"  # crashed, crash-looping or silent; `reason` says which
    STOPPING = "stopping"  # asked to end, not gone yet


# The first of these is the one that a person should read about.
WORST_FIRST = (
    ComponentState.FAILING,
    ComponentState.ABSENT,
    ComponentState.STARTING,
    ComponentState.STOPPING,
    ComponentState.READY,
)


class StepState(StrEnum):
    """What one step of creating, changing or deleting is doing."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # will be tried again; the sentence says when and what to do


class Operation(StrEnum):
    """What a list of steps belongs to."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True)
class Appearance:
    """How a state is drawn: a tone of the palette and a lucide icon whose shape differs from all others."""

    tone: str
    icon: str


STATUS_APPEARANCE: dict[Status, Appearance] = {
    Status.HEALTHY: Appearance("ok", "circle-check"),
    Status.CREATING: Appearance("busy", "loader-circle"),
    Status.DEPLOYING: Appearance("busy", "refresh-cw"),
    Status.UNHEALTHY: Appearance("bad", "octagon-x"),
    Status.HIBERNATING: Appearance("sleep", "moon"),
    Status.DELETING: Appearance("off", "trash-2"),
    Status.DELETED: Appearance("off", "archive"),
    Status.UNKNOWN: Appearance("off", "circle-question-mark"),
}

STEP_APPEARANCE: dict[StepState, Appearance] = {
    StepState.PENDING: Appearance("off", "circle-dashed"),
    StepState.RUNNING: Appearance("busy", "loader-circle"),
    StepState.DONE: Appearance("ok", "circle-check"),
    StepState.FAILED: Appearance("bad", "octagon-x"),
}

COMPONENT_APPEARANCE: dict[ComponentState, Appearance] = {
    ComponentState.READY: Appearance("ok", "circle-check"),
    ComponentState.STARTING: Appearance("busy", "loader-circle"),
    ComponentState.FAILING: Appearance("bad", "octagon-x"),
    ComponentState.STOPPING: Appearance("off", "circle-stop"),
    ComponentState.ABSENT: Appearance("off", "circle-dashed"),
}
