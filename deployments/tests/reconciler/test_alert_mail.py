"""A mail of an alert that the mail server does not take now."""

import smtplib

import pytest

from console.kit import mail_tries
from deployments.domain.alert_rules import ChannelKind
from deployments.reconciler import alert_delivery
from deployments.tests.reconciler.test_alert_delivery import (
    channel,
    due_again,
    inbox,
    mail_port,
    queued,
    state,
)  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted, try later", "452 4.5.3 too many recipients"])
def test_a_mail_server_that_asks_to_try_later_is_asked_again(inbox, channel, answer):  # noqa: F811
    inbox.refuses.add("alice@example.org")
    inbox.refusal = answer
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    alert_delivery.send(row.pk)
    assert state(row) == ("queued", None, "The mail server asks to try later.")
    inbox.refuses.clear()
    due_again(row)
    assert alert_delivery.send(row.pk)


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
