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
    STOPPING = "stopping"  # told to end, not gone yet


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
class Look:
    """How a state is drawn: a tone of the palette and a lucide icon whose shape differs from all others."""

    tone: str
    icon: str


STATUS_LOOK: dict[Status, Look] = {
    Status.HEALTHY: Look("ok", "circle-check"),
    Status.CREATING: Look("busy", "loader-circle"),
    Status.DEPLOYING: Look("busy", "refresh-cw"),
    Status.UNHEALTHY: Look("bad", "octagon-x"),
    Status.HIBERNATING: Look("sleep", "moon"),
    Status.DELETING: Look("off", "trash-2"),
    Status.DELETED: Look("off", "archive"),
    Status.UNKNOWN: Look("off", "circle-question-mark"),
}

STEP_LOOK: dict[StepState, Look] = {
    StepState.PENDING: Look("off", "circle-dashed"),
    StepState.RUNNING: Look("busy", "loader-circle"),
    StepState.DONE: Look("ok", "circle-check"),
    StepState.FAILED: Look("bad", "octagon-x"),
}

COMPONENT_LOOK: dict[ComponentState, Look] = {
    ComponentState.READY: Look("ok", "circle-check"),
    ComponentState.STARTING: Look("busy", "loader-circle"),
    ComponentState.FAILING: Look("bad", "octagon-x"),
    ComponentState.STOPPING: Look("off", "circle-stop"),
    ComponentState.ABSENT: Look("off", "circle-dashed"),
}
