"""Sends one message of an alert, once, and writes down what came back. The row says what is due; a message to a worker
is a hint. A worker that dies while it sends leaves a row that is due again after CLAIM: then a message may come twice,
and is never lost."""

import smtplib
import time
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.db.models.functions import Now

from console.kit import mail_tries
from console.kit.crypto import DecryptionError
from deployments.domain import alert_words, webhook_signature, webhook_url
from deployments.domain.alert_rules import ChannelKind, may_be_mailed
from deployments.domain.public_hosts import WEBHOOKS
from deployments.models import AlertDelivery
from deployments.outgoing import webhook
from deployments.outgoing.webhook import WebhookAnswer
from deployments.queries.alerts import member_addresses, sendable
from deployments.secrets import alert_channels

logger = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=60)  # longer than a task may run (45 s)
STRANGER = "No active member of the Workspace has this address."
HOOK_BACKOFF = (10, 60)  # seconds; three tries in all
MOST_WAIT = 900  # seconds that a receiver may ask us to wait: what an alert says is soon no longer so
STATE = AlertDelivery.State


def send(pk: UUID) -> bool:
    """Send it if it is due, no other worker does, and who takes it was not silent a moment ago; whether it
    arrived."""
    due = AlertDelivery.objects.filter(pk=pk, state=STATE.QUEUED, due_at__lte=Now())
    if not sendable(due).exists():
        return False
    if not due.update(due_at=Now() + CLAIM, tries=F("tries") + 1, tried_at=Now()):
        return False
    row = AlertDelivery.objects.select_related("channel").get(pk=pk)
    kind = row.channel.word
    try:
        answer = _mailed(row) if kind.is_mail else _posted(row, kind)
    except DecryptionError:
        answer = WebhookAnswer(
            None, "The key of this installation was changed. Enter the address of the channel again.", True
        )
    except Exception:
        logger.exception("alert_delivery_failed", delivery=str(pk))
        answer = WebhookAnswer(None, "The message could not be made. The worker's log has the reason.")
    _settle(row, answer, mail_tries.BACKOFF_SECONDS if kind.is_mail else HOOK_BACKOFF)
    return answer.taken


def _settle(row: AlertDelivery, answer: WebhookAnswer, backoff: tuple[int, ...]) -> None:
    values = {"status": answer.status, "answer": answer.line[:300]}
    same = AlertDelivery.objects.filter(pk=row.pk, tries=row.tries)
    if answer.taken:
        same.update(state=STATE.SENT, **values)
    elif answer.final or row.tries > len(backoff):
        logger.warning("alert_not_sent", delivery=str(row.pk), status=answer.status)
        same.update(state=STATE.FAILED, **values)
    else:
        pause = max(backoff[row.tries - 1], min(answer.wait, MOST_WAIT))
        same.update(due_at=Now() + timedelta(seconds=pause), **values)


def _mailed(row: AlertDelivery) -> WebhookAnswer:
    if why := _stranger(row):
        return WebhookAnswer(None, why, final=True)
    message = row.message
    mail = EmailMessage(
        subject=alert_words.subject(message),
        body=alert_words.mail(message, settings.BASE_URL),
        to=[row.address],
        headers=_mail_headers(row),
    )
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("alert_mail_failed", delivery=str(row.pk), error=type(error).__name__)
        why = mail_tries.refusal(error)
        return WebhookAnswer(None, why or mail_tries.delay(error), final=bool(why))
    return WebhookAnswer(250, "The mail server took it.")


def _stranger(row: AlertDelivery) -> str:
    """Why the mailbox is sent nothing any more: its owner left after the channel was saved, or after this message was
    queued. "" when it may be mailed. One query."""
    named = row.channel.word is ChannelKind.EMAIL
    domains = settings.ALERT_EMAIL_DOMAINS if named else ()
    if may_be_mailed(row.address, member_addresses(row.workspace_id), domains):
        return ""
    return f"{STRANGER} Remove it from the channel, or invite that person." if named else STRANGER


def _mail_headers(row: AlertDelivery) -> dict[str, str]:
    """All mails of one alert are a thread, and no machine answers them."""
    host = settings.BASE_URL.partition("://")[2].partition("/")[0].partition(":")[0]
    headers = {"Auto-Submitted": "auto-generated", "X-Airdeck-Event": row.event}
    if row.alert_id:
        thread = f"<alert-{row.alert_id}@{host}>"
        headers |= {"References": thread, "In-Reply-To": thread}
    return headers


def _posted(row: AlertDelivery, kind: ChannelKind) -> WebhookAnswer:
    try:
        target = webhook_url.read(alert_channels.url_of(row.channel))
    except ValueError as error:
        return WebhookAnswer(None, str(error), final=True)
    if kind is ChannelKind.SLACK:
        return webhook.post(
            target, alert_words.slack(row.message, settings.BASE_URL), {}, listed=WEBHOOKS.listed
        )
    body = alert_words.webhook(row.message, settings.BASE_URL)
    secret = alert_channels.secret_of(row.channel)
    signed = webhook_signature.headers(secret, message_id=str(row.pk), timestamp=int(time.time()), body=body)
    return webhook.post(target, body, signed, listed=WEBHOOKS.listed)
