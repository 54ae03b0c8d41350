"""One message of an alert: to a real SMTP server, and to a real HTTP server on loopback."""

import json
import socket
import threading
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from urllib3.connection import HTTPConnection

from console.kit.mail_tries import BACKOFF_SECONDS
from deployments.actions import alert_channels
from deployments.actions.alert_channels import ChannelWish
from deployments.actions.alerts import send_again
from deployments.actions.refusals import DeliveryUnderWay
from deployments.domain import webhook_url
from deployments.domain.alert_rules import ChannelKind
from deployments.domain.public_hosts import WEBHOOKS, Listed
from deployments.models import AlertChannel, AlertDelivery
from deployments.outgoing import sockets, webhook
from deployments.reconciler import alert_delivery
from deployments.tests.receivers import Inbox, Receiver, signature

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail_port(settings) -> int:
    """Where Django sends mail, whether a server listens or not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"host": "127.0.0.1", "port": port, "timeout": 5}
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
    }
    return port


@pytest.fixture
def inbox(mail_port):
    with Inbox().at(mail_port) as inbox:
        yield inbox


@pytest.fixture
def receiver():
    before = WEBHOOKS.listed
    WEBHOOKS.allow(["127.0.0.1"])
    made = Receiver()
    yield made
    made.close()
    WEBHOOKS.listed = before


@pytest.fixture
def channel(workspace, alice):
    """Makes a channel of a kind: the channel and its secret."""

    def make(kind: ChannelKind, url: str | None = None, *addresses: str):
        wish = ChannelWish(kind, kind.label, addresses, url)
        made = alert_channels.make_channel(workspace=workspace, by=alice, wish=wish)
        return made.channel, made.secret

    return make


def queued(channel: AlertChannel, address: str = "") -> AlertDelivery:
    content = {
        "event": "opened",
        "headline": "Analytics is Unhealthy",
        "workspace": "Acme Data",
        "rule": "Unhealthy for 5 minutes",
        "path": "/deployments/native-cosmos-3782/",
        "rules_path": "/deployments/native-cosmos-3782/alerts/",
    }
    return AlertDelivery.objects.create(
        workspace=channel.workspace,
        channel=channel,
        event="opened",
        address=address or channel.shown_url,
        content=content,
    )


def due_again(row: AlertDelivery) -> None:
    AlertDelivery.objects.filter(pk=row.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def state(row: AlertDelivery) -> tuple[str, int | None, str]:
    row.refresh_from_db()
    return row.state, row.status, row.answer


def test_a_mail_arrives_with_what_where_and_a_link(inbox, channel):
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    assert alert_delivery.send(row.pk)
    (letter,) = inbox.letters
    assert letter["Subject"] == "Analytics is Unhealthy (Acme Data)"
    assert letter["To"] == "alice@example.org"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "http://testserver/deployments/native-cosmos-3782/" in letter.get_content()
    assert state(row) == ("sent", 250, "The mail server took it.")
    assert not alert_delivery.send(row.pk)
    assert len(inbox.letters) == 1


def test_a_mail_server_that_is_silent_delays_the_mail_and_the_page_says_so(mail_port, channel, as_, vera):
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    assert not alert_delivery.send(row.pk)
    assert state(row) == ("queued", None, "The mail server does not answer.")
    assert row.due_at > timezone.now() + timedelta(seconds=10)
    page = as_(vera).get(f"/w/{row.workspace_id}/alerts/deliveries/").content.decode()
    assert "Retrying" in page
    assert "The mail server does not answer." in page
    AlertDelivery.objects.update(tries=len(BACKOFF_SECONDS))
    due_again(row)
    alert_delivery.send(row.pk)
    assert state(row)[0] == "failed"


def test_a_refused_mailbox_is_not_tried_again(inbox, channel):
    inbox.refuses.add("alice@example.org")
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    alert_delivery.send(row.pk)
    assert state(row) == ("failed", None, "The mail server refused the address.")


def test_who_is_no_member_any_more_gets_no_mail_and_the_others_do(inbox, channel, workspace, vera, settings):
    settings.ALERT_EMAIL_DOMAINS = ["ops.example"]
    addresses = ["alice@example.org", "vera@example.org", "oncall@ops.example"]
    made, _ = channel(ChannelKind.EMAIL, None, *addresses)
    admins, _ = channel(ChannelKind.ADMINS)
    rows = [queued(made, address) for address in addresses]
    rows += [queued(admins, address) for address in ("vera@example.org", "oncall@ops.example")]
    workspace.memberships.filter(user=vera).delete()
    assert [alert_delivery.send(row.pk) for row in rows] == [True, False, True, False, False]
    assert [letter["To"] for letter in inbox.letters] == ["alice@example.org", "oncall@ops.example"]
    gone = "No active member of the Workspace has this address."
    remedy = "Remove it from the channel, or invite that person."
    assert state(rows[1]) == ("failed", None, f"{gone} {remedy}")
    assert state(rows[3]) == ("failed", None, gone)


def test_a_webhook_is_json_that_its_receiver_can_check(receiver, channel):
    made, secret = channel(ChannelKind.WEBHOOK, receiver.url)
    row = queued(made)
    assert alert_delivery.send(row.pk)
    ((headers, body),) = receiver.requests
    assert json.loads(body)["event"] == "alert.opened"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == str(row.pk)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
    assert headers["webhook-signature"] == signature(secret, headers, body)
    assert state(row) == ("sent", 200, "ok")


def test_another_secret_signs_from_then_on(receiver, channel, workspace, alice):
    made, old = channel(ChannelKind.WEBHOOK, receiver.url)
    new = alert_channels.new_channel_secret(workspace=workspace, by=alice, pk=made.pk).secret
    assert new != old
    alert_delivery.send(queued(made).pk)
    ((headers, body),) = receiver.requests
    assert headers["webhook-signature"] == signature(new, headers, body) != signature(old, headers, body)


def test_slack_gets_a_text_and_no_signature(receiver, channel):
    alert_delivery.send(queued(channel(ChannelKind.SLACK, receiver.url)[0]).pk)
    ((headers, body),) = receiver.requests
    assert list(json.loads(body)) == ["text"]
    assert "webhook-signature" not in headers


def test_a_webhook_that_fails_is_tried_three_times_and_then_shown(receiver, channel):
    receiver.answer = (503, {}, b"  \n\x1b[31mcome back later\r\nand more")
    row = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    waits = []
    for _ in range(5):
        alert_delivery.send(row.pk)
        row.refresh_from_db()
        waits.append(round((row.due_at - timezone.now()).total_seconds(), -1))
        due_again(row)
    assert len(receiver.requests) == 3
    assert waits[:2] == [10, 60]
    assert state(row) == ("failed", 503, "[31mcome back later")


def test_a_redirect_is_not_followed(receiver, channel):
    receiver.answer = (302, {"Location": "http://127.0.0.1:1/"}, b"")
    row = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    alert_delivery.send(row.pk)
    assert state(row) == ("failed", 302, "It redirects, which is not followed. Enter the present address.")
    assert len(receiver.requests) == 1


def test_what_is_no_longer_listed_is_not_sent_to(receiver, channel):
    row = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    WEBHOOKS.allow(())
    alert_delivery.send(row.pk)
    assert state(row)[0] == "failed"
    assert "is not a public address" in row.answer
    assert receiver.requests == []


def test_a_name_that_turns_private_after_it_was_judged_is_refused(receiver, monkeypatch):
    """What is connected to is one of the addresses that were judged, not what the name says a moment later."""
    WEBHOOKS.allow(())
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.server.server_address[1]))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [place])
    target = webhook_url.WebhookTarget("http", "rebinding.example", place[4][1], "/")
    answer = webhook.post(target, b"{}", {}, listed=Listed())
    assert answer.final
    assert "rebinding.example is 127.0.0.1, which is not a public address" in answer.line
    assert receiver.requests == []


def test_an_answer_that_drips_is_ended(receiver, monkeypatch):
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.9)
    receiver.drip, receiver.answer = True, (200, {}, b"x" * 2000)
    began = time.monotonic()
    answer = webhook.post(webhook_url.read(receiver.url), b"{}", {}, listed=WEBHOOKS.listed)
    assert time.monotonic() - began < 30  # the whole answer takes 100 s
    assert answer.status == 200


def test_a_server_that_says_nothing_costs_a_bounded_time(receiver, monkeypatch):
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = webhook_url.read(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        began = time.monotonic()
        answer = webhook.post(target, b"{}", {}, listed=WEBHOOKS.listed)
    assert time.monotonic() - began < 20
    assert (answer.status, answer.final) == (None, False)


@pytest.fixture
def many_silent(monkeypatch):
    """Names have this many addresses, none of which answers a connection: the queue of the one behind them is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
        yield lambda count: monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [place] * count)


