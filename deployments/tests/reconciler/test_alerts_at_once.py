"""Alerts that several processes see, or gather, at the same moment."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from deployments.domain.alert_rules import RuleKind
from deployments.domain.states import Status
from deployments.models import (
    AlertDelivery,
    AlertRule,
)
from deployments.reconciler import alert_outbox, alerts
from deployments.tests.reconciler.test_alerts import age, be, channel, only, rule, running, sent  # noqa: F401 - fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("patient")]


def test_processes_that_look_at_the_same_moment_send_once(rule, running):  # noqa: F811
    """Eight threads with a connection each, through opening, a reminder and the end."""
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    assert at_once(alerts.follow, 8) == 1
    age(only(), hours=2)
    assert at_once(alerts.follow, 8) == 1
    be(running, Status.HEALTHY, minutes=0)
    assert at_once(alerts.follow, 8) == 1
    assert (sent("opened"), sent("reminded"), sent("resolved")) == (2, 2, 2)


def test_an_alert_that_another_process_opens_by_a_new_rule_is_no_stray(rule, running):  # noqa: F811
    be(running, Status.UNHEALTHY, minutes=6)
    others = []

    def another_process():
        rule(RuleKind.UNHEALTHY)
        return alerts.follow()

    def meanwhile(execute, sql, *arguments):
        found = execute(sql, *arguments)
        if not others and sql.startswith("SELECT") and 'FROM "deployments_alertrule"' in sql:
            others.append(at_once(another_process, 1))
        return found

    with connection.execute_wrapper(meanwhile):
        assert alerts.follow() == 0
    assert others == [1]
    assert only().resolved_at is None


def test_processes_that_make_a_digest_at_the_same_moment_make_one(rule, running, workspace, channel):  # noqa: F811
    made = rule(RuleKind.RUN_FAILED)
    AlertRule.objects.filter(pk=made.pk).update(window_since=datetime(2020, 1, 1, tzinfo=UTC), window_used=20)
    for _ in range(3):
        AlertDelivery.objects.create(
            workspace=workspace,
            channel=channel,
            rule=made,
            event="opened",
            address="ops@example.org",
            content={"event": "opened", "headline": "x"},
            state="held",
        )
    assert at_once(alert_outbox.make_digests, 8) == 1
    assert sent("digest") == 1


def at_once(act, count: int) -> int:
    """Call it in so many threads, as near to each other as can be; the sum of what they return."""
    barrier, done, errors = threading.Barrier(count), [], []

    def run():
        try:
            barrier.wait(timeout=20)
            done.append(act())
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)
    assert errors == []
    return sum(done)
