"""Whether desired state may be changed, asked by pages before they show a form and by actions under the lock."""

from deployments.domain.states import Executor
from deployments.models import Deployment

NEEDS_CELERY = "Only the Celery executor has worker queues. Choose it under Edit first."


def why_not_editable(deployment: Deployment) -> str:
    """Why nothing about it can be changed now, in a sentence; "" when it can: it was Healthy once, and no one asked
    for it to go. No query."""
    if deployment.is_deleting:
        return "This Deployment is being deleted and can no longer be changed."
    if deployment.first_healthy_at is None:
        return (
            "This Deployment is being created. You can change it once it is Healthy; "
            "until then you can only delete it."
        )
    return ""


def why_no_queues(deployment: Deployment) -> str:
    """Why its worker queues cannot be changed now; "" when they can. No query."""
    return why_not_editable(deployment) or ("" if deployment.executor == Executor.CELERY else NEEDS_CELERY)