@pytest.mark.parametrize(
    ("addresses", "total", "each"), [(3, 0.4, 10.0), (90, 60.0, 0.1)], ids=["deadline", "tries"]
)
def test_a_name_with_many_silent_addresses_costs_a_bounded_time(
    receiver, monkeypatch, many_silent, addresses, total, each
):
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", total)
    monkeypatch.setattr(sockets, "CONNECT_SECONDS", each)
    many_silent(addresses)
    began = time.monotonic()
    target = webhook_url.WebhookTarget("http", "many.example", 80, "/")
    answer = webhook.post(target, b"{}", {}, listed=WEBHOOKS.listed)
    assert 0.25 < time.monotonic() - began < 5  # else 30 s or 9 s
    assert (answer.status, answer.final) == (None, False)
    assert "No connection to many.example, port 80, could be made." in answer.line


def test_a_name_whose_servers_are_silent_costs_a_bounded_time(monkeypatch):
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.3)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: over.wait(30) and [])
    began = time.monotonic()
    target = webhook_url.WebhookTarget("https", "slow.example", 443, "/")
    answer = webhook.post(target, b"{}", {}, listed=Listed())
    assert time.monotonic() - began < 20
    over.set()
    assert (answer.status, answer.final) == (None, False)
    assert answer.line.startswith("The name servers of slow.example did not answer in time.")


