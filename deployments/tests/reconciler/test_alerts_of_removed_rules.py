"""What was held back of a rule that a person removes: it is not sent, says why, and is dropped when it is old."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.actions.alert_rules import RulePlace, remove_rule
from deployments.domain.alert_life import MOST_IN_WINDOW
from deployments.domain.alert_rules import RuleKind
from deployments.domain.states import Status
from deployments.models import AlertDelivery, AlertRule
from deployments.reconciler import alert_outbox, alerts
from deployments.tests.reconciler.test_alerts import be, channel, rule, running  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def full(rule, running) -> AlertRule:  # noqa: F811
    """The rule has sent its 20, and fires: what it has to say next is held back."""
    made = rule(RuleKind.UNHEALTHY)
    AlertRule.objects.filter(pk=made.pk).update(
        window_since=timezone.now() - timedelta(minutes=30), window_used=MOST_IN_WINDOW
    )
    be(running, Status.UNHEALTHY, minutes=6)
    return made


def test_what_was_held_back_of_a_removed_rule_is_not_sent_and_says_why(full, workspace, alice, as_):
    alerts.follow()
    assert set(AlertDelivery.objects.values_list("state", flat=True)) == {"held"}
    remove_rule(place=RulePlace(workspace), by=alice, pk=full.pk)
    assert set(AlertDelivery.objects.values_list("state", flat=True)) == {"failed"}
    page = as_(alice).get(reverse("deployments:alert_deliveries", args=[workspace.pk])).content.decode()
    assert "The rule was removed before its digest was sent." in page
    assert alert_outbox.make_digests() == 0
    AlertDelivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert alert_outbox.prune() == 2
