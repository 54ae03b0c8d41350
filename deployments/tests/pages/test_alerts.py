"""Pages of alerts: setting rules, making channels, silencing, sending again; and that no secret comes back."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints, words_in
from deployments.actions.transfer import transfer_deployment
from deployments.models import Alert, AlertChannel, AlertDelivery, AlertRule, AlertSilence
from deployments.tests.one_of_everything import furnish_alerts
from workspaces.actions.workspaces import create_workspace
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

CONTENT = {"event": "opened", "headline": "Analytics is Unhealthy"}


@pytest.fixture
def url(workspace):
    return lambda name, *more: reverse(f"deployments:{name}", args=[workspace.pk, *more])


@pytest.fixture
def channel(workspace) -> AlertChannel:
    return AlertChannel.objects.create(
        workspace=workspace, kind="email", name="Ops", addresses=["alice@example.org"]
    )


def verbs() -> list[str]:
    rows = AuditEvent.objects.filter(object_type__startswith="alert").order_by("pk")
    return [f"{each.verb} {each.object_type} {each.object_label}" for each in rows]


def test_one_click_switches_on_the_usual_rules(as_, alice, url):
    page = as_(alice).get(url("workspace_alerts")).content.decode()
    assert "Email these to the Admins" in page
    answer = as_(alice).post(url("alerts_usual"), follow=True).content.decode()
    assert "4 rules are on; alerts are emailed to the Admins." in answer
    assert answer.count('data-tone="ok"') >= 4
    assert "Email the usual alerts to the Admins" not in answer  # there is nothing left to switch on
    assert "No open alerts" in as_(alice).get(url("workspace_alerts")).content.decode()
    assert "set alert rule Unhealthy for 5 minutes" in verbs()


def test_a_member_reads_and_is_told_who_can_change(as_, vera, url, channel):
    for name in ("workspace_alerts", "alert_rules", "alert_channels", "alert_deliveries"):
        page = as_(vera).get(url(name)).content.decode()
        assert "Alice can change rules and channels." in page
        assert "Send a test" not in page
        assert "Set up" not in page


def test_a_rule_is_set_changed_and_removed(as_, alice, url, channel, workspace):
    here = url("alert_rule_new", "queue_waiting")
    body = {"amount": "15", "channels": [str(channel.pk)], "enabled": "on"}
    assert as_(alice).post(here, body).status_code == 303
    rule = AlertRule.objects.get()
    assert (rule.title, rule.enabled, list(rule.channels.all())) == (
        "Worker queue waiting for 15 minutes",
        True,
        [channel],
    )
    edit = url("alert_rule", rule.pk)
    assert 'value="15"' in as_(alice).get(edit).content.decode()
    as_(alice).post(edit, {"amount": "20"})
    rule.refresh_from_db()
    assert (rule.amount, rule.enabled, rule.channels.count()) == (20, False, 0)
    as_(alice).post(url("alert_rule_remove", rule.pk))
    assert not AlertRule.objects.exists()
    assert [each.split()[0] for each in verbs()] == ["set", "changed", "removed"]


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("unhealthy", {"amount": "0"}, "Enter 1 to 1,440 minutes."),
        ("unhealthy", {"amount": "x"}, "Enter 1 to 1,440 minutes."),
        ("no_success", {"amount": "24", "dag": ""}, "Enter the name of the DAG as Airflow shows it."),
        ("unhealthy", {"amount": "5", "channels": [str(uuid4())]}, "Choose channels of this Workspace."),
        ("stalled", {"amount": "5"}, "This form has no field"),
    ],
)
def test_what_is_wrong_stands_beside_the_field(as_, alice, url, channel, kind, body, sentence):
    answer = as_(alice).post(url("alert_rule_new", kind), body)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert complaints(answer.content.decode()) == []  # each error leads to its field
    assert not AlertRule.objects.exists()


def test_the_box_that_switches_a_rule_on_names_the_rule(as_, alice, url):
    page = as_(alice).get(url("alert_rule_new", "queue_waiting")).content.decode()
    assert '<label for="id_enabled">The rule “Worker queue waiting” is on</label>' in page


def test_a_channel_of_another_workspace_is_refused(as_, alice, charlie, url):
    other = charlie.memberships.get().workspace
    foreign = AlertChannel.objects.create(workspace=other, kind="email", name="Theirs", addresses=["c@x.org"])
    body = {"enabled": "on", "channels": [str(foreign.pk)]}
    assert as_(alice).post(url("alert_rule_new", "stalled"), body).status_code == 422
    assert as_(alice).get(url("alert_channel", foreign.pk)).status_code == 404
    assert as_(alice).post(url("alert_channel_test", foreign.pk), follow=True).status_code == 200
    assert not AlertDelivery.objects.exists()


def test_a_deployment_sets_a_rule_differently_and_goes_back(as_, alice, bob, url, deployment, channel):
    as_(alice).post(url("alert_rule_new", "unhealthy"), {"amount": "5", "enabled": "on"})
    page = as_(bob).get(deployment.url_for("alerts")).content.decode()
    assert "As in the Workspace" in page
    assert "Set differently" in page
    as_(bob).post(
        deployment.url_for("own_rule_new", "unhealthy"),
        {"amount": "30", "enabled": "on", "channels": [str(channel.pk)]},
    )
    own = AlertRule.objects.get(deployment=deployment)
    page = as_(bob).get(deployment.url_for("alerts")).content.decode()
    assert "Unhealthy for 30 minutes" in page
    assert "Unhealthy for 5 minutes" not in page
    answer = as_(bob).post(deployment.url_for("own_rule_remove", own.pk), follow=True).content.decode()
    assert "The rule of the Workspace applies again." in answer
    assert "Unhealthy for 5 minutes" in answer


def test_a_rule_about_the_workspace_is_none_of_a_deployment(as_, bob, deployment):
    assert as_(bob).get(deployment.url_for("own_rule_new", "token_ending")).status_code == 404
    assert "API token expiring" not in as_(bob).get(deployment.url_for("alerts")).content.decode()


def test_an_alert_and_a_deployment_are_silenced_and_that_is_ended(as_, bob, url, deployment, workspace):
    rule = AlertRule.objects.create(workspace=workspace, kind="unhealthy", amount=5)
    alert = Alert.objects.create(
        workspace=workspace,
        deployment=deployment,
        rule=rule,
        kind="unhealthy",
        headline="Analytics is Unhealthy",
    )
    client = as_(bob)
    assert "Analytics is Unhealthy" in client.get(url("workspace_alerts")).content.decode()
    body = {"hours": "4", "of": deployment.release_name}
    page = client.post(url("alert_silence", alert.pk), body, follow=True)
    assert page.request["PATH_INFO"] == deployment.url_for("alerts")
    assert "Silenced" in page.content.decode()
    client.post(url("alert_silence", alert.pk), {"hours": "0"})
    alert.refresh_from_db()
    assert alert.silenced_until is None
    page = client.post(deployment.url_for("alerts_silence"), {"hours": "24"}, follow=True).content.decode()
    assert "Bob silenced all alerts of Analytics. That ends" in page
    client.post(deployment.url_for("alerts_silence"), {"hours": "0"})
    assert not AlertSilence.objects.exists()
    answer = client.post(
        deployment.url_for("alerts_silence"), {"hours": "99999"}, follow=True
    ).content.decode()
    assert "Choose how long from the list." in answer


def test_sending_again_of_another_workspace_is_no_way_in(as_, bob, charlie, url):
    other = charlie.memberships.get().workspace
    foreign = AlertChannel.objects.create(workspace=other, kind="email", name="Theirs", addresses=["c@x.org"])
    row = AlertDelivery.objects.create(
        workspace=other, channel=foreign, event="test", address="c@x.org", content=CONTENT, state="sent"
    )
    as_(bob).post(url("alert_again", row.pk))
    row.refresh_from_db()
    assert row.state == "sent"


def test_a_transfer_leaves_channels_and_open_alerts_behind(
    as_, alice, deployment, workspace, channel, driver
):
    type(deployment).objects.update(first_healthy_at=timezone.now(), status="healthy")
    rule = AlertRule.objects.create(deployment=deployment, kind="unhealthy", amount=5)
    rule.channels.add(channel)
    Alert.objects.create(
        workspace=workspace, deployment=deployment, rule=rule, kind="unhealthy", headline="x"
    )
    deployment.refresh_from_db()
    transfer_deployment(deployment=deployment, by=alice, to=create_workspace(by=alice, name="Other"))
    assert rule.channels.count() == 0
    assert Alert.objects.get().note == "The Deployment was transferred."


def test_the_lists_cost_as_many_queries_however_long(
    as_, alice, url, workspace, channel, django_assert_max_num_queries
):
    rule = AlertRule.objects.create(workspace=workspace, kind="unhealthy", amount=5)
    rule.channels.add(channel)

    def more(count: int) -> None:
        for n in range(count):
            Alert.objects.create(
                workspace=workspace, rule=rule, kind="unhealthy", headline="x", subject=f"{uuid4()}"
            )
            AlertDelivery.objects.create(
                workspace=workspace,
                channel=channel,
                rule=rule,
                alert=Alert.objects.first(),
                event="opened",
                address="a@x.org",
                content=CONTENT,
            )
            AlertChannel.objects.create(workspace=workspace, kind="email", name=f"{n} {uuid4()}"[:60])

    more(1)
    client = as_(alice)
    pages = [url(name) for name in ("workspace_alerts", "alert_rules", "alert_channels", "alert_deliveries")]
    for page in (*pages, url("alert", Alert.objects.get().pk)):
        with django_assert_max_num_queries(40) as one:
            client.get(page)
        more(8)
        with django_assert_max_num_queries(len(one)):
            client.get(page)


def test_every_page_says_how_many_alerts_are_open_at_no_query_more(
    as_, vera, charlie, workspace, url, deployment
):
    client = as_(vera)
    client.get("/account/")
    with CaptureQueriesContext(connection) as before:
        assert "Alerts</span></a>" in client.get(workspace.url).content.decode()
    more = {"rule": None, "kind": "unhealthy", "headline": "x"}
    for number in range(3):
        Alert.objects.create(workspace=workspace, subject=str(number), **more)
    Alert.objects.create(workspace=workspace, resolved_at=timezone.now(), **more)
    other = charlie.memberships.get().workspace
    Alert.objects.create(workspace=other, **more)
    with CaptureQueriesContext(connection) as after:
        page = client.get(workspace.url).content.decode()
    assert 'Alerts</span> <span class="count push">3<span class="sr"> open</span></span>' in page
    assert len(after) == len(before)
    assert '<span class="count push">3<' in client.get("/account/").content.decode()
    theirs = as_(charlie).get(other.url).content.decode()
    assert '<span class="count push">1<' in theirs


def test_the_page_of_an_alert_says_what_is_known_and_what_was_sent(
    as_, alice, bob, vera, charlie, url, deployment
):
    found = furnish_alerts(deployment.workspace)
    Alert.objects.update(deployment=deployment, sentence="The scheduler has crashed.")
    here = url("alert", found["alert"])
    assert f'href="{here}"' in as_(vera).get(url("workspace_alerts")).content.decode()
    assert f'href="{here}"' in as_(vera).get(url("alert_deliveries")).content.decode()
    page = as_(vera).get(here).content.decode()
    assert complaints(page) == []
    for words in (
        "The scheduler has crashed.",
        "Unhealthy for 5 minutes",
        "Open</span>",
        "Not sent",
        deployment.url,
    ):
        assert words in page, words
    assert "Silence" not in page  # a Member changes nothing
    assert "Send again" not in page
    assert f'href="{url("alert_rule", found["alert_rule"])}"' not in as_(bob).get(here).content.decode()
    assert f'href="{url("alert_rule", found["alert_rule"])}"' in as_(alice).get(here).content.decode()
    assert as_(charlie).get(here).status_code == 404
    assert as_(alice).get(url("alert", uuid4())).status_code == 404


def test_what_is_done_on_the_page_of_an_alert_leads_back_to_it(as_, bob, url, deployment):
    found = furnish_alerts(deployment.workspace)
    here, client = url("alert", found["alert"]), as_(bob)
    body = {"hours": "4", "of": "alert"}
    page = client.post(url("alert_silence", found["alert_silence"]), body, follow=True)
    assert page.request["PATH_INFO"] == here
    assert "by Bob" in page.content.decode()
    assert "End silence" in page.content.decode()
    page = client.post(url("alert_again", found["alert_again"]), {"of": "alert"}, follow=True)
    assert page.request["PATH_INFO"] == here
    assert "is sent again." in page.content.decode()
    page = client.post(url("alert_again", found["alert_again"]), {"of": "alert"}, follow=True)
    assert page.request["PATH_INFO"] == here  # refused: it is on its way
    assert "is sent again." not in page.content.decode()
    Alert.objects.update(resolved_at=timezone.now(), note="The rule was removed.", rule=None)
    page = client.get(here).content.decode()
    assert "Over</span>" in page
    assert "The rule was removed." in page
    assert "Unhealthy, which was removed" in page
    assert "End silence" not in page


def test_open_pages_of_alerts_fetch_again_what_is_open_and_what_was_sent(as_, bob, url, deployment):
    found = furnish_alerts(deployment.workspace)
    Alert.objects.update(deployment=deployment)
    AlertDelivery.objects.update(deployment=deployment)
    of_deployment = reverse("deployments:alerts", args=[deployment.release_name])
    for page, words in (
        (url("workspace_alerts"), "Analytics is Unhealthy"),
        (url("alert_deliveries"), "Not sent"),
        (url("alert", found["alert"]), "Not sent"),
        (of_deployment, "Not sent"),
    ):
        html = as_(bob).get(page).content.decode()
        assert words in words_in(html, "hx-select", "#alerts"), page
        assert complaints(html) == []
        assert 'hx-trigger="every 30s"' in html
    AlertDelivery.objects.update(state="queued", tries=0)
    for page in (url("alert_deliveries"), url("alert", found["alert"]), of_deployment):
        assert 'hx-trigger="every 3s"' in as_(bob).get(page).content.decode()
