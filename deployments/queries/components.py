"""The components of a Deployment as its pages name them, from its desired state and from what was observed."""

from django.db.models import prefetch_related_objects

from deployments.domain.states import WORST_FIRST, ComponentState, Executor
from deployments.models import ComponentStatus, Deployment

ALWAYS = ("scheduler", "api-server", "dag-processor", "triggerer")


def component_names(deployment: Deployment) -> list[str]:
    """Every component that it should have or was seen to have, the scheduler first. Two queries under Celery."""
    names = list(ALWAYS)
    celery = deployment.executor == Executor.CELERY
    prefetch_related_objects([deployment], "components", *(["queues"] if celery else []))
    if celery:
        names += ["redis", *(f"worker-{queue.name}" for queue in deployment.queues.all())]
    seen = [component.name for component in deployment.components.all()]
    return names + [name for name in seen if name not in names]


def least_ready(deployment: Deployment) -> ComponentStatus | None:
    """The component that most likely keeps it from being Healthy; None when every one is ready, or none is known."""
    found = [c for c in deployment.components.all() if c.state != ComponentState.READY]
    return min(found, key=lambda c: WORST_FIRST.index(ComponentState(c.state)), default=None)


def first_to_read(deployment: Deployment) -> str | None:
    """Whose log a person most likely wants who names none."""
    component = least_ready(deployment)
    return component.name if component else None
