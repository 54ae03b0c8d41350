"""Deployments: list, create, read, change, delete."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpResponse
from ninja import Router, Status
from ninja.params.functions import Query

from console.kit import cursors
from console.kit.http_json import (
    NOT_FLAG,
    Flag,
    Input,
    Number,
    OptionalText,
    Stale,
    Text,
    Typed,
    form_data,
    require_match,
    retry_key,
)
from console.kit.refusals import InvalidInput
from deployments import actions
from deployments.actions.furnishing import Furnishing
from deployments.actions.hibernation import set_wakes_on_open
from deployments.actions.refusals import KeyReused
from deployments.actions.settings import settings_of
from deployments.api import answers, documents
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed, DeploymentOut, DeploymentPage
from deployments.clusters.options import NUMBERS, clusters_for, options_for
from deployments.domain.names import name_key
from deployments.domain.states import Status as DeploymentStatus
from deployments.forms import sections
from deployments.forms.settings import EditForm
from deployments.models import Deployment
from deployments.queries.listing import COLUMNS
from workspaces.api.auth import Anyone, ApiRequest, InWorkspace
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.models import Workspace
from workspaces.permissions import Permission

router = Router(tags=["Deployments"])
TEXTS = ("name", "description", "executor", "worker_type", "runtime", "cluster")


class Settings(Input):
    """What can be changed of a Deployment. What is left out stays; the worker fields are those of the queue default.
    With `wake_when_opened` any member who opens its Airflow while it hibernates wakes it up."""

    name: Text = None
    description: OptionalText = None
    executor: Text = None
    scheduler_au: Number = None
    scheduler_replicas: Number = None
    worker_type: Text = None
    min_workers: Number = None
    max_workers: Number = None
    concurrency: Number = None
    wake_when_opened: Flag = False


class NewDeployment(Settings):
    """A new Deployment. Only the name has no default; `cluster` is a name or an id."""

    name: Text
    runtime: Text = None
    cluster: Text = None


def _page(rows: QuerySet[Deployment], limit: int, cursor: str) -> HttpResponse:
    """A page of them. One query. Pydantic itself writes the JSON, which is faster than what ninja does for few rows."""
    rows = rows.annotate(place=Lower("name")).order_by("place", "pk")
    rows = rows.filter(cursors.after(cursor, ("place", str), ("pk", UUID)))
    rows = rows.select_related("workspace", "cluster", "runtime").only(
        *(each for each in COLUMNS if not each.startswith("updated_by")),
        *("workspace__name", "created_at", "status_reason"),
    )
    found, following = cursors.page(
        list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.place, str(row.pk))
    )
    page = DeploymentPage.model_construct(items=[documents.row(each) for each in found], next=following)
    return HttpResponse(page.model_dump_json(), content_type="application/json; charset=utf-8")


def _narrowed(rows: QuerySet[Deployment], name: str, q: str, status: str) -> QuerySet[Deployment]:
    rows = rows.filter(deleted_at__isnull=True)
    if name:
        rows = rows.filter(name_key=name_key(name))
    if q:
        rows = rows.filter(name__icontains=q) | rows.filter(release_name__icontains=q)
    if status:
        if status not in set(DeploymentStatus):
            offered = ", ".join(each.value for each in DeploymentStatus)
            raise InvalidInput({"status": f"Choose one of {offered}."})
        rows = rows.alias(shown=Deployment.shown_status_in_sql()).filter(shown=status)
    return rows


NAME = Query("", max_length=256, description="Only the one of this name, letter case aside.")
SEARCH = Query("", max_length=64, description="A part of the name or the release name.")
STATUS = Query("", max_length=20, description="Only those of this status.")


@router.get(
    "/deployments",
    auth=Anyone(),
    response=DeploymentPage,
    url_name="deployments",
    operation_id="list_deployments",
)
def deployment_list(
    request: ApiRequest,
    name: str = NAME,
    q: str = SEARCH,
    status: str = STATUS,
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> HttpResponse:
    """Every Deployment that this token reaches, by name."""
    caller = request.caller
    rows = Deployment.objects.filter(workspace__memberships__user=caller.user)
    if caller.token.workspace_id is not None:
        rows = rows.filter(workspace=caller.token.workspace_id)
    if caller.content_id is not None:
        rows = rows.filter(pk=caller.content_id)
    return _page(_narrowed(rows, name, q, status), limit, cursor)


@router.get(
    "/workspaces/{uuid:workspace_id}/deployments",
    auth=InWorkspace(Permission.VIEW, limited=True),
    response=DeploymentPage,
    url_name="workspace_deployments",
    operation_id="list_deployments_of_workspace",
)
def workspace_deployments(
    request: ApiRequest,
    workspace_id: UUID,
    name: str = NAME,
    q: str = SEARCH,
    status: str = STATUS,
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> HttpResponse:
    """The Deployments of one Workspace, by name."""
    rows = Deployment.objects.filter(workspace=workspace_id)
    if request.caller.content_id is not None:
        rows = rows.filter(pk=request.caller.content_id)
    return _page(_narrowed(rows, name, q, status), limit, cursor)


@router.post(
    "/workspaces/{uuid:workspace_id}/deployments",
    auth=InWorkspace(Permission.CREATE_DEPLOYMENT),
    response={202: Changed},
    url_name="workspace_deployments",
    operation_id="create_deployment",
)
def create(
    request: ApiRequest, workspace_id: UUID, payload: NewDeployment, response: HttpResponse
) -> Status[Changed]:
    """Create a Deployment. The answer comes at once; follow its operation. An Idempotency-Key makes one Deployment of
    however many tries."""
    workspace = request.membership.workspace
    key = retry_key(request, request.caller.token.pk)
    typed = form_data(payload, texts=TEXTS, numbers=tuple(NUMBERS))
    wakes = _wakes(typed, otherwise=False)
    form = sections.form_for(workspace, None)
    if form is None:
        raise actions.ClusterClosed("No cluster is open to this Workspace. Ask a site administrator.")
    chosen = _cluster_id(workspace, typed.data.get("cluster", form["cluster"].value()))
    form = sections.form_for(workspace, {**typed.data, "cluster": chosen})  # type: ignore[arg-type]
    assert form is not None  # noqa: S101 - there was one
    defaults = {name: field.initial for name, field in form.fields.items() if not callable(field.initial)}
    data: Any = {**defaults, **typed.data, "cluster": chosen, "idempotency_key": str(key)}
    form = sections.form_for(workspace, data)
    assert form is not None  # noqa: S101 - there was one
    typed.refuse(form.errors)
    _refuse_other(workspace, key, form.cleaned_data["name"])
    made = actions.create_deployment(
        workspace=workspace,
        by=request.caller.user,
        idempotency_key=key,
        choices=form.choices(),
        furnishing=Furnishing(wakes_on_open=wakes),
    )
    response["Location"] = f"/api/v1/deployments/{made.release_name}"
    return answers.answer(answers.again(made), "create", response)


def _wakes(typed: Typed, *, otherwise: bool) -> bool:
    """Whether opening its Airflow is to wake it, taken out of what the form gets."""
    given = typed.data.pop("wake_when_opened", otherwise)
    if not isinstance(given, bool):
        typed.problems["wake_when_opened"] = NOT_FLAG
        return otherwise
    return given


def _refuse_other(workspace: Workspace, key: UUID, name: str) -> None:
    """On the page another name with the same key means a further Deployment; a program did not mean that."""
    earlier = Deployment.objects.filter(workspace=workspace, idempotency_key=key).first()
    if earlier is not None and earlier.name_key != name_key(name):
        raise KeyReused("Deployment")


def _cluster_id(workspace: Workspace, named: object) -> str:
    """The id of the cluster that a person named by name or id; what is neither stays, for the form to refuse."""
    text = str(named or "")
    found = next((each for each in clusters_for(workspace) if each.name == text), None)
    return str(found.pk) if found else text


@router.get(
    "/deployments/{slug:release_name}",
    auth=OnDeployment(Permission.VIEW, alive=False),
    response=DeploymentOut,
    url_name="deployment",
    operation_id="get_deployment",
)
def read(request: DeploymentRequest, release_name: str, response: HttpResponse) -> DeploymentOut:
    """One Deployment, also after it is gone. Its ETag is for If-Match of PATCH."""
    queues = documents.queues_of(request.deployment)
    response["ETag"] = documents.settings_etag(request.deployment, queues)
    return documents.deployment(request.deployment, queues)


@router.patch(
    "/deployments/{slug:release_name}",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="deployment",
    operation_id="update_deployment",
)
def update(
    request: DeploymentRequest, release_name: str, payload: Settings, response: HttpResponse
) -> Status[Changed]:
    """Change what is sent. 202 with an operation when something restarts, 200 when nothing has to."""
    deployment = request.deployment
    actions.refuse_unless_editable(deployment)
    queues = documents.queues_of(deployment)
    now = settings_of(deployment, queues)
    require_match(request, documents.settings_etag(deployment, queues))
    typed = form_data(payload, texts=TEXTS, numbers=tuple(NUMBERS))
    wakes = _wakes(typed, otherwise=deployment.wakes_on_open)
    options = options_for(deployment.cluster)
    blank = EditForm(None, options=options, deployment=deployment, settings=now, queues=queues)
    shown = {name: blank[name].value() for name in blank.fields}
    data: Any = {**shown, **typed.data}
    form = EditForm(data, options=options, deployment=deployment, settings=now, queues=queues)
    typed.refuse(form.errors)
    generation, was = deployment.generation, deployment.wakes_on_open
    by = request.caller.user
    try:
        with transaction.atomic():
            actions.edit_deployment(deployment=deployment, by=by, shown=form.shown, desired=form.desired)
            if wakes != was:  # else it stays what another person made of it since
                set_wakes_on_open(deployment=deployment, by=by, on=wakes)
    except actions.EditConflict:
        if "If-Match" in request.headers:
            raise Stale from None
        raise
    return answers.changed(deployment, generation, "change", response)


@router.delete(
    "/deployments/{slug:release_name}",
    auth=OnDeployment(Permission.DELETE_DEPLOYMENT),
    response={202: Changed},
    url_name="deployment",
    operation_id="delete_deployment",
)
def delete(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[Changed]:
    """Delete it with its database. There is no way back, and no further question."""
    actions.delete_deployment(deployment=request.deployment, by=request.caller.user)
    return answers.answer(answers.again(request.deployment), "delete", response)
