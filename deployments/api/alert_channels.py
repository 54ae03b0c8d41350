"""Channels, where alerts are sent: made, changed, tried and removed, and what was sent there. The address of a webhook
goes in and never comes out; its secret is answered once, when it is made."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from ninja import Router, Schema, Status
from ninja.params.functions import Query

from console.kit import cursors, limits
from console.kit.http_json import Input, OptionalText, Text, Typed, form_data, require_match, retry_key
from console.kit.refusals import InvalidInput
from deployments.actions import alert_channels as actions
from deployments.actions import alerts as alert_actions
from deployments.actions.alert_rules import FOREIGN
from deployments.actions.refusals import AlertChannelGone
from deployments.api.documents import channel_etag
from deployments.domain.alert_rules import ChannelKind
from deployments.forms.alerts import ChannelForm
from deployments.models import AlertChannel, AlertDelivery, AlertRule
from deployments.queries import alerts as queries
from workspaces.api.auth import ApiRequest, InWorkspace, TooManyRequests
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.models import Workspace
from workspaces.permissions import Permission

router = Router(tags=["Alerts"])
ALL = "/workspaces/{uuid:workspace_id}/alert-channels"
ONE = f"{ALL}/{{uuid:channel_id}}"
DELIVERIES = "/workspaces/{uuid:workspace_id}/alert-deliveries"
ANY_KIND = f"Enter one of {', '.join(ChannelKind)}."
NOT_TEXTS = "Enter a list of email addresses."


class ChannelOut(Schema):
    """Where alerts are sent: `kind` is `admins`, `email`, `webhook` or `slack`, and `rules` are those that name it. The
    address of a webhook is never answered whole."""

    id: UUID
    name: str
    kind: str
    leads_to: str
    addresses: list[str]
    rules: list[str]


class ChannelList(Schema):
    """All of them, by name."""

    items: list[ChannelOut]


class MadeChannel(Schema):
    """A channel, and the secret with which a webhook is signed, "" for the others: no one can ask for it again."""

    channel: ChannelOut
    secret: str


class ChannelChange(Input):
    """What is to be another: its name, the mailboxes of `email`, the `url` of `webhook` and `slack`. What is left out
    stays, and so does the url where it is empty."""

    name: Text = None
    addresses: list[Text] = []
    url: OptionalText = None


class NewChannel(ChannelChange):
    """A new channel: `email` needs `addresses`, `webhook` and `slack` need a `url`."""

    kind: Text


class DeliveryOut(Schema):
    """One message to one mailbox or webhook. `event` is `opened`, `reminded`, `resolved`, `digest` or `test`; `state`
    is `queued` until it is `sent` or `failed`, `held` for a digest or `digested` in one. `answer` is the first line
    that came back, or why none did, and `status` that of HTTP."""

    id: UUID
    channel: str
    address: str
    event: str
    title: str
    state: str
    tries: int
    status: int | None
    answer: str
    created_at: datetime
    tried_at: datetime | None


class DeliveryPage(Schema):
    """A page of a list."""

    items: list[DeliveryOut]
    next: str | None


class SentTest(Schema):
    """The messages of a test, one for each mailbox."""

    items: list[DeliveryOut]


def _document(channel: AlertChannel) -> ChannelOut:
    return ChannelOut(
        id=channel.pk,
        name=channel.name,
        kind=channel.kind,
        leads_to=channel.leads_to,
        addresses=[str(each) for each in channel.addresses],
        rules=[each.title for each in channel.rules.all()],
    )


def _rows(workspace: Workspace) -> QuerySet[AlertChannel]:
    """With the rules that name them. Two queries."""
    rules = AlertRule.objects.order_by("kind", "dag", "pk")
    return queries.channels_of(workspace).prefetch_related(Prefetch("rules", rules))


def _one(workspace: Workspace, pk: UUID) -> AlertChannel:
    """Raises AlertChannelGone."""
    found = _rows(workspace).filter(pk=pk).first()
    if found is None:
        raise AlertChannelGone
    return found


def _delivery(row: AlertDelivery) -> DeliveryOut:
    return DeliveryOut(
        id=row.pk,
        channel=row.channel.name,
        address=row.address,
        event=row.event,
        title=row.message.title,
        state=row.state,
        tries=row.tries,
        status=row.status,
        answer=row.answer,
        created_at=row.created_at,
        tried_at=row.tried_at,
    )


def _filled(kind: ChannelKind, channel: AlertChannel | None, typed: Typed) -> ChannelForm:
    """The page's form with what was sent over what there is. Raises InvalidInput."""
    blank = ChannelForm(None, kind=kind, channel=channel)
    data: Any = {name: blank[name].value() or "" for name in blank.fields if name != "url"}
    for name, value in typed.data.items():
        if name == "kind":
            continue
        if name not in blank.fields:
            typed.problems[name] = f"A channel of the kind {kind} has no {name}. Leave it out."
        elif name == "addresses":
            data[name] = _lines(value, typed)
        else:
            data[name] = value
    form = ChannelForm(data, kind=kind, channel=channel)
    typed.refuse(form.errors)
    return form


