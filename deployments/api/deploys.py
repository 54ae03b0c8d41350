"""Deploys of code: an archive in one request, what it would change, the list, one of them, going back."""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from django.http import Http404, HttpRequest
from ninja import Router, Status
from ninja.params.functions import Query

from console.kit import cursors
from console.kit.http_json import Input, OptionalText, form_data, retry_key
from console.kit.refusals import ActionRefused, InvalidInput
from deployments.actions import deploys as actions
from deployments.actions.refusals import CodeNotTaken, NothingToDeploy
from deployments.api import deploy_documents as documents
from deployments.api import operations
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.deploy_documents import DeployAnswer, DeployOut, DeployPage
from deployments.api.operations import OperationId
from deployments.domain.deploy_states import description_problem
from deployments.models import CodeUpload, Deploy, Deployment
from deployments.queries import deploys as queries
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.permissions import Permission

router = Router(tags=["Deploys"])
ALL = "/deployments/{slug:release_name}/deploys"
ONE = "/deployments/{slug:release_name}/deploys/{int:number}"
PIECE = 1024 * 1024
AS_BODY = "Send the archive itself as the body, for instance with curl --data-binary @dags.tar.gz."
ARCHIVE = {"type": "string", "format": "binary"}
BODY = {
    "requestBody": {
        "required": True,
        "description": "The archive itself: tar.gz or zip. Its root is the content of the DAGs folder.",
        "content": {
            name: {"schema": ARCHIVE}
            for name in (
                "application/octet-stream",
                "application/gzip",
                "application/zip",
            )
        },
    }
}


class Damaged(ActionRefused):
    """What arrived is not what the client sent."""

    code, status = "digest_mismatch", 422

    def __init__(self) -> None:
        super().__init__("The archive does not have the SHA-256 that Content-Digest says. Send it again.")


class RollBack(Input):
    """Why, for people who look at the list later."""

    description: OptionalText = None


def git_parameter(what: str) -> str:
    """A fact about where the code came from."""
    return cast(str, Query("", max_length=500, description=f"{what}, for the list of deploys."))


@router.get(
    ALL,
    auth=OnDeployment(Permission.VIEW),
    response=DeployPage,
    url_name="deploys",
    operation_id="list_deploys",
)
def deploy_list(
    request: DeploymentRequest, release_name: str, limit: int = page_limit(), cursor: str = page_cursor()
) -> DeployPage:
    """Every deploy, newest first."""
    rows = queries.history(request.deployment).select_related("manifest")
    rows = rows.filter(cursors.after(cursor, ("-number", int)))
    found, following = cursors.page(list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.number))
    return DeployPage(items=[documents.row(each, request.deployment) for each in found], next=following)


@router.post(
    ALL,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={200: DeployAnswer, 202: DeployAnswer},
    url_name="deploys",
    operation_id="create_deploy",
    openapi_extra=BODY,
)
def create(
    request: DeploymentRequest,
    release_name: str,
    description: str = Query("", description="At most 500 characters."),
    dry_run: bool = Query(False, description="Only say what it would change."),
    despite_syntax: bool = Query(False, description="Deploy although a file does not compile."),
    git_remote: str = git_parameter("Remote"),
    git_branch: str = git_parameter("Branch"),
    git_sha: str = git_parameter("Commit"),
    git_author: str = git_parameter("Author"),
    git_dirty: bool = Query(False, description="Whether the tree had changes."),
) -> Status[DeployAnswer]:
    """Deploy an archive, which is the body. 202 with an operation; 200 when the Deployment has this code already, or
    with `dry_run`. An Idempotency-Key makes one deploy of however many tries; once that failed, another one."""
    deployment, by = request.deployment, request.caller.user
    if problem := description_problem(description):  # before the body is read
        raise InvalidInput({"description": problem})
    key = retry_key(request, deployment.pk, request.caller.token.pk)
    earlier = (
        Deploy.objects.filter(deployment=deployment, idempotency_key=key).values_list("pk", flat=True).first()
    )
    with _received(request) as (file, size):
        upload = actions.receive_upload(
            deployment=deployment, by=by, stream=file, name="archive", size=size, key=key
        )
    if dry_run:
        return Status(200, documents.plan_answer(deployment, upload, queries.difference_of(upload)))
    try:
        made = actions.deploy_upload(
            deployment=deployment,
            by=by,
            upload=upload,
            seen=None,
            description=description,
            despite_syntax=despite_syntax,
            git=_given(remote=git_remote, branch=git_branch, sha=git_sha, author=git_author, dirty=git_dirty),
        )
    except NothingToDeploy as same:
        return Status(200, documents.unchanged(deploy_of(deployment, same.number), deployment))
    # Compared with what the first try deployed nothing would differ.
    shown = None if made.pk == earlier else upload
    return answer(deployment, deploy_of(deployment, made.number), shown)


