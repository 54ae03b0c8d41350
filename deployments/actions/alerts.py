"""What people do about alerts: silence them, and have a message sent again."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from console.kit.database_clock import database_now
from console.kit.refusals import InvalidInput
from deployments import enqueue
from deployments.actions.refusals import AlertGone, DeliveryUnderWay
from deployments.domain.alert_rules import SILENCE_HOURS
from deployments.domain.alert_words import Message
from deployments.models import Alert, AlertChannel, AlertDelivery, AlertSilence, Deployment
from deployments.queries import alerts as queries
from workspaces import audit
from workspaces.models import User, Workspace

AGAIN_AFTER = timedelta(seconds=10)  # two people who click at once send one message
AGAIN_RATE = (30, 600)  # messages that one person sends again, in so many seconds
STATE = AlertDelivery.State


def _until(hours: int) -> timedelta:
    if hours not in SILENCE_HOURS:
        raise InvalidInput({"hours": "Choose how long from the list."})
    return timedelta(hours=hours)


@transaction.atomic
def silence_alert(*, workspace: Workspace, by: User, pk: UUID, hours: int) -> Alert:
    """Send nothing more about one open alert for so many hours; 0 ends that. Raises InvalidInput and AlertGone."""
    alert = Alert.objects.select_related("deployment").filter(pk=pk, workspace=workspace).first()
    if alert is None:
        raise AlertGone
    until = database_now() + _until(hours) if hours else None
    same = Alert.objects.filter(pk=pk, resolved_at__isnull=True)
    if not same.update(silenced_until=until, silenced_by=by.label if until else ""):
        raise AlertGone
    verb = "silenced an alert of" if until else "ended the silence of an alert of"
    values = {"alert": alert.headline, **({"until": f"{until:%Y-%m-%d %H:%M} UTC"} if until else {})}
    if alert.deployment is not None:
        audit.record(alert.deployment, by, verb, new=values)
    else:
        audit.record(workspace, by, verb, new=values)
    alert.silenced_until = until
    return alert


@transaction.atomic
def silence_deployment(*, deployment: Deployment, by: User, hours: int) -> datetime | None:
    """Send nothing about a Deployment for so many hours; 0 ends that. Until when. Raises InvalidInput."""
    if not hours:
        if AlertSilence.objects.filter(deployment=deployment).delete()[0]:
            audit.record(deployment, by, "ended the silence of alerts of")
        return None
    until = database_now() + _until(hours)
    AlertSilence.objects.update_or_create(deployment=deployment, defaults={"until": until, "by": by.label})
    audit.record(deployment, by, "silenced alerts of", new={"until": f"{until:%Y-%m-%d %H:%M} UTC"})
    return until


@transaction.atomic
def send_again(
    *, workspace: Workspace, by: User, pk: UUID, deployment: Deployment | None = None
) -> AlertDelivery:
    """Send a message once more, also one that arrived. Raises AlertGone for none, and DeliveryUnderWay when it is on
    its way or was sent a moment ago."""
    rows = AlertDelivery.objects.filter(pk=pk, workspace=workspace)
    if deployment is not None:
        rows = rows.filter(deployment=deployment)
    row = rows.select_related("channel").first()
    if row is None:
        raise AlertGone(
            "There is no such message, or it is no longer kept. Look at the list of what was sent."
        )
    rested = Q(tried_at__isnull=True) | Q(tried_at__lte=Now() - AGAIN_AFTER)
    over = rows.filter(rested).exclude(state__in=[STATE.QUEUED, STATE.HELD])
    if not over.update(state=STATE.QUEUED, tries=0, due_at=Now(), tried_at=Now()):
        raise DeliveryUnderWay
    audit.record(row.channel, by, "sent an alert again to", new={"alert": row.message.title[:200]})
    transaction.on_commit(partial(enqueue.send_alert, row.pk), robust=True)
    return row


def queue_test(channel: AlertChannel, workspace: Workspace) -> int:
    """Queue a test for every mailbox of a channel; how many. Within a transaction."""
    path = reverse("deployments:alert_channels", args=[workspace.pk])
    message = Message(
        event="test",
        headline=f"Alerts of {workspace.name} arrive here",
        rule="Test",
        workspace=workspace.name,
        workspace_id=str(workspace.pk),
        rules_path=path,
    )
    rows = [
        AlertDelivery(
            workspace=workspace,
            channel=channel,
            event="test",
            address=address[:300],
            content=message.stored(),
        )
        for address in queries.mailboxes(channel)
    ]
    AlertDelivery.objects.bulk_create(rows)
    for row in rows:
        transaction.on_commit(partial(enqueue.send_alert, row.pk), robust=True)
    return len(rows)
