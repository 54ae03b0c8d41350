"""What the receivers of a Workspace hear of a Deployment that was transferred: what was so while it was theirs."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.actions.alert_rules import RulePlace, RuleWish, set_rule
from deployments.actions.transfer import transfer_deployment
from deployments.domain.alert_life import MOST_IN_WINDOW
from deployments.domain.alert_rules import RuleKind
from deployments.domain.states import Status
from deployments.models import Alert, AlertDelivery, AlertRule, Deployment
from deployments.queries import alert_looks
from deployments.reconciler import alert_outbox, alerts
from deployments.tests.reconciler.test_alerts import be, channel, rule, running  # noqa: F401 - fixtures
from workspaces.actions.workspaces import create_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(alice):
    return create_workspace(by=alice, name="Secret Plans")


@pytest.fixture
def held(rule, running, workspace) -> AlertRule:  # noqa: F811
    """The Deployment's own rule has sent its 20, and one more message is held back."""
    made = rule(RuleKind.UNHEALTHY, 5, of=running)
    AlertRule.objects.filter(pk=made.pk).update(
        window_since=timezone.now() - timedelta(minutes=30), window_used=MOST_IN_WINDOW
    )
    be(running, Status.UNHEALTHY, minutes=7, reason="1 of 2 schedulers runs.")
    assert alerts.follow() == 1
    assert AlertDelivery.objects.filter(state="held").count() == 2
    return made


def move_and_change(running: Deployment, other, alice) -> None:  # noqa: F811
    """Transfer it; there it gets another name, and its rule another time."""
    transfer_deployment(deployment=running, by=alice, to=other)
    Deployment.objects.filter(pk=running.pk).update(name="Merger")
    running.refresh_from_db()
    wish = RuleWish(RuleKind.UNHEALTHY, 55, "", enabled=True, channels=())
    set_rule(place=RulePlace(other, running), by=alice, wish=wish)


def test_the_digest_of_what_was_held_back_says_nothing_of_the_new_workspace(
    held,
    running,  # noqa: F811
    workspace,
    other,
    alice,
):
    move_and_change(running, other, alice)
    AlertRule.objects.filter(pk=held.pk).update(window_since=timezone.now() - timedelta(minutes=61))
    assert alert_outbox.make_digests() == 2
    for row in AlertDelivery.objects.filter(event="digest"):
        assert (row.workspace, row.deployment) == (workspace, None)
        assert row.message.headline == "1 more message of “Unhealthy for 5 minutes” within an hour"
        assert row.message.lines == ("Analytics is Unhealthy (Acme Data)",)
        here = reverse("deployments:workspace_alerts", args=[workspace.pk])
        assert (row.message.path, row.message.rules_path) == (here, here)
        text = str(row.content)
        assert not [word for word in ("55 minutes", "Merger", "Secret", str(other.pk)) if word in text]


def test_the_page_of_an_alert_that_is_over_does_not_tell_what_the_deployment_is_called_now(
    held,
    running,  # noqa: F811
    workspace,
    other,
    alice,
    as_,
    bob,
):
    move_and_change(running, other, alice)
    page = as_(bob).get(reverse("deployments:alert", args=[workspace.pk, Alert.objects.get().pk]))
    html = page.content.decode()
    assert "The Deployment was transferred." in html
    assert "Merger" not in html
    assert "55 minutes" not in html
    assert running.url not in html.partition("What was sent")[0]


def test_what_is_looked_at_while_it_is_transferred_opens_nothing_in_the_former_workspace(
    rule,  # noqa: F811
    running,  # noqa: F811
    other,
    alice,
    monkeypatch,
):
    rule(RuleKind.UNHEALTHY, 5)
    be(running, Status.UNHEALTHY, minutes=7)
    look = alert_looks.unhealthy

    def meanwhile(watched, now):
        found = look(watched, now)
        transfer_deployment(deployment=Deployment.objects.get(pk=running.pk), by=alice, to=other)
        return found

    monkeypatch.setitem(alerts.LOOKERS, RuleKind.UNHEALTHY, meanwhile)
    assert alerts.follow() == 0
    assert not Alert.objects.exists()
    assert not AlertDelivery.objects.exists()
