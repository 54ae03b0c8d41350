"""Pages of alert channels: secrets are shown once, what is wrong stands beside its field, tests are limited."""

import pytest
from django.urls import reverse

from console.tests.html_rules import complaints, words_in
from deployments.models import AlertChannel, AlertDelivery, AlertRule
from deployments.secrets import alert_channels
from deployments.tests.pages.test_alerts import channel, url  # noqa: F401 - fixtures
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_the_secret_of_a_webhook_is_shown_once_and_its_address_never(as_, alice, url, caplog):  # noqa: F811
    address = "https://hooks.example.com/services/T0/very-secret-part"
    answer = as_(alice).post(url("alert_channel_new", "webhook"), {"name": "Pager", "url": address})
    assert answer.status_code == 200
    page = answer.content.decode()
    made = AlertChannel.objects.get()
    secret = alert_channels.secret_of(made)
    assert secret in page
    assert alert_channels.url_of(made) == address
    for place in (
        url("alert_channels"),
        url("alert_channel", made.pk),
        url("alert_channel_remove", made.pk),
        url("alert_rule_new", "stalled"),
        reverse("deployments:activity", args=[made.workspace_id]),
    ):
        shown = as_(alice).get(place).content.decode()
        assert "very-secret-part" not in shown
        assert secret not in shown
    assert "https://hooks.example.com/…" in as_(alice).get(url("alert_channels")).content.decode().replace(
        "<wbr>", ""
    )
    kept = str(list(AuditEvent.objects.values("old", "new"))) + caplog.text
    assert "very-secret-part" not in kept
    assert secret not in kept


def test_replacing_the_secret_of_a_webhook_says_first_what_stops_working(as_, alice, url):  # noqa: F811
    as_(alice).post(url("alert_channel_new", "webhook"), {"name": "P", "url": "https://hooks.example.com/a"})
    page = as_(alice).get(url("alert_channel", AlertChannel.objects.get().pk)).content.decode()
    assert "refuses them until you give it the new one" in words_in(page, "class", "menu menu--ask")
    assert complaints(page) == []


def test_an_address_that_was_typed_beside_a_mistake_is_not_sent_back(as_, alice, url):  # noqa: F811
    body = {"name": "", "url": "https://hooks.example.com/very-secret-part"}
    answer = as_(alice).post(url("alert_channel_new", "slack"), body)
    assert answer.status_code == 422
    assert "very-secret-part" not in answer.content.decode()
    assert "Enter the address again" in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("slack", {"name": "S", "url": "http://127.0.0.1/"}, "WEBHOOK_ADDRESSES"),
        ("slack", {"name": "S", "url": ""}, "Enter the address of the webhook."),
        ("webhook", {"name": "S", "url": "http://example.com/"}, "begins with https://"),
        ("email", {"name": "S", "addresses": "eve@evil.example"}, "ALERT_EMAIL_DOMAINS"),
        ("email", {"name": "Ops", "addresses": "alice@example.org"}, "that no other channel"),
    ],
)
def test_a_channel_that_may_not_be_is_refused_beside_its_field(
    as_,
    alice,
    url,  # noqa: F811
    channel,  # noqa: F811
    kind,
    body,
    sentence,
):
    answer = as_(alice).post(url("alert_channel_new", kind), body)
    assert answer.status_code == 422
    assert sentence in answer.content.decode().replace("&#x27;", "'")
    assert AlertChannel.objects.count() == 1


def test_an_address_is_kept_when_only_the_name_changes(as_, alice, url, settings):  # noqa: F811
    as_(alice).post(url("alert_channel_new", "slack"), {"name": "S", "url": "https://hooks.example.com/a"})
    made = AlertChannel.objects.get()
    as_(alice).post(url("alert_channel", made.pk), {"name": "Team", "url": ""})
    made.refresh_from_db()
    assert (made.name, alert_channels.url_of(made)) == ("Team", "https://hooks.example.com/a")


def test_an_operator_s_domain_may_be_mailed(as_, alice, url, settings):  # noqa: F811
    settings.ALERT_EMAIL_DOMAINS = ["ops.example"]
    body = {"name": "On call", "addresses": "oncall@ops.example\nalice@example.org"}
    assert as_(alice).post(url("alert_channel_new", "email"), body).status_code == 303
    assert AlertChannel.objects.get().addresses == ["oncall@ops.example", "alice@example.org"]


def test_a_test_is_queued_and_its_answer_is_listed(as_, alice, url, channel, enqueued_alerts):  # noqa: F811
    answer = as_(alice).post(url("alert_channel_test", channel.pk), follow=True).content.decode()
    assert "Test: Alerts of Acme Data arrive here" in answer
    assert AlertDelivery.objects.get().event == "test"


def test_tests_are_limited(as_, alice, url, channel, one_window):  # noqa: F811
    answers = [as_(alice).post(url("alert_channel_test", channel.pk)).status_code for _ in range(11)]
    assert (answers[9], answers[10]) == (303, 429)


def test_removing_a_channel_says_which_rules_go_on_without_it(as_, alice, url, channel, workspace):  # noqa: F811
    rule = AlertRule.objects.create(workspace=workspace, kind="stalled")
    rule.channels.add(channel)
    page = as_(alice).get(url("alert_channel_remove", channel.pk)).content.decode()
    assert "The rule “Stalled” goes on without it." in page
    as_(alice).post(url("alert_channel_remove", channel.pk))
    assert AlertRule.objects.get().channels.count() == 0
