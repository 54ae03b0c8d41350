"""Messages of alerts that the mail server, or a webhook, does not take now."""
# ruff: noqa: F811 - fixtures

import smtplib

import pytest
from django.utils import timezone

from console.kit import mail_tries
from deployments.domain.alert_rules import ChannelKind
from deployments.models import AlertDelivery
from deployments.outgoing import webhook
from deployments.outgoing.webhook import WebhookAnswer
from deployments.queries.alerts import RESTS
from deployments.reconciler import alert_delivery, alert_outbox
from deployments.tests.receivers import Inbox
from deployments.tests.reconciler.test_alert_delivery import (  # noqa: F401 - fixtures
    channel,
    due_again,
    inbox,
    mail_port,
    queued,
    receiver,
    state,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted, try later", "452 4.5.3 too many recipients"])
def test_a_mail_server_that_asks_to_try_later_is_asked_again(inbox, channel, answer):
    inbox.refuses.add("alice@example.org")
    inbox.refusal = answer
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    alert_delivery.send(row.pk)
    assert state(row) == ("queued", None, "The mail server asks to try later.")
    inbox.refuses.clear()
    due_again(row)
    assert alert_delivery.send(row.pk)


def test_while_the_mail_server_is_silent_one_mail_finds_out_and_webhooks_go_on(
    mail_port,
    channel,
    receiver,
    enqueued_alerts,
    monkeypatch,
):
    asked = []
    silent = smtplib.SMTP.connect
    monkeypatch.setattr(smtplib.SMTP, "connect", lambda *place: asked.append(1) or silent(*place))
    mails, _ = channel(ChannelKind.EMAIL, None, "alice@example.org")
    rows = [queued(mails, "alice@example.org") for _ in range(5)]
    hook = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    assert not any(alert_delivery.send(row.pk) for row in rows)
    assert len(asked) == 1
    enqueued_alerts.clear()
    assert alert_outbox.hint_due() == 1
    assert enqueued_alerts == [hook.pk]
    assert alert_delivery.send(hook.pk)
    AlertDelivery.objects.filter(pk=rows[0].pk).update(tried_at=timezone.now() - RESTS)
    with Inbox().at(mail_port) as back:
        assert alert_outbox.hint_due() == 4
        assert all(alert_delivery.send(row.pk) for row in rows[1:])
    assert len(back.letters) == 4


def test_while_a_webhook_is_silent_one_message_finds_out_and_other_channels_go_on(
    receiver, channel, monkeypatch
):
    asked, post = [], webhook.post

    def silent(target, *message, **listed):
        asked.append(target.path)
        return (
            WebhookAnswer(None, "It hangs.") if "hangs" in target.path else post(target, *message, **listed)
        )

    monkeypatch.setattr(webhook, "post", silent)
    hangs, _ = channel(ChannelKind.WEBHOOK, f"{receiver.url}&hangs")
    rows = [queued(hangs) for _ in range(5)]
    other = queued(channel(ChannelKind.SLACK, receiver.url)[0])
    assert not any(alert_delivery.send(row.pk) for row in rows)
    assert alert_delivery.send(other.pk)
    assert len(asked) == 2
    due_again(rows[0])
    alert_delivery.send(rows[0].pk)  # the same one is tried again at its own times
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("error", "refusal", "delay"),
    [
        (smtplib.SMTPServerDisconnected("gone"), "", "The mail server does not answer."),
        (ConnectionRefusedError(), "", "The mail server does not answer."),
        (smtplib.SMTPConnectError(421, b"too many"), "", "The mail server asks to try later."),
        (smtplib.SMTPDataError(554, b"spam"), "", "The mail server did not take the mail."),
        (smtplib.SMTPSenderRefused(452, b"busy", "a@b.c"), "", "The mail server asks to try later."),
        (
            smtplib.SMTPSenderRefused(550, b"no", "a@b.c"),
            "The mail server refused the sender. Ask a site administrator to check EMAIL_FROM.",
            "The mail server did not take the mail.",
        ),
    ],
)
def test_only_a_refusal_for_good_ends_the_tries(error, refusal, delay):
    assert (mail_tries.refusal(error), mail_tries.delay(error)) == (refusal, delay)
