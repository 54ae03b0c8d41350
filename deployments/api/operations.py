"""Operations: something that was asked for, and how far it is. They are no rows of their own: an operation is a
generation of a Deployment's desired state, or one of its deploys, and its id names it.

`native-cosmos-3782.upgrade.7` is the change that made generation 7; `native-cosmos-3782.deploy.3` is deploy 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import Http404

from deployments.api.schemas import OperationOut, OperationStep
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Operation, Status, StepState
from deployments.models import Deploy, Deployment, DeployStep, Step

KINDS = ("create", "change", "hibernate", "wake", "upgrade", "delete", "deploy")
RESTS = frozenset({Status.HEALTHY, Status.HIBERNATING})
STEPS_OF = {"create": Operation.CREATE, "delete": Operation.DELETE}


@dataclass(frozen=True)
class OperationId:
    """An id taken apart."""

    release_name: str
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.release_name}.{self.kind}.{self.number}"

    @classmethod
    def read(cls, text: str) -> "OperationId":
        """Raises Http404 for what is none."""
        release_name, _, rest = text.partition(".")
        kind, _, number = rest.partition(".")
        if kind not in KINDS or not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise Http404
        return cls(release_name, kind, int(number))


def of_generation(deployment: Deployment, kind: str) -> OperationOut:
    """The operation that the newest generation is."""
    return operation(deployment, OperationId(deployment.release_name, kind, deployment.generation))


def operation(deployment: Deployment, named: OperationId) -> OperationOut:
    """How far it is. Two queries at most. Raises Http404 when there never was one of this name."""
    if named.kind == "deploy":
        return _deploy(deployment, named)
    if not 1 <= named.number <= deployment.generation:
        raise Http404
    status, sentence = _state(deployment, named)
    of = STEPS_OF.get(named.kind, Operation.CHANGE)
    rows = [step for step in deployment.steps.all() if step.operation == of]
    if of is Operation.CHANGE:
        rows = [step for step in rows if step.generation == named.number]
    return _document(deployment, named, status, sentence, rows, deployment.url)


def _state(deployment: Deployment, named: OperationId) -> tuple[str, str]:
    if named.kind == "delete":
        gone = deployment.deleted_at is not None
        return ("done", "Deleted.") if gone else ("running", deployment.reason)
    if deployment.is_deleting:
        return "superseded", "The Deployment is being deleted."
    if named.kind == "upgrade" and deployment.upgrade_error:
        return "failed", deployment.upgrade_error
    if named.kind == "create":
        return ("running", deployment.reason) if deployment.first_healthy_at is None else ("done", "")
    applied = deployment.observed_generation >= named.number
    if applied and (deployment.generation > named.number or Status(deployment.status) in RESTS):
        return "done", ""
    return "running", deployment.reason


def _deploy(deployment: Deployment, named: OperationId) -> OperationOut:
    found = Deploy.objects.filter(deployment=deployment, number=named.number).first()
    if found is None:
        raise Http404
    found.deployment = deployment
    status = {
        DeployStatus.DEPLOYED: "done",
        DeployStatus.FAILED: "failed",
        DeployStatus.SUPERSEDED: "superseded",
    }.get(found.state, "running")
    sentence = found.sentence or found.problem_sentence
    if status == "running" and deployment.deleted_at is not None:
        status, sentence = "superseded", "The Deployment was deleted."
    return _document(deployment, named, status, sentence, list(found.steps.all()), found.url)


def _document(
    deployment: Deployment,
    named: OperationId,
    status: str,
    sentence: str,
    steps: list[Step] | list[DeployStep],
    url: str,
) -> OperationOut:
    documents = step_documents(steps)
    if named.kind != "deploy":  # as on the page: what a step waited for is over once it is done
        documents = [_without_wait(step) for step in documents]
    if status == "done" and named.kind != "deploy":  # Airflow reads a deploy after it is done
        documents = [_done(step, deployment.status_since) for step in documents]
    return OperationOut(
        id=str(named),
        kind=named.kind,  # type: ignore[arg-type]  # one of KINDS
        release_name=named.release_name,
        status=status,  # type: ignore[arg-type]  # the words of the schema
        sentence=sentence,
        deployment_status=deployment.shown_status.value,
        steps=documents,
        url=f"{settings.BASE_URL}{url}",
    )


def _without_wait(step: OperationStep) -> OperationStep:
    return step.model_copy(update={"sentence": ""}) if step.state == StepState.DONE.value else step


def _done(step: OperationStep, at: datetime) -> OperationStep:
    """Of what is done each step is: the pass that finds all components ready writes no step of what was applied
    before."""
    if step.state == StepState.DONE.value:
        return step
    return step.model_copy(
        update={"state": StepState.DONE.value, "sentence": "", "finished_at": step.finished_at or at}
    )


def step_documents(steps: Iterable[Step | DeployStep]) -> list[OperationStep]:
    """The steps of an operation or a deploy, in their order."""
    return [
        OperationStep(
            key=step.key,
            title=step.title,
            state=StepState(step.state).value,
            sentence=step.sentence,
            started_at=step.started_at,
            finished_at=step.finished_at,
        )
        for step in steps
    ]
