"""Deployments as files: one as the document that people keep beside their code, what applying such a document would do,
and doing it."""

from typing import Any, Literal
from uuid import UUID

from django.http import Http404, HttpResponse
from ninja import Router, Schema, Status
from ninja.params.functions import Query

from console.kit.http_json import NOT_FLAG, NOT_TEXT, Flag, Input, Text, form_data, retry_key
from console.kit.refusals import InvalidInput
from deployments.actions.deployment_files import apply_file, made_before
from deployments.actions.refusals import AlreadyThere, FileRefused, NotThere
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed
from deployments.domain import deployment_file, deployment_file_text
from deployments.domain.deployment_file import DeploymentFile
from deployments.models import Deployment
from deployments.queries.deployment_files import Planned, document_of, plan, target_of
from workspaces.api.auth import ApiRequest, InWorkspace, limited
from workspaces.permissions import Permission

router = Router(tags=["Deployment files"])
MODES = ("apply", "create", "update")


class FileIn(Input):
    """A deployment file. `text` is YAML or JSON. `mode` create wants no Deployment of this name, update wants one,
    apply takes both. With `compat` keys that only Astro's files know are ignored, and named."""

    text: Text
    mode: Text = "apply"
    compat: Flag = False


class ApplyIn(FileIn):
    """The same, and the `base` of the plan that was shown: when something changed since, nothing is done."""

    base: Text


class PlanLineOut(Schema):
    """One line of a plan. Values of secrets are masked."""

    sign: Literal["+", "~", "-"]
    path: str
    old: str
    new: str


class PlanOut(Schema):
    """What applying would do. `release_name` is null for a Deployment that would be created. Without lines there is
    nothing to do."""

    name: str
    release_name: str | None
    base: str
    lines: list[PlanLineOut]
    ignored: list[str]


@router.get(
    "/deployments/{slug:release_name}/file",
    auth=OnDeployment(Permission.VIEW),
    response=dict[str, Any],
    url_name="deployment_file",
    operation_id="get_deployment_file",
)
def file(
    request: DeploymentRequest,
    release_name: str,
    template: bool = Query(False, description="For another Deployment: no name, no metadata."),
) -> dict[str, object]:
    """The Deployment as a deployment file, which apply takes unchanged. Values of secrets are left out."""
    return document_of(request.deployment, template=template)


@router.post(
    "/workspaces/{uuid:workspace_id}/deployment-file/plan",
    auth=InWorkspace(Permission.EDIT_DEPLOYMENT, limited=True),
    response=PlanOut,
    url_name="deployment_file_plan",
    operation_id="plan_deployment_file",
)
def plan_file(request: ApiRequest, workspace_id: UUID, payload: FileIn) -> PlanOut:
    """What applying a file would do, line by line, with every problem at once. Nothing is changed."""
    content, mode = _read(payload)
    target = _target(request, content, mode)
    planned = plan(request.membership.workspace, content, target)
    if planned.problems:
        raise FileRefused(planned.problems)
    return _document(content, planned)


@router.post(
    "/workspaces/{uuid:workspace_id}/deployment-file/apply",
    auth=InWorkspace(Permission.EDIT_DEPLOYMENT, limited=True),
    response={200: Changed, 202: Changed},
    url_name="deployment_file_apply",
    operation_id="apply_deployment_file",
)
def apply(
    request: ApiRequest, workspace_id: UUID, payload: ApplyIn, response: HttpResponse
) -> Status[Changed]:
    """Make a Deployment what a file says, or a new one: all of it or nothing, in one transaction. An Idempotency-Key
    makes one Deployment of however many tries. A change is made once by its `base`: sent again it gets 409 `changed`,
    and a new plan says that there is nothing to do."""
    content, mode = _read(payload)
    base = _text(payload, "base")
    workspace = request.membership.workspace
    key = retry_key(request, request.caller.token.pk)
    if (made := made_before(workspace, content, key)) is not None:
        request.caller.require(request.membership, Permission.CREATE_DEPLOYMENT)
        return answers.answer(answers.again(made), "create", response)
    target = _target(request, content, mode)
    before = target.generation if target else 0
    found, planned = apply_file(
        workspace=workspace,
        by=request.caller.user,
        deployment=target,
        file=content,
        base=base,
        idempotency_key=key,
    )
    upgraded = any(line.path.endswith(".runtime_version") for line in planned.lines)
    kind = "create" if target is None else "upgrade" if upgraded else "change"
    return answers.changed(found, before, kind, response)


def _read(payload: FileIn) -> tuple[DeploymentFile, str]:
    typed = form_data(payload, texts=("text", "mode", "base"))
    mode, compat = payload.mode, payload.compat
    problems = dict(typed.problems)
    if mode not in MODES:
        problems["mode"] = f"Enter one of {', '.join(MODES)}."
    if not isinstance(compat, bool):
        problems["compat"] = NOT_FLAG
    if not problems and not isinstance(payload.text, str):
        problems["text"] = NOT_TEXT
    if problems:
        raise InvalidInput(problems)
    try:
        document = deployment_file_text.load(payload.text)
    except deployment_file_text.FileUnreadable as error:
        raise FileRefused({"": str(error)}) from None
    content, wrong = deployment_file.read(document, compat=compat)
    if wrong:
        raise FileRefused(wrong)
    return content, mode


def _text(payload: Input, name: str) -> str:
    value = getattr(payload, name)
    if not isinstance(value, str):
        raise InvalidInput({name: NOT_TEXT})
    return value


def _target(request: ApiRequest, content: DeploymentFile, mode: str) -> Deployment | None:
    """The Deployment that the file is about, if this token may change it; None when it may make one. Raises Http404,
    AlreadyThere, NotThere, and what the rights say."""
    caller, membership = request.caller, request.membership
    named = content if mode != "create" else deployment_file.without_release_name(content)
    found = target_of(membership.workspace, named)
    if found is not None:
        if caller.content_id not in {None, found.pk}:
            raise Http404
        if mode == "create":
            raise AlreadyThere(found.name)
        return found
    if caller.content_id is not None:
        raise limited()
    caller.require(membership, Permission.CREATE_DEPLOYMENT)
    if mode == "update":
        raise NotThere(content.name)
    return None


def _document(content: DeploymentFile, planned: Planned) -> PlanOut:
    return PlanOut(
        name=planned.desired.name,
        release_name=planned.deployment.release_name if planned.deployment else None,
        base=planned.base,
        lines=[
            PlanLineOut(sign=line.sign, path=line.path, old=line.old, new=line.new)  # type: ignore[arg-type]
            for line in planned.lines
        ],
        ignored=list(content.ignored),
    )
