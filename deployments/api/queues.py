"""Worker queues: all of them, one more, one of them, one less."""

from typing import Any

from django.http import HttpResponse
from ninja import Router, Status

from console.kit.http_json import Input, Number, Stale, Text, etag, form_data, require_match
from deployments import actions
from deployments.actions.settings import WORKERS, queue_settings
from deployments.api import answers, documents
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed, Queue, Queues
from deployments.clusters.options import NUMBERS, options_for
from deployments.domain.field_values import FieldValues
from deployments.forms.settings import QueueForm
from deployments.models import Deployment, WorkerQueue
from deployments.queries.editable import why_no_queues
from workspaces.permissions import Permission

router = Router(tags=["Worker queues"])
ALL = "/deployments/{slug:release_name}/worker-queues"
ONE = "/deployments/{slug:release_name}/worker-queues/{slug:queue_name}"
TEXTS = ("name", "worker_type")


class QueueSettings(Input):
    """What can be changed of a worker queue. What is left out stays."""

    worker_type: Text = None
    min_workers: Number = None
    max_workers: Number = None
    concurrency: Number = None


class NewQueue(QueueSettings):
    """A new worker queue. Only the name has no default."""

    name: Text


def _found(deployment: Deployment, name: str) -> WorkerQueue:
    row = deployment.queues.select_related("worker_type").filter(name=name).first()
    if row is None:
        raise actions.QueueGone(name)
    return row


def _etag(row: WorkerQueue) -> str:
    return etag(row.pk, queue_settings(row))


def _form(
    deployment: Deployment, settings: FieldValues, about: str, given: Any, *, adding: bool
) -> QueueForm:
    """The pages' form, filled in with what is stored or offered, and what was sent over it."""
    options = options_for(deployment.cluster)
    blank = QueueForm(None, options=options, settings=settings, about=about, adding=adding)
    shown = {name: blank[name].value() for name in blank.fields if blank[name].value() is not None}
    data: Any = {**shown, **given}
    return QueueForm(data, options=options, settings=settings, about=about, adding=adding)


@router.get(
    ALL,
    auth=OnDeployment(Permission.VIEW),
    response=Queues,
    url_name="queues",
    operation_id="list_worker_queues",
)
def queue_list(request: DeploymentRequest, release_name: str) -> Queues:
    """Every worker queue, by name, with what it does now. There are none without the Celery executor."""
    rows = documents.queues_of(request.deployment)
    return Queues(items=[documents.queue(each) for each in rows])


@router.post(
    ALL,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="queues",
    operation_id="create_worker_queue",
)
def create(
    request: DeploymentRequest, release_name: str, payload: NewQueue, response: HttpResponse
) -> Status[Changed]:
    """One more worker queue."""
    deployment, before = request.deployment, request.deployment.generation
    if why := why_no_queues(deployment):
        raise actions.NotNow(why)
    typed = form_data(payload, texts=TEXTS, numbers=tuple(NUMBERS))
    form = _form(deployment, {}, f"{deployment.pk}.new", typed.data, adding=True)
    typed.refuse(form.errors)
    name = form.cleaned_data["name"]
    actions.add_queue(deployment=deployment, by=request.caller.user, name=name, desired=form.desired)
    return answers.changed(deployment, before, "change", response)


@router.get(
    ONE,
    auth=OnDeployment(Permission.VIEW),
    response=Queue,
    url_name="queue",
    operation_id="get_worker_queue",
)
def read(request: DeploymentRequest, release_name: str, queue_name: str, response: HttpResponse) -> Queue:
    """One worker queue. Its ETag is for If-Match of PATCH."""
    row = _found(request.deployment, queue_name)
    response["ETag"] = _etag(row)
    return documents.queue(row)


@router.patch(
    ONE,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="queue",
    operation_id="update_worker_queue",
)
def update(
    request: DeploymentRequest,
    release_name: str,
    queue_name: str,
    payload: QueueSettings,
    response: HttpResponse,
) -> Status[Changed]:
    """Change what is sent of a worker queue. Its name stays."""
    deployment, before = request.deployment, request.deployment.generation
    if why := why_no_queues(deployment):
        raise actions.NotNow(why)
    row = _found(deployment, queue_name)
    require_match(request, _etag(row))
    typed = form_data(payload, texts=TEXTS, numbers=tuple(NUMBERS))
    now = queue_settings(row)
    form = _form(deployment, now, f"{deployment.pk}.{queue_name}", typed.data, adding=False)
    typed.refuse(form.errors)
    desired = {name: form.desired[name] for name in WORKERS}
    try:
        actions.edit_queue(
            deployment=deployment, by=request.caller.user, name=queue_name, shown=now, desired=desired
        )
    except actions.EditConflict:
        if "If-Match" in request.headers:
            raise Stale from None
        raise
    return answers.changed(deployment, before, "change", response)


@router.delete(
    ONE,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="queue",
    operation_id="delete_worker_queue",
)
def delete(
    request: DeploymentRequest, release_name: str, queue_name: str, response: HttpResponse
) -> Status[Changed]:
    """Delete a worker queue: its workers finish what runs. The queue `default` cannot be deleted."""
    deployment, before = request.deployment, request.deployment.generation
    actions.delete_queue(deployment=deployment, by=request.caller.user, name=queue_name)
    return answers.changed(deployment, before, "change", response)
