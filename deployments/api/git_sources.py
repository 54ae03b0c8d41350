"""The Git source of a Deployment: the branch that it follows, and what can be asked of it. A token goes in and never
comes out; the secret of the webhook is answered once, when it is made."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from ninja import Router, Schema, Status

from console.kit.http_json import (
    NOT_FLAG,
    Flag,
    Input,
    OptionalNumber,
    OptionalText,
    Stale,
    Text,
    etag,
    form_data,
    require_match,
    retry_key,
)
from deployments.actions import git_sources as actions
from deployments.actions.refusals import GitChanged, GitNotConnected
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.domain.git_rules import EVERY_DEFAULT, TOKEN_USER
from deployments.forms.git_sources import GitSourceForm
from deployments.models import Deployment, GitSource
from deployments.outgoing.git.keys import fingerprint
from deployments.presenters import git_sources as shown
from workspaces.permissions import Permission

router = Router(tags=["Git source"])
PATH = "/deployments/{slug:release_name}/git-source"
TEXTS = ("address", "branch", "subfolder", "token", "token_user")
SETTINGS = ("address", "branch", "subfolder", "every_minutes", "automatic", "token_user")
DEFAULTS: dict[str, Any] = {
    "branch": "main",
    "subfolder": "",
    "every_minutes": EVERY_DEFAULT,
    "automatic": True,
    "token_user": TOKEN_USER,
}
NO_FINGERPRINT = "Enter the fingerprint of the host key that the Git source shows, such as SHA256:…."


class GitSourceOut(Schema):
    """The branch that a Deployment follows, and how that stands.

    `state` is `confirm_host_key`, `host_key_changed`, `looking`, `unreadable`, `not_looked_at`, `not_deployed`,
    `newer_commit` or `up_to_date`, and `title` is that in words. While `looking`, a worker looks at the repository or
    is about to; `not_looked_at`: no commit of the branch was seen yet, and no look is due. `problem` says why the last
    look led to nothing. `head` is the newest commit that was seen, `handled` the one that
    was last dealt with: `deploy` is the number of its last deploy, `note` says why there is none, and `rewritten` is
    the commit before it when the branch was rewritten. While `asked_at` is set, someone asked for the newest commit to
    be deployed. Host keys are fingerprints: the key that the server shows is `offered_host_key` until someone trusts
    it. `public_key` is for the repository's deploy keys, "" without ssh. `every_minutes` is null for never."""

    address: str
    branch: str
    subfolder: str
    every_minutes: int | None
    automatic: bool
    token_user: str
    has_token: bool
    public_key: str
    host_key: str
    offered_host_key: str
    webhook_url: str
    has_webhook_secret: bool
    state: str
    title: str
    looking: bool
    problem: str
    note: str
    head: str
    head_url: str
    handled: str
    deploy: int | None
    rewritten: str
    failures: int
    looked_at: datetime | None
    looks_at: datetime | None
    asked_at: datetime | None
    asked_by: str
    updated_at: datetime
    updated_by: str
    url: str


class GitSourceIn(Input):
    """The whole Git source. Without a `token` it keeps the one there is; an empty one is none. Null for `every_minutes`
    is never."""

    address: Text
    branch: Text = "main"
    subfolder: OptionalText = ""
    every_minutes: OptionalNumber = EVERY_DEFAULT
    automatic: Flag = True
    token: OptionalText = None
    token_user: Text = TOKEN_USER


class GitSourceChange(Input):
    """What is to be another. What is left out stays; a new `token` takes the place of the one there is, an empty one
    removes it."""

    address: Text = None
    branch: Text = None
    subfolder: OptionalText = None
    every_minutes: OptionalNumber = None
    automatic: Flag = None
    token: OptionalText = None
    token_user: Text = None


class HostKeyIn(Input):
    """The fingerprint of the key that is trusted: `offered_host_key` of the Git source."""

    fingerprint: Text


class WebhookSecret(Schema):
    """What a Git host needs. No one can ask for `secret` again."""

    webhook_url: str
    secret: str


def _stored(deployment: Deployment) -> GitSource | None:
    return GitSource.objects.select_related("asked_by", "updated_by").filter(deployment=deployment).first()


def _etag(source: GitSource | None) -> str:
    """Of what was asked for, not of what was found. "" without a source, which no If-Match is about."""
    return etag("git", source.updated_at.isoformat(), source.revision) if source else ""


def _document(deployment: Deployment, response: HttpResponse) -> GitSourceOut:
    """As it is now, with its ETag. Two queries. Raises GitNotConnected."""
    source = _stored(deployment)
    if source is None:
        raise GitNotConnected
    response["ETag"] = _etag(source)
    deploy, state = shown.last_deploy(source), shown.state_of(source)
    return GitSourceOut(
        **{name: getattr(source, name) for name in (*SETTINGS, "has_token", "public_key")},
        host_key=fingerprint(source.host_key),
        offered_host_key=fingerprint(source.offered_host_key),
        webhook_url=shown.hook_url(deployment),
        has_webhook_secret=source.has_hook,
        state=state.value,
        title=shown.title_of(state),
        looking=source.is_looked_at,
        problem=source.problem,
        note=source.handled_note if source.handled == source.head else "",
        head=source.head,
        head_url=source.parsed.commit_url(source.head) if source.head else "",
        handled=source.handled,
        deploy=deploy.number if deploy else None,
        rewritten=str(deploy.git.get("rewritten", "")) if deploy else "",
        failures=source.failures,
        looked_at=source.checked_at,
        looks_at=source.due_at,
        asked_at=source.asked_at,
        asked_by=source.asked_by.label if source.asked_by else "",
        updated_at=source.updated_at,
        updated_by=source.updated_by.label if source.updated_by else "a former member",
        url=f"{settings.BASE_URL}{deployment.url_for('git')}",
    )


