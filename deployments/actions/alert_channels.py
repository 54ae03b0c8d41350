"""Where alerts are sent: mailboxes, webhooks, Slack. The address of a webhook and its secret are sealed; the secret is
known to the call that makes it, and nowhere later."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from console.kit import names
from console.kit.refusals import InvalidInput
from deployments.actions.alerts import queue_test
from deployments.actions.common import is_answered_again, secret_until
from deployments.actions.refusals import (
    AlertChannelExists,
    AlertChannelGone,
    KeyReused,
    TooManyAlertChannels,
)
from deployments.domain import webhook_signature, webhook_url
from deployments.domain.alert_rules import (
    CHANNEL_NAME_LENGTH,
    MOST_CHANNELS,
    ChannelKind,
    address_problem,
)
from deployments.models import AlertChannel
from deployments.queries.alerts import member_addresses
from deployments.secrets import alert_channels as sealed
from workspaces import audit
from workspaces.actions.locks import lock_for
from workspaces.models import User, Workspace
from workspaces.permissions import Permission

TEST_RATE = (10, 600)  # tests of one person, in so many seconds: mailboxes of others are at stake


@dataclass(frozen=True)
class ChannelWish:
    """A channel as it is asked for. A `url` of None keeps the one there is."""

    kind: ChannelKind
    name: str
    addresses: tuple[str, ...] = ()
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MadeChannel:
    """A channel, and the secret of a webhook: the only time that it is known. "" for the others."""

    channel: AlertChannel
    secret: str = field(default="", repr=False)


@transaction.atomic
def make_channel(
    *, workspace: Workspace, by: User, wish: ChannelWish, key: UUID | None = None
) -> MadeChannel:
    """A new one. The same `key` twice gives the first one again, with its secret for SECRET_AGAIN. Raises InvalidInput,
    AlertChannelExists, TooManyAlertChannels, KeyReused, or as `locks.lock_for`."""
    lock_for(workspace.pk, by, Permission.EDIT_WORKSPACE)
    values = _judged(workspace, wish, has_url=False)
    if earlier := _made_by(key, AlertChannel.objects.filter(workspace=workspace)):
        if (earlier.kind, earlier.name) != (wish.kind, values["name"]):
            raise KeyReused("channel")
        return MadeChannel(
            earlier, sealed.secret_of(earlier) if is_answered_again(earlier.retry_until) else ""
        )
    if AlertChannel.objects.filter(workspace=workspace).count() >= MOST_CHANNELS:
        raise TooManyAlertChannels
    if (
        wish.kind is ChannelKind.ADMINS
        and AlertChannel.objects.filter(workspace=workspace, kind=wish.kind).exists()
    ):
        raise InvalidInput({"name": "There is a channel to all Admins already."})
    channel = AlertChannel(workspace=workspace, kind=wish.kind, updated_by=by, **values)
    secret = ""
    if wish.url:
        sealed.seal_url(channel, wish.url)
    if wish.kind is ChannelKind.WEBHOOK:
        secret = webhook_signature.new_secret()
        sealed.seal_secret(channel, secret)
    channel.retry_key, channel.retry_until = key, secret_until()
    _save(channel, insert=True)
    audit.record(channel, by, "created", new=_audited(channel))
    return MadeChannel(channel, secret)


@transaction.atomic
def change_channel(*, workspace: Workspace, by: User, pk: UUID, wish: ChannelWish) -> AlertChannel:
    """Send elsewhere from now on, or by another name; of the addresses those that are new in it are judged. Raises
    AlertChannelGone, and as `make_channel`."""
    channel = lock_channel(workspace=workspace, by=by, pk=pk)
    old = _audited(channel)
    kind = channel.word
    if wish.kind is not kind:
        raise InvalidInput({"name": "The kind of a channel cannot be changed. Make another channel."})
    values = _judged(
        workspace,
        wish,
        has_url=channel.sealed_url is not None,
        kept=[str(each) for each in channel.addresses],
    )
    for name, value in values.items():
        setattr(channel, name, value)
    if wish.url:
        sealed.seal_url(channel, wish.url)
    channel.updated_by = by
    _save(channel)
    new = _audited(channel)
    if wish.url:
        new["address"] = f"{channel.shown_url} (entered again)"
    if new != old:
        audit.record(channel, by, "changed", old=old, new=new)
    return channel


@transaction.atomic
def remove_channel(*, workspace: Workspace, by: User, pk: UUID) -> AlertChannel:
    """Nothing is sent there any more; rules that named it go on without it. Raises AlertChannelGone, or as
    `locks.lock_for`."""
    channel = lock_channel(workspace=workspace, by=by, pk=pk)
    audit.record(channel, by, "removed", old=_audited(channel))
    channel.delete()
    return channel


@transaction.atomic
def new_channel_secret(*, workspace: Workspace, by: User, pk: UUID, key: UUID | None = None) -> MadeChannel:
    """Another secret for a webhook; the one before ends at once. The same `key` again within SECRET_AGAIN gives the one
    that it made. Raises AlertChannelGone, InvalidInput for another kind of channel, or as `locks.lock_for`."""
    channel = lock_channel(workspace=workspace, by=by, pk=pk)
    if channel.word is not ChannelKind.WEBHOOK:
        raise InvalidInput({"kind": "Only a webhook has a secret."})
    if key is not None and channel.retry_key == key and is_answered_again(channel.retry_until):
        return MadeChannel(channel, sealed.secret_of(channel))
    secret = webhook_signature.new_secret()
    sealed.seal_secret(channel, secret)
    channel.retry_key, channel.retry_until = key, secret_until()
    channel.save(update_fields=["sealed_secret", "retry_key", "retry_until"])
    audit.record(channel, by, "made a new secret for")
    return MadeChannel(channel, secret)


@transaction.atomic
def test_channel(*, workspace: Workspace, by: User, pk: UUID) -> int:
    """Queue a message that says that it is a test; how many. Raises AlertChannelGone, or as `locks.lock_for`."""
    channel = lock_channel(workspace=workspace, by=by, pk=pk)
    count = queue_test(channel, workspace)
    audit.record(channel, by, "tried")
    return count


def _made_by(key: UUID | None, rows: QuerySet[AlertChannel]) -> AlertChannel | None:
    """The channel that a request with this key made."""
    return None if key is None else rows.filter(retry_key=key).first()


def lock_channel(*, workspace: Workspace, by: User, pk: UUID) -> AlertChannel:
    """The channel as it is until the transaction ends. Raises AlertChannelGone, or as `locks.lock_for`."""
    lock_for(workspace.pk, by, Permission.EDIT_WORKSPACE)
    channel = AlertChannel.objects.select_for_update().filter(pk=pk, workspace=workspace).first()
    if channel is None:
        raise AlertChannelGone
    channel.workspace = workspace
    return channel


def _judged(
    workspace: Workspace, wish: ChannelWish, *, has_url: bool, kept: Iterable[str] = ()
) -> dict[str, Any]:
    """The columns of what is asked for; `kept` are addresses that it has now. Raises InvalidInput with every sentence
    at once."""
    values: dict[str, Any] = {}
    problems = {}
    try:
        values["name"] = names.clean(wish.name, longest=CHANNEL_NAME_LENGTH)
    except ValueError as error:
        problems["name"] = str(error)
    if wish.kind is ChannelKind.EMAIL:
        values["addresses"] = list(wish.addresses)
        members, domains = member_addresses(workspace.pk), settings.ALERT_EMAIL_DOMAINS
        if problem := address_problem(wish.addresses, members, domains, kept=kept):
            problems["addresses"] = problem
    elif not wish.kind.is_mail and (wish.url or not has_url):
        try:
            values["shown_url"] = webhook_url.read(wish.url or "").shown[:300]
        except ValueError as error:
            problems["url"] = str(error)
    if problems:
        raise InvalidInput(problems)
    return values


def _save(channel: AlertChannel, *, insert: bool = False) -> None:
    try:
        with transaction.atomic():
            channel.save(force_insert=insert)
    except IntegrityError as error:
        raise AlertChannelExists from error


def _audited(channel: AlertChannel) -> dict[str, Any]:
    return {"name": channel.name, "address": channel.leads_to}