def _lines(value: object, typed: Typed) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    typed.problems["addresses"] = NOT_TEXTS
    return ""


def _named(workspace: Workspace, channel: str) -> AlertChannel:
    """The channel with this name or id. Raises InvalidInput."""
    for each in queries.channels_of(workspace):
        if channel in {each.name, str(each.pk)}:
            return each
    raise InvalidInput({"channel": FOREIGN})


def _slow_down(request: ApiRequest, what: str, rate: tuple[int, int]) -> None:
    """Count one message of a person, on pages and here alike. Raises TooManyRequests."""
    limit, seconds = rate
    if wait := limits.hit(what, request.caller.user.pk, limit=limit, seconds=seconds):
        raise TooManyRequests(wait)


@router.get(
    ALL,
    auth=InWorkspace(Permission.VIEW),
    response=ChannelList,
    url_name="alert_channels",
    operation_id="list_alert_channels",
)
def channel_list(request: ApiRequest, workspace_id: UUID) -> ChannelList:
    """Where alerts of the Workspace may be sent."""
    return ChannelList(items=[_document(each) for each in _rows(request.membership.workspace)])


@router.post(
    ALL,
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response={201: MadeChannel},
    url_name="alert_channels",
    operation_id="create_alert_channel",
)
def create(request: ApiRequest, workspace_id: UUID, payload: NewChannel) -> Status[MadeChannel]:
    """A new channel. Rules name it before anything is sent there. The secret of a webhook is answered this once, and
    for an hour to the same Idempotency-Key, which makes one channel of however many tries."""
    workspace = request.membership.workspace
    typed = form_data(payload, texts=("kind", "name", "url"))
    word = str(typed.data.get("kind", ""))
    if word not in list(ChannelKind):
        typed.problems.setdefault("kind", ANY_KIND)
        typed.refuse({})
    form = _filled(ChannelKind(word), None, typed)
    key = retry_key(request, request.caller.token.pk)
    made = actions.make_channel(workspace=workspace, by=request.caller.user, wish=form.wish(), key=key)
    return Status(201, MadeChannel(channel=_document(_one(workspace, made.channel.pk)), secret=made.secret))


@router.get(
    ONE,
    auth=InWorkspace(Permission.VIEW),
    response=ChannelOut,
    url_name="alert_channel",
    operation_id="get_alert_channel",
)
def read(request: ApiRequest, workspace_id: UUID, channel_id: UUID, response: HttpResponse) -> ChannelOut:
    """One channel. Its ETag is for If-Match of PATCH."""
    channel = _one(request.membership.workspace, channel_id)
    response["ETag"] = channel_etag(channel)
    return _document(channel)


@router.patch(
    ONE,
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response=ChannelOut,
    url_name="alert_channel",
    operation_id="update_alert_channel",
)
def update(
    request: ApiRequest, workspace_id: UUID, channel_id: UUID, payload: ChannelChange, response: HttpResponse
) -> ChannelOut:
    """Change what is sent. The kind of a channel stays, and so does the secret of a webhook."""
    workspace, by = request.membership.workspace, request.caller.user
    typed = form_data(payload, texts=("name", "url"))
    with transaction.atomic():
        channel = actions.lock_channel(workspace=workspace, by=by, pk=channel_id)
        require_match(request, channel_etag(channel))
        form = _filled(channel.word, channel, typed)
        actions.change_channel(workspace=workspace, by=by, pk=channel_id, wish=form.wish())
        changed = _one(workspace, channel_id)
    response["ETag"] = channel_etag(changed)
    return _document(changed)


