"""What the page shows of a Deployment that moves, rendered the same for everybody: by a view for a page, and by
whoever commits a change for every open page at once. Holds nothing that depends on a role."""

from typing import Any

from django.template.loader import render_to_string

from console.kit.events import Frame
from deployments.dataplane.base import DAGS_FOLDER
from deployments.models import Deployment, Step
from deployments.states import Operation, Status, StepState
from deployments.templatetags.states import badge


def current_operation(deployment: Deployment) -> Operation | None:
    """Whose steps the page shows: deleting, creating until first Healthy, then the change under way if any."""
    if deployment.is_deleting:
        return Operation.DELETE
    if deployment.first_healthy_at is None:
        return Operation.CREATE
    return Operation.CHANGE if deployment.shown_status is Status.DEPLOYING else None


def step_context(step: Step) -> dict[str, Any]:
    """One step as the templates want it."""
    return {
        "key": step.key,
        "title": step.title,
        "state": StepState(step.state),
        "sentence": step.sentence,
        "receipt": step.receipt,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "running": step.state == StepState.RUNNING,
    }


def _takes_dags(deployment: Deployment) -> bool:
    """While creating there is nothing to deploy to, and while deleting no use."""
    return deployment.first_healthy_at is not None and not deployment.is_deleting


def live_context(deployment: Deployment) -> dict[str, Any]:
    """The context of deployments/_live.html. Two queries."""
    operation = current_operation(deployment)
    steps = [s for s in deployment.steps.all() if s.operation == operation] if operation else []
    return {
        "d": deployment,
        "operation": operation,
        "steps": [step_context(step) for step in steps],
        "components": list(deployment.components.all()),
        "airflow_url": deployment.airflow_url or None,
        "dags_folder": deployment.notes.get(DAGS_FOLDER) if _takes_dags(deployment) else None,
    }


def frames(deployment: Deployment) -> list[Frame]:
    """The events that bring every open page up to date about this Deployment."""
    return [
        Frame(f"badge-{deployment.pk}", badge(deployment.shown_status)),
        Frame(f"live-{deployment.pk}", render_to_string("deployments/_live.html", live_context(deployment))),
    ]