def _given(**facts: str | bool) -> dict[str, str | bool]:
    """Those facts about where the code came from that are known."""
    return {name: value for name, value in facts.items() if value}


def answer(deployment: Deployment, made: Deploy, upload: CodeUpload | None) -> Status[DeployAnswer]:
    """That it is under way: its operation, and what it changes of what was uploaded."""
    operation = operations.operation(deployment, OperationId(deployment.release_name, "deploy", made.number))
    plan = documents.plan(deployment, upload, queries.difference_of(upload)) if upload else None
    return Status(
        202,
        DeployAnswer(changed=True, deploy=documents.row(made, deployment), operation=operation, plan=plan),
    )


@contextmanager
def _received(request: HttpRequest) -> Iterator[tuple[BinaryIO, int]]:
    """The body as a file, with its length. Raises CodeNotTaken when it cannot be one, and Damaged when it is not what
    Content-Digest says."""
    if request.content_type == "multipart/form-data":
        raise CodeNotTaken(f"A form was sent. {AS_BODY}")
    digest, size = hashlib.sha256(), 0
    with TemporaryFile() as file:
        while piece := request.read(PIECE):
            digest.update(piece)
            file.write(piece)
            size += len(piece)
        if not size:
            raise CodeNotTaken(f"The body is empty. {AS_BODY}")
        if (expected := _content_digest(request)) is not None and expected != digest.digest():
            raise Damaged
        file.seek(0)
        yield cast(BinaryIO, file), size


def _content_digest(request: HttpRequest) -> bytes | None:
    """The SHA-256 of the header Content-Digest (RFC 9530); None without one. Raises InvalidInput."""
    for part in request.headers.get("Content-Digest", "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            return base64.b64decode(value.strip().strip(":"), validate=True)
        except (ValueError, binascii.Error):
            raise InvalidInput(
                {"Content-Digest": "Send it as sha-256=:…: with the digest in Base64."}
            ) from None
    return None


def deploy_of(deployment: Deployment, number: int) -> Deploy:
    """Its deploy of this number. Raises Http404."""
    rows = Deploy.objects.select_related("deployment", "manifest", "origin")
    found = rows.filter(deployment=deployment, number=number).first() if number < 2**31 else None
    if found is None:
        raise Http404
    return found


@router.get(
    ONE, auth=OnDeployment(Permission.VIEW), response=DeployOut, url_name="deploy", operation_id="get_deploy"
)
def read(request: DeploymentRequest, release_name: str, number: int) -> DeployOut:
    """One deploy: how far it is, its steps, what is wrong with it."""
    found = deploy_of(request.deployment, number)
    return documents.row(found, request.deployment, detailed=True)


@router.post(
    f"{ONE}/rollback",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={202: DeployAnswer, 200: DeployAnswer},
    url_name="rollback",
    operation_id="roll_back",
)
def roll_back(
    request: DeploymentRequest, release_name: str, number: int, payload: RollBack | None = None
) -> Status[DeployAnswer]:
    """Deploy the code and the image of this deploy again, as a new one. Variables, queues and the runtime
    stay as they are."""
    deployment = request.deployment
    to = deploy_of(deployment, number)
    typed = form_data(payload or RollBack(), texts=("description",))
    description = str(typed.data.get("description", ""))
    if problem := description_problem(description):
        typed.problems["description"] = problem
    typed.refuse({})
    key = retry_key(request, deployment.pk, request.caller.token.pk)
    try:
        made = actions.roll_back(
            deployment=deployment, by=request.caller.user, to=to, idempotency_key=key, description=description
        )
    except NothingToDeploy as same:
        return Status(200, documents.unchanged(deploy_of(deployment, same.number), deployment))
    return answer(deployment, deploy_of(deployment, made.number), None)
