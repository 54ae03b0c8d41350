"""Writes what is to be sent of an alert: a row per mailbox and webhook, in the transaction of what it reports."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from console.kit.database_clock import database_now
from deployments import enqueue
from deployments.domain.alert_life import WINDOW, spend
from deployments.domain.alert_words import MOST_LINES, Message
from deployments.models import Alert, AlertChannel, AlertDelivery, AlertRule, Deployment
from deployments.queries import alerts as queries
from deployments.secrets.alert_channels import without_secrets
from workspaces.models import Workspace

TRIES = 3  # to count an event, while other processes count too
BATCH = 200  # hints of one sweep
DELIVERIES_KEPT, ALERTS_KEPT = timedelta(days=30), timedelta(days=90)


def scrubbed(row: Deployment | None, text: str) -> str:
    """A sentence as it may leave the console."""
    return without_secrets(row, text) if row is not None else text


def put(rule: AlertRule, alert: Alert, event: str, *, path: str = "") -> int:
    """Queue the messages of one event; those beyond the rule's hour wait for the digest. How many."""
    workspace = alert.workspace
    channels = list(rule.channels.filter(workspace=workspace))
    places = [(channel, address) for channel in channels for address in queries.mailboxes(channel)]
    if not places:
        return 0
    now = database_now()
    state = AlertDelivery.State.QUEUED if _counted(rule, now) else AlertDelivery.State.HELD
    content = _message(rule, alert, event, now, path).stored()
    rows = [
        AlertDelivery(
            workspace=workspace,
            deployment=alert.deployment,
            channel=channel,
            rule=rule,
            alert=alert,
            event=event,
            address=address[:300],
            content=content,
            state=state,
        )
        for channel, address in places
    ]
    _write(rows)
    return len(rows)


def _write(rows: list[AlertDelivery]) -> None:
    AlertDelivery.objects.bulk_create(rows)
    for row in rows:
        if row.state == AlertDelivery.State.QUEUED:
            transaction.on_commit(partial(enqueue.send_alert, row.pk), robust=True)


def _counted(rule: AlertRule, now: datetime) -> bool:
    """Count one event of the rule; whether it is sent by itself. Two processes count one after the other."""
    for _ in range(TRIES):
        rule.refresh_from_db(fields=["window_since", "window_used"])
        after, alone = spend(rule.window, now)
        if after == rule.window:
            return alone
        same = AlertRule.objects.filter(pk=rule.pk, window_used=rule.window_used)
        same = (
            same.filter(window_since=rule.window_since)
            if rule.window_since
            else same.filter(window_since=None)
        )
        if same.update(window_since=after.since, window_used=after.used):
            return alone
    return False  # others changed the window each time: so many alerts at once become a digest


def pages_of(workspace: Workspace, row: Deployment | None) -> tuple[str, str]:
    """Where an alert is looked at, and where its rules are."""
    if row is not None:
        return row.url, row.url_for("alerts")
    page = reverse("deployments:workspace_alerts", args=[workspace.pk])
    return page, page


def _message(rule: AlertRule, alert: Alert, event: str, now: datetime, path: str) -> Message:
    row, workspace = alert.deployment, alert.workspace
    page, rules = pages_of(workspace, row)
    return Message(
        event=event,
        headline=alert.headline,
        sentence=alert.sentence,
        kind=rule.kind,
        rule=rule.title,
        subject=alert.subject,
        workspace=workspace.name,
        workspace_id=str(workspace.pk),
        deployment=row.name if row else "",
        release_name=row.release_name if row else "",
        alert_id=str(alert.pk),
        opened_at=alert.opened_at.isoformat(),
        at=now.isoformat(),
        path=path or page,
        rules_path=rules,
    )


def make_digests() -> int:
    """One message per mailbox and webhook of what was held back, once the hour of the rule is over; how many."""
    held = AlertDelivery.objects.filter(state=AlertDelivery.State.HELD)
    if not held.exists():
        return 0
    now = database_now()
    waiting = AlertRule.objects.filter(pk__in=held.values("rule"))
    over = waiting.filter(Q(window_since__isnull=True) | Q(window_since__lte=now - WINDOW))
    return sum(_digest(rule, now) for rule in over.select_related("workspace", "deployment__workspace"))


@transaction.atomic
def _digest(rule: AlertRule, now: datetime) -> int:
    # The process that moves the window on makes the digest.
    mine = AlertRule.objects.filter(pk=rule.pk, window_since=rule.window_since, window_used=rule.window_used)
    if not mine.update(window_since=now, window_used=0):
        return 0
    held = AlertDelivery.objects.select_for_update(of=("self",)).filter(
        rule=rule, state=AlertDelivery.State.HELD
    )
    by_place: dict[tuple[UUID, str], list[AlertDelivery]] = {}
    for each in held.select_related("channel", "workspace").order_by("created_at"):
        by_place.setdefault((each.channel_id, each.address), []).append(each)
    rows = [_digest_row(rule, each[0].channel, address, each, now) for (_, address), each in by_place.items()]
    AlertDelivery.objects.filter(rule=rule, state=AlertDelivery.State.HELD).update(
        state=AlertDelivery.State.DIGESTED, tried_at=Now()
    )
    _write(rows)
    return len(rows)


def _digest_row(
    rule: AlertRule, channel: AlertChannel, address: str, held: list[AlertDelivery], now: datetime
) -> AlertDelivery:
    """Of what was held back alone: its Deployment, with the rule, may have been transferred since, and what both are
    called now is another Workspace's."""
    workspace, row, count = held[0].workspace, rule.deployment, len(held)
    if row is not None and row.workspace_id != workspace.pk:
        row = None
    page, rules = pages_of(workspace, row)
    title = held[-1].message.rule
    message = Message(
        event="digest",
        headline=f"{count} more {'message' if count == 1 else 'messages'} of “{title}” within an hour",
        kind=rule.kind,
        rule=title,
        workspace=workspace.name,
        workspace_id=str(workspace.pk),
        at=now.isoformat(),
        path=page,
        rules_path=rules,
        lines=tuple(each.message.title for each in held[:MOST_LINES]),
        more=max(0, count - MOST_LINES),
    )
    return AlertDelivery(
        workspace=workspace,
        deployment=row,
        channel=channel,
        rule=rule,
        event="digest",
        address=address,
        content=message.stored(),
    )


def hint_due() -> int:
    """Ask workers for everything that is due: the guarantee behind the hints; how many."""
    due = AlertDelivery.objects.filter(state=AlertDelivery.State.QUEUED, due_at__lte=Now())
    pks = list(queries.sendable(due).order_by("due_at").values_list("pk", flat=True)[:BATCH])
    for pk in pks:
        enqueue.send_alert(pk)
    return len(pks)


def prune() -> int:
    """Drop what was sent more than a month ago, and what ended more than three months ago; how many rows."""
    over = (AlertDelivery.State.SENT, AlertDelivery.State.FAILED, AlertDelivery.State.DIGESTED)
    sent, _ = AlertDelivery.objects.filter(state__in=over, created_at__lt=Now() - DELIVERIES_KEPT).delete()
    ended, _ = Alert.objects.filter(resolved_at__lt=Now() - ALERTS_KEPT).delete()
    return sent + ended
