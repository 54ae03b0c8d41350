"""A DAG that a person pauses is not waited for: what was open of it is over, and unpaused it has all its time again."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.actions.alerts import silence_alert
from deployments.domain.alert_rules import RuleKind
from deployments.models import AlertDelivery
from deployments.reconciler import alerts
from deployments.tests.readings import a_dag, a_failure, a_reading, a_run
from deployments.tests.reconciler.test_alerts import (  # noqa: F401 - fixtures
    age,
    channel,
    only,
    read,
    rule,
    running,
    sent,
)

pytestmark = pytest.mark.django_db
WHY = "The DAG was paused, so no success of it is waited for."
LONG_AGO = a_run("success", ago=timedelta(hours=3))


@pytest.fixture
def overdue(rule, running):  # noqa: F811
    """An alert is open: the last success of the DAG is older than the rule allows."""
    rule(RuleKind.NO_SUCCESS, 2, "nightly")
    read(running, a_reading(a_dag("nightly", LONG_AGO)))
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    assert alerts.follow() == 1
    return only()


def test_pausing_ends_what_is_open_and_says_why(overdue, running, workspace, as_, vera):  # noqa: F811
    read(running, a_reading(a_dag("nightly", LONG_AGO, paused=True)))
    assert [alerts.follow(), alerts.follow()] == [1, 0]
    overdue.refresh_from_db()
    assert overdue.resolved_at is not None
    assert overdue.note == WHY
    assert sent("resolved") == 2
    message = AlertDelivery.objects.filter(event="resolved").first().message
    assert message.title == f"Resolved: {overdue.headline} (Acme Data)"
    assert message.sentence == WHY
    page = as_(vera).get(reverse("deployments:alert", args=[workspace.pk, overdue.pk])).content.decode()
    assert WHY in page


def test_unpaused_it_has_all_its_time_again(overdue, running):  # noqa: F811
    read(running, a_reading(a_dag("nightly", LONG_AGO, paused=True)))
    alerts.follow()
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    read(running, a_reading(a_dag("nightly", LONG_AGO)))
    assert alerts.follow() == 0
    assert sent("opened") == 2
    assert running.dags.get().first_seen_at > timezone.now() - timedelta(minutes=1)
    running.dags.update(first_seen_at=timezone.now() - timedelta(hours=2, minutes=1))
    assert alerts.follow() == 1
    assert sent("opened") == 4


def test_a_silenced_one_ends_without_a_message(overdue, running, workspace, alice):  # noqa: F811
    silence_alert(workspace=workspace, by=alice, pk=overdue.pk, hours=4)
    read(running, a_reading(a_dag("nightly", LONG_AGO, paused=True)))
    assert alerts.follow() == 1
    assert (only().note, sent("resolved")) == (WHY, 0)


def test_of_two_that_are_shown_by_one_name_the_other_is_still_waited_for(rule, running):  # noqa: F811
    rule(RuleKind.NO_SUCCESS, 2, "Nightly load")
    one, two = (a_dag(name, LONG_AGO, name="Nightly load") for name in ("a", "b"))
    read(running, a_reading(one, two))
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    assert alerts.follow() == 2
    read(running, a_reading(a_dag("a", LONG_AGO, name="Nightly load", paused=True), two))
    assert alerts.follow() == 1
    assert only(subject="a").note == WHY
    assert only(subject="b").resolved_at is None


# -- a failed run --


@pytest.fixture
def failed(rule, running):  # noqa: F811
    """An alert is open: the last run of the DAG failed."""
    rule(RuleKind.RUN_FAILED)
    read(running, a_reading(a_dag("nightly", LONG_AGO), failed_runs=(a_failure("nightly"),)))
    assert alerts.follow() == 1
    return only()


def paused(running, *failures):  # noqa: F811
    read(running, a_reading(a_dag("nightly", LONG_AGO, paused=True), failed_runs=failures))


def test_pausing_ends_the_alert_of_a_failed_run_and_nothing_reminds_of_it(failed, running):  # noqa: F811
    age(failed, hours=2)
    paused(running)
    assert [alerts.follow(), alerts.follow()] == [1, 0]
    assert only().note == WHY
    assert (sent("resolved"), sent("reminded")) == (2, 0)


def test_unpaused_what_failed_before_is_no_news_and_what_fails_then_is(failed, running):  # noqa: F811
    paused(running)
    alerts.follow()
    read(running, a_reading(a_dag("nightly", LONG_AGO)))
    assert alerts.follow() == 0
    again = a_failure("nightly", "r2", ago=1)
    read(running, a_reading(a_dag("nightly", LONG_AGO), failed_runs=(again,)))
    assert alerts.follow() == 1
    assert sent("opened") == 4


def test_a_dag_that_airflow_paused_because_it_failed_is_reported_once(rule, running):  # noqa: F811
    rule(RuleKind.RUN_FAILED)
    paused(running, a_failure("nightly"))
    assert [alerts.follow() for _ in range(4)] == [1, 1, 0, 0]
    assert (sent("opened"), sent("resolved"), only().note) == (2, 2, WHY)