def test_a_name_that_is_not_found_is_said_to_be(monkeypatch):
    def unknown(*arguments, **more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = webhook.post(
        webhook_url.WebhookTarget("https", "typo.example", 443, "/"), b"{}", {}, listed=Listed()
    )
    assert answer.line == "The name typo.example was not found. Check the address for typos."


def test_a_server_may_think_for_as_long_as_the_documentation_says(receiver, monkeypatch):
    real, waits = HTTPConnection.getresponse, []

    def noted(self):
        waits.append(self.timeout)
        return real(self)

    monkeypatch.setattr(HTTPConnection, "getresponse", noted)
    assert webhook.post(webhook_url.read(receiver.url), b"{}", {}, listed=WEBHOOKS.listed).taken
    assert 9 < waits[0] <= 10


def test_only_the_beginning_of_an_answer_is_read(receiver):
    receiver.answer = (200, {}, b"y" * 5_000_000)
    answer = webhook.post(webhook_url.read(receiver.url), b"{}", {}, listed=WEBHOOKS.listed)
    assert answer.line == "y" * webhook.LINE_LENGTH


def test_after_a_change_of_the_key_the_page_says_what_to_do(receiver, channel, settings):
    row = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
    alert_delivery.send(row.pk)
    assert state(row)[0] == "failed"
    assert "Enter the address of the channel again." in row.answer


def test_sending_again_is_a_click_and_two_people_send_once(inbox, channel, workspace, alice, bob):
    row = queued(channel(ChannelKind.EMAIL, None, "alice@example.org")[0], "alice@example.org")
    alert_delivery.send(row.pk)
    with pytest.raises(DeliveryUnderWay):
        send_again(workspace=workspace, by=alice, pk=row.pk)  # a moment ago
    AlertDelivery.objects.update(tried_at=timezone.now() - timedelta(minutes=1))
    send_again(workspace=workspace, by=alice, pk=row.pk)
    with pytest.raises(DeliveryUnderWay):
        send_again(workspace=workspace, by=bob, pk=row.pk)
    alert_delivery.send(row.pk)
    assert len(inbox.letters) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_workers_that_send_at_the_same_moment_send_once(receiver, channel):
    row = queued(channel(ChannelKind.WEBHOOK, receiver.url)[0])
    barrier = threading.Barrier(8)

    def run():
        try:
            barrier.wait(timeout=20)
            alert_delivery.send(row.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)
    assert len(receiver.requests) == 1
    assert state(row)[0] == "sent"