def _save(request: DeploymentRequest, source: GitSource | None, payload: Input, base: dict[str, Any]) -> None:
    """Connect, or change what there is: `base` with what was sent over it. Raises InvalidInput, Stale, GitChanged,
    GitConnected and NotNow."""
    require_match(request, _etag(source))
    if source is None and "If-Match" in request.headers:
        raise Stale  # also for *: there is nothing to match
    typed = form_data(payload, texts=TEXTS, numbers=("every_minutes",))
    if not isinstance(typed.data.get("automatic", True), bool):
        typed.problems["automatic"] = NOT_FLAG
    data: Any = {**base, **typed.data}
    if source is not None and source.has_token and payload.given().get("token") == "":
        data["remove_token"] = True
    form = GitSourceForm(data, source=source)
    typed.refuse(form.errors)
    deployment, by = request.deployment, request.caller.user
    if source is None:
        actions.connect(deployment=deployment, by=by, wish=form.wish())
        return
    try:
        actions.change(deployment=deployment, by=by, wish=form.wish(), seen=source.revision)
    except GitChanged:
        if "If-Match" in request.headers:
            raise Stale from None
        raise


@router.get(
    PATH,
    auth=OnDeployment(Permission.VIEW),
    response=GitSourceOut,
    url_name="git_source",
    operation_id="get_git_source",
)
def read(request: DeploymentRequest, release_name: str, response: HttpResponse) -> GitSourceOut:
    """The branch that is followed, and how that stands; 404 `git_not_connected` when there is none. Its ETag is for
    If-Match of PUT and PATCH."""
    return _document(request.deployment, response)


@router.put(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={200: GitSourceOut, 201: GitSourceOut},
    url_name="git_source",
    operation_id="set_git_source",
)
def replace(
    request: DeploymentRequest, release_name: str, payload: GitSourceIn, response: HttpResponse
) -> Status[GitSourceOut]:
    """Follow a branch: 201 when there was no Git source, 200 when it was changed. A worker looks at once. A token
    serves only the repository for which it was sent: with another repository it has to be sent again."""
    source = _stored(request.deployment)
    _save(request, source, payload, DEFAULTS)
    return Status(200 if source else 201, _document(request.deployment, response))


@router.patch(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response=GitSourceOut,
    url_name="git_source",
    operation_id="update_git_source",
)
def update(
    request: DeploymentRequest, release_name: str, payload: GitSourceChange, response: HttpResponse
) -> GitSourceOut:
    """Change what is sent, such as the branch or the token. A worker looks at once."""
    source = _stored(request.deployment)
    if source is None:
        raise GitNotConnected
    _save(request, source, payload, {name: getattr(source, name) for name in SETTINGS})
    return _document(request.deployment, response)


@router.delete(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={204: None},
    url_name="git_source",
    operation_id="delete_git_source",
)
def disconnect(request: DeploymentRequest, release_name: str) -> Status[None]:
    """Disconnect the repository, and delete the token or key and the secret of the webhook. What was deployed stays.
    204 also when there is none."""
    actions.disconnect(deployment=request.deployment, by=request.caller.user)
    return Status(204, None)


@router.post(
    f"{PATH}/check",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={202: GitSourceOut},
    url_name="git_check",
    operation_id="check_git_source",
)
def check(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[GitSourceOut]:
    """Have a worker look at the branch now. The look is over when `looking` is false."""
    actions.check_now(deployment=request.deployment, by=request.caller.user)
    return Status(202, _document(request.deployment, response))


@router.post(
    f"{PATH}/deploy",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={202: GitSourceOut},
    url_name="git_deploy",
    operation_id="deploy_git_source",
)
def deploy(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[GitSourceOut]:
    """Have the newest commit deployed, whether it was deployed before or not. Once `asked_at` is null, `deploy` is the
    number of its deploy, whose operation is `{release}.deploy.{number}`, or `note` says why there is none."""
    actions.deploy_newest(deployment=request.deployment, by=request.caller.user)
    return Status(202, _document(request.deployment, response))


@router.post(
    f"{PATH}/host-key",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response=GitSourceOut,
    url_name="git_host_key",
    operation_id="trust_git_host_key",
)
def trust(
    request: DeploymentRequest, release_name: str, payload: HostKeyIn, response: HttpResponse
) -> GitSourceOut:
    """Trust the host key that the server shows, if it has this fingerprint. 409 `changed` when it shows another one, or
    none yet."""
    typed = form_data(payload, texts=("fingerprint",))
    if not typed.data.get("fingerprint"):
        typed.problems.setdefault("fingerprint", NO_FINGERPRINT)
    typed.refuse({})
    given = str(typed.data["fingerprint"]).strip()
    actions.confirm_host_key(deployment=request.deployment, by=request.caller.user, fingerprint=given)
    return _document(request.deployment, response)


@router.post(
    f"{PATH}/webhook-secret",
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={201: WebhookSecret},
    url_name="git_webhook_secret",
    operation_id="create_git_webhook_secret",
)
def make_webhook_secret(request: DeploymentRequest, release_name: str) -> Status[WebhookSecret]:
    """Make the secret of the webhook, in place of the one before, which ends at once. It is answered this once, and for
    an hour to the same Idempotency-Key."""
    deployment = request.deployment
    key = retry_key(request, deployment.pk, request.caller.token.pk)
    secret = actions.new_hook_secret(deployment=deployment, by=request.caller.user, key=key)
    return Status(201, WebhookSecret(webhook_url=shown.hook_url(deployment), secret=secret))
