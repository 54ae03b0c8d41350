"""What a change of a Deployment is answered with."""

from django.http import HttpResponse
from ninja import Status

from deployments.api import documents, operations
from deployments.api.schemas import Changed
from deployments.domain.states import Status as DeploymentStatus
from deployments.models import Deployment


def again(found: Deployment) -> Deployment:
    """The row as it is now, with what its document needs. One query."""
    rows = Deployment.objects.select_related("workspace", "cluster", "runtime", "created_by", "updated_by")
    return rows.get(pk=found.pk)


def changed(row: Deployment, before: int, kind: str, response: HttpResponse) -> Status[Changed]:
    """202 with the operation when the change made a new generation, other than the one `before`; else 200."""
    found = again(row)
    return answer(found, kind if found.generation != before else "", response)


def under_way(row: Deployment, response: HttpResponse) -> Status[Changed]:
    """202 with the operation that it is busy with, whatever began that; 200 when it is busy with nothing."""
    found = again(row)
    kind = ""
    if found.is_deleting:
        kind = "delete"
    elif found.first_healthy_at is None:
        kind = "create"
    elif (
        found.observed_generation < found.generation or DeploymentStatus(found.status) not in operations.RESTS
    ):
        kind = "change"
    return answer(found, kind, response)


def answer(found: Deployment, kind: str, response: HttpResponse) -> Status[Changed]:
    """The Deployment and the operation of this kind that its newest generation is; none without a kind."""
    queues = documents.queues_of(found)
    operation = operations.of_generation(found, kind) if kind else None
    response["ETag"] = documents.settings_etag(found, queues)
    body = Changed.model_construct(deployment=documents.deployment(found, queues), operation=operation)
    return Status(202 if operation else 200, body)
