"""What the page shows of a Deployment that moves, rendered the same for everybody: by a view for a page, and by
the process that commits a change for every open page at once. Holds nothing that depends on a role."""

from datetime import timedelta
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from console.kit.events import Frame
from deployments.dataplane.contract import ADDRESS, DAGS_FOLDER
from deployments.domain.durations import StepProgress
from deployments.domain.states import Operation, StepState
from deployments.models import Deploy, Deployment, Step
from deployments.queries.durations import attach, current_operation, current_steps
from deployments.templatetags import states
from deployments.templatetags.states import status_badge

STEPS_STAY = timedelta(minutes=2)  # a page that is open when they end keeps them until it is left


def step_context(step: Step, step_progress: StepProgress | None = None) -> dict[str, Any]:
    """One step as the templates want it; `pace` is that of the step at work."""
    return {
        "key": step.key,
        "title": step.title,
        "state": StepState(step.state),
        "sentence": step.sentence,
        "receipt": step.receipt,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "running": step.state == StepState.RUNNING,
        "typical": step_progress.typical.text if step_progress and step_progress.key == step.key else "",
    }


def _takes_dags(deployment: Deployment) -> bool:
    """While creating there is nothing to deploy to, and while deleting no use."""
    return deployment.first_healthy_at is not None and not deployment.is_deleting


def _just_created(deployment: Deployment) -> bool:
    """Whether its page should still show the steps of its creation: they do not go from under the reader's eyes."""
    since = deployment.first_healthy_at
    return since is not None and deployment.deleted_at is None and timezone.now() - since < STEPS_STAY


def _headline(deployment: Deployment, steps: list[dict[str, Any]]) -> str:
    """What is so now, in a sentence. What a step waits for is shown at the step, and here only which one it is."""
    for number, step in enumerate(steps, start=1):
        if step["running"] and step["sentence"] == deployment.reason:
            return f"Step {number} of {len(steps)}: {step['title']}"
    return deployment.reason or states.sentence(deployment.shown_status)


def live_context(deployment: Deployment) -> dict[str, Any]:
    """The context of deployments/overview/_live.html. Two queries, a third while something is under way."""
    attach([deployment])
    operation, rows = current_operation(deployment), current_steps(deployment)
    finished = operation is None and _just_created(deployment)
    if finished:
        operation = Operation.CREATE
        rows = [step for step in deployment.steps.all() if step.operation == operation]
    steps = [step_context(step, deployment.step_progress) for step in rows]
    return {
        "d": deployment,
        "operation": operation,
        "step_progress": deployment.step_progress,
        "live_id": f"live-{deployment.pk}",
        "headline": _headline(deployment, steps),
        "finished": finished,
        "steps": steps,
        "components": list(deployment.components.all()),
        "airflow_url": deployment.airflow_url or None,
        "address_problem": deployment.plane_details.get(ADDRESS) if deployment.airflow_url else None,
        "dags_folder": deployment.plane_details.get(DAGS_FOLDER) if _takes_dags(deployment) else None,
        "code_problem": _code_problem(deployment),
    }


def _code_problem(deployment: Deployment) -> Deploy | None:
    """The active deploy when files of it do not import. One query, once code is deployed."""
    if deployment.deploy_number is None:
        return None
    found = Deploy.objects.filter(deployment=deployment, number=deployment.deploy_number, problem_count__gt=0)
    return found.select_related("deployment").first()


def badge_frames(deployments: list[Deployment]) -> list[Frame]:
    """The events that bring their badges up to date."""
    attach(deployments)
    return [Frame(f"badge-{deployment.pk}", status_badge(deployment)) for deployment in deployments]


def frames(deployment: Deployment) -> list[Frame]:
    """The events that bring every open page up to date about this Deployment."""
    live = render_to_string("deployments/overview/_live.html", live_context(deployment))  # attaches its pace
    return [
        Frame(f"badge-{deployment.pk}", status_badge(deployment, staged=True)),
        Frame(f"live-{deployment.pk}", live),
        Frame(f"deploys-{deployment.pk}"),  # its pages of deploys ask for what they show again
    ]