@router.delete(
    ONE,
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response={204: None},
    url_name="alert_channel",
    operation_id="delete_alert_channel",
)
def delete(request: ApiRequest, workspace_id: UUID, channel_id: UUID) -> Status[None]:
    """Delete a channel: nothing more is sent there. Rules that name it stay without it."""
    workspace, by = request.membership.workspace, request.caller.user
    actions.remove_channel(workspace=workspace, by=by, pk=channel_id)
    return Status(204, None)


@router.post(
    f"{ONE}/test",
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response={202: SentTest},
    url_name="test_alert_channel",
    operation_id="test_alert_channel",
)
def try_out(request: ApiRequest, workspace_id: UUID, channel_id: UUID) -> Status[SentTest]:
    """Send a message that says that it is a test; a person may do that 10 times in 10 minutes. What came back stands in
    the list of deliveries."""
    _slow_down(request, "alert_test", actions.TEST_RATE)
    workspace, by = request.membership.workspace, request.caller.user
    count = actions.test_channel(workspace=workspace, by=by, pk=channel_id)
    rows = queries.deliveries(workspace).filter(channel=channel_id, event="test")
    return Status(202, SentTest(items=[_delivery(row) for row in rows[:count]]))


@router.post(
    f"{ONE}/secret",
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response={201: MadeChannel},
    url_name="alert_channel_secret",
    operation_id="create_alert_channel_secret",
)
def new_secret(request: ApiRequest, workspace_id: UUID, channel_id: UUID) -> Status[MadeChannel]:
    """Another secret for a webhook; the one before ends at once. It is answered this once, and for an hour to the same
    Idempotency-Key."""
    workspace, by = request.membership.workspace, request.caller.user
    key = retry_key(request, channel_id, request.caller.token.pk)
    made = actions.new_channel_secret(workspace=workspace, by=by, pk=channel_id, key=key)
    return Status(201, MadeChannel(channel=_document(_one(workspace, channel_id)), secret=made.secret))


@router.get(
    DELIVERIES,
    auth=InWorkspace(Permission.VIEW),
    response=DeliveryPage,
    url_name="alert_deliveries",
    operation_id="list_alert_deliveries",
)
def delivery_list(
    request: ApiRequest,
    workspace_id: UUID,
    channel: str = Query("", description="Only what was sent to the channel of this name or id."),
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> DeliveryPage:
    """What was sent within the last 30 days, newest first, and what came back."""
    workspace = request.membership.workspace
    rows = queries.deliveries(workspace).order_by("-created_at", "-pk")
    rows = rows.filter(cursors.after(cursor, ("-created_at", datetime), ("-pk", UUID)))
    if channel:
        rows = rows.filter(channel=_named(workspace, channel))
    found, following = cursors.page(
        list(rows[: limit + 1]), limit, lambda row: cursors.pack(row.created_at.isoformat(), str(row.pk))
    )
    return DeliveryPage(items=[_delivery(row) for row in found], next=following)


@router.post(
    f"{DELIVERIES}/{{uuid:delivery_id}}/again",
    auth=InWorkspace(Permission.EDIT_DEPLOYMENT),
    response={202: DeliveryOut},
    url_name="alert_delivery_again",
    operation_id="send_alert_delivery_again",
)
def again(request: ApiRequest, workspace_id: UUID, delivery_id: UUID) -> Status[DeliveryOut]:
    """Send a message once more, also one that arrived; a person may do that 30 times in 10 minutes."""
    _slow_down(request, "alert_again", alert_actions.AGAIN_RATE)
    workspace, by = request.membership.workspace, request.caller.user
    alert_actions.send_again(workspace=workspace, by=by, pk=delivery_id)
    return Status(202, _delivery(queries.deliveries(workspace).get(pk=delivery_id)))
