"""Revisions of environment variables: which there are, and going back to one. No value comes out."""

from datetime import datetime

from django.http import HttpResponse
from ninja import Router, Schema, Status
from ninja.params.functions import Query

from console.kit.http_json import Stale, require_match
from deployments.actions.refusals import RevisionGone, VariableRefused, VariablesChanged
from deployments.actions.variables import reapply_revision, revision_difference
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import OperationOut
from deployments.api.variables import variables_etag
from deployments.domain.variables import VariableDifference
from deployments.models import Deployment, VariableRevision
from workspaces.permissions import Permission

router = Router(tags=["Variables"])
ALL = "/deployments/{slug:release_name}/variable-revisions"


class RevisionOut(Schema):
    """What one change did: the names of the variables that it added, changed and removed."""

    number: int
    actor: str
    created_at: datetime
    added: list[str]
    changed: list[str]
    removed: list[str]


class RevisionList(Schema):
    """All that are kept, the newest first."""

    items: list[RevisionOut]


class RefusedVariable(Schema):
    """A variable of a revision that can't be set today, and why."""

    key: str
    reason: str


class WentBack(Schema):
    """The names of what was added, changed and removed, or would be. `refused` is left out of it. `revision` is the new
    one, null when nothing changed or with `dry_run`; so is `operation`."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    refused: list[RefusedVariable]
    revision: int | None
    operation: OperationOut | None


def _document(row: VariableRevision) -> RevisionOut:
    return RevisionOut(
        number=row.number,
        actor=row.by.label if row.by else "a former member",
        created_at=row.at,
        **{kind: row.changes.get(kind, []) for kind in ("added", "changed", "removed")},
    )


def _difference(deployment: Deployment, number: int) -> VariableDifference:
    """What going back to it would do. Raises RevisionGone, DecryptionError, and VariableRefused when it cannot be
    done as a whole."""
    kept = deployment.variable_revisions.filter(number=number) if number < 2**31 else None
    revision = kept.first() if kept is not None else None
    if revision is None:
        raise RevisionGone(number)
    found = revision_difference(deployment, revision)
    if found.problem:
        raise VariableRefused(found.problem)
    return found


@router.get(
    ALL,
    auth=OnDeployment(Permission.VIEW),
    response=RevisionList,
    url_name="variable_revisions",
    operation_id="list_variable_revisions",
)
def revision_list(request: DeploymentRequest, release_name: str) -> RevisionList:
    """The revisions of its variables that are kept, the newest first: at most 50."""
    rows = request.deployment.variable_revisions.select_related("by").defer("sealed").order_by("-number")
    return RevisionList(items=[_document(row) for row in rows])


@router.post(
    f"{ALL}/{{int:number}}/rollback",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: WentBack, 202: WentBack},
    url_name="variable_rollback",
    operation_id="roll_back_variables",
)
def roll_back(
    request: DeploymentRequest,
    release_name: str,
    number: int,
    response: HttpResponse,
    dry_run: bool = Query(False, description="Only say what it would change."),
) -> Status[WentBack]:
    """Make the variables what this revision left them, secrets included, as a new revision. The ETag is that of the
    variables, and so is the one that If-Match takes."""
    deployment, before = request.deployment, request.deployment.generation
    tag, base = variables_etag(deployment)
    require_match(request, tag)
    found = _difference(deployment, number)
    refused = [RefusedVariable(key=each.key, reason=each.reason) for each in found.refused]
    body = WentBack(**found.names(), refused=refused, revision=None, operation=None)
    if dry_run:
        response["ETag"] = tag
        return Status(200, body)
    try:
        made = reapply_revision(deployment=deployment, by=request.caller.user, number=number, base=base)
    except VariablesChanged:
        if "If-Match" in request.headers:
            raise Stale from None
        raise
    status = answers.changed(deployment, before, "change", response)
    response["ETag"] = variables_etag(deployment)[0]
    body.revision, body.operation = made.number if made else None, status.value.operation
    return Status(status.status_code, body)
