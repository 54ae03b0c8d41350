"""What a webhook says of itself: that it is busy, and for how long; that it is gone."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import words_in
from deployments.domain.alert_rules import ChannelKind
from deployments.models import AlertDelivery
from deployments.outgoing import webhook
from deployments.reconciler import alert_delivery, alert_outbox
from deployments.tests.reconciler.test_alert_delivery import (  # noqa: F401 - fixtures
    channel,
    due_again,
    queued,
    receiver,
    state,
)

pytestmark = pytest.mark.django_db


def waits(row: AlertDelivery) -> int:
    """Seconds until the next try."""
    row.refresh_from_db()
    return round((row.due_at - timezone.now()).total_seconds())


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "120", 120),
        (503, " 300 ", 300),
        (429, "3", 10),  # no sooner than without it
        (429, "86400", 900),  # an alert that comes a day late is none
        (429, "9" * 500, 900),
        (429, "-5", 10),
        (503, "soon", 10),
        (503, "٣٠٠", 10),
        (500, "120", 10),  # a server that broke does not know
    ],
)
def test_a_receiver_that_is_busy_is_left_alone_for_as_long_as_it_asks(
    receiver,  # noqa: F811
    channel,  # noqa: F811
    status,
    retry_after,
    seconds,
):
    receiver.answer = (status, {"Retry-After": retry_after.encode().decode("latin-1")}, b"rate limited")
    row = queued(channel(ChannelKind.SLACK, receiver.url)[0])
    assert not alert_delivery.send(row.pk)
    assert waits(row) == pytest.approx(seconds, abs=3)
    assert state(row) == ("queued", status, "rate limited")


def test_it_may_name_a_moment(receiver, channel):  # noqa: F811
    then = timezone.now() + timedelta(seconds=200)
    for moment, seconds in ((then, 200), (then - timedelta(days=1), 10)):
        AlertDelivery.objects.all().delete()
        receiver.answer = (503, {"Retry-After": format_datetime(moment, usegmt=True)}, b"")
        row = queued(channel(ChannelKind.SLACK if seconds == 200 else ChannelKind.WEBHOOK, receiver.url)[0])
        alert_delivery.send(row.pk)
        assert waits(row) == pytest.approx(seconds, abs=3)
    assert webhook.seconds_of("Wed, 99 Foo 2026 00:00:00 GMT") == 0


def test_other_messages_to_it_wait_too_and_other_channels_go_on(receiver, channel):  # noqa: F811
    receiver.answer = (429, {"Retry-After": "600"}, b"rate limited")
    busy, _ = channel(ChannelKind.WEBHOOK, receiver.url)
    rows = [queued(busy) for _ in range(3)]
    other = queued(channel(ChannelKind.SLACK, receiver.url)[0])
    assert not any(alert_delivery.send(row.pk) for row in rows)
    assert len(receiver.requests) == 1
    receiver.answer = (200, {}, b"ok")
    assert alert_outbox.hint_due() == 1
    assert alert_delivery.send(other.pk)
    due_again(rows[0])
    assert alert_outbox.hint_due() == 3
    assert all(alert_delivery.send(row.pk) for row in rows)


def test_one_that_says_it_is_gone_is_not_tried_again_and_the_page_says_so(
    receiver,  # noqa: F811
    channel,  # noqa: F811
    workspace,
    as_,
    vera,
):
    receiver.answer = (410, {"Retry-After": "1"}, b"channel_is_archived\nmore")
    row = queued(channel(ChannelKind.SLACK, receiver.url)[0])
    assert not alert_delivery.send(row.pk)
    sentence = "It says that this address is gone for good, so it is not tried again. Enter the present one."
    assert state(row) == ("failed", 410, f"{sentence} It said: channel_is_archived")
    due_again(row)
    assert not alert_delivery.send(row.pk)
    assert len(receiver.requests) == 1
    page = as_(vera).get(reverse("deployments:alert_deliveries", args=[workspace.pk])).content.decode()
    assert "Not sent" in words_in(page, "id", f"sent-{row.pk}")
    assert sentence in words_in(page, "id", f"sent-{row.pk}")


def test_the_page_says_when_the_next_try_is(receiver, channel, workspace, as_, vera):  # noqa: F811
    receiver.answer = (429, {"Retry-After": "600"}, b"rate limited")
    row = queued(channel(ChannelKind.SLACK, receiver.url)[0])
    alert_delivery.send(row.pk)
    page = as_(vera).get(reverse("deployments:alert_deliveries", args=[workspace.pk])).content.decode()
    assert "429 rate limited" in words_in(page, "id", f"sent-{row.pk}")
    assert "Next try in 9 minutes" in words_in(page, "id", f"sent-{row.pk}")
