"""What opens, reminds and ends alerts: rules over real rows, and two processes at once."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments import tasks
from deployments.actions import alert_rules
from deployments.actions.alert_rules import RulePlace, RuleWish, set_rule
from deployments.actions.alerts import silence_alert, silence_deployment
from deployments.domain.alert_life import MOST_IN_WINDOW
from deployments.domain.alert_rules import KINDS, RuleKind
from deployments.domain.states import Status
from deployments.models import (
    Alert,
    AlertChannel,
    AlertDelivery,
    AlertRule,
    Deployment,
    LatestReading,
)
from deployments.reconciler import alert_outbox, alerts
from deployments.secrets import vault
from deployments.tests.readings import a_dag, a_failure, a_reading, a_run, broken
from deployments.tests.readings import read as keep_reading

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(workspace) -> AlertChannel:
    return AlertChannel.objects.create(
        workspace=workspace, kind="email", name="Ops", addresses=["ops@example.org", "bob@example.org"]
    )


@pytest.fixture
def rule(workspace, alice, channel):
    """Sets a rule of the Workspace."""

    def make(kind: RuleKind, amount: int | None = None, dag: str = "", *, of=None, enabled=True) -> AlertRule:
        about = KINDS[kind]
        default = about.amount.default if about.amount else None
        made = set_rule(
            place=RulePlace(workspace, of),
            by=alice,
            wish=RuleWish(kind, amount or default, dag, enabled=enabled, channels=(channel.pk,)),
        )
        AlertRule.objects.filter(pk=made.pk).update(since=timezone.now() - timedelta(days=2))
        return made

    return make


@pytest.fixture
def running(deployment) -> Deployment:
    """Healthy for an hour."""
    be(deployment, Status.HEALTHY, minutes=60)
    return deployment


def be(deployment: Deployment, status: Status, *, minutes: float, reason: str = "", **more) -> None:
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        status=status,
        status_since=now - timedelta(minutes=minutes),
        status_reason=reason,
        first_healthy_at=now - timedelta(days=1),
        observed_at=now,
        due_at=now + timedelta(minutes=1),
        **more,
    )


def read(deployment: Deployment, reading) -> None:
    """Have it read now. Within one transaction a new row would be due after the transaction's own moment."""
    LatestReading.objects.get_or_create(deployment=deployment)
    assert keep_reading(deployment, reading)


def only(**values) -> Alert:
    return Alert.objects.get(**values)


def sent(event: str) -> int:
    return AlertDelivery.objects.filter(event=event).count()


def age(alert: Alert, **span) -> None:
    """Let the alert be that old."""
    Alert.objects.filter(pk=alert.pk).update(opened_at=timezone.now() - timedelta(**span))


def test_unhealthy_for_five_minutes_opens_reminds_and_is_resolved(rule, running, enqueued_alerts):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=4, reason="The scheduler does not answer.")
    assert alerts.follow() == 0
    be(running, Status.UNHEALTHY, minutes=6, reason="The scheduler does not answer.")
    assert alerts.follow() == 1
    assert alerts.follow() == 0
    alert = only()
    assert (alert.headline, alert.sentence) == ("Analytics is Unhealthy", "The scheduler does not answer.")
    assert sent("opened") == 2  # one per mailbox
    age(alert, hours=1, minutes=1)
    assert [alerts.follow(), alerts.follow()] == [1, 0]
    assert sent("reminded") == 2
    be(running, Status.DEPLOYING, minutes=0)
    assert alerts.follow() == 0  # neither well nor not
    be(running, Status.HEALTHY, minutes=0)
    assert alerts.follow() == 1
    assert sent("resolved") == 2
    assert only().resolved_at is not None


def test_a_reminder_says_what_is_so_now_and_leads_there(rule, running):
    rule(RuleKind.SCHEDULER_SILENT)
    read(running, a_reading(heartbeats={"scheduler": 700.0}))
    alerts.follow()
    age(only(), hours=6, minutes=1)
    read(running, a_reading(heartbeats={"scheduler": 6.2 * 3600}))
    assert alerts.follow() == 1
    words = "The scheduler of Analytics has been silent for 6 h"
    message = AlertDelivery.objects.filter(event="reminded").first().message
    assert (message.headline, message.path) == (words, running.url_for("why"))
    assert only().headline == words


def test_unknown_neither_opens_nor_ends_anything(rule, running):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    alerts.follow()
    long_ago = timezone.now() - timedelta(minutes=10)
    Deployment.objects.update(observed_at=long_ago, due_at=long_ago)
    age(only(), hours=30)
    assert alerts.follow() == 0
    assert only().resolved_at is None


def test_a_rule_of_the_deployment_counts_in_place_of_the_workspace_s(rule, running):
    rule(RuleKind.UNHEALTHY, 5)
    rule(RuleKind.UNHEALTHY, 30, of=running)
    be(running, Status.UNHEALTHY, minutes=20)
    assert alerts.follow() == 0
    be(running, Status.UNHEALTHY, minutes=31)
    assert alerts.follow() == 1
    assert only().rule.deployment_id == running.pk


def test_switched_off_there_nothing_is_sent_and_what_is_open_ends_quietly(rule, running):
    rule(RuleKind.UNHEALTHY, 5)
    be(running, Status.UNHEALTHY, minutes=20)
    alerts.follow()
    rule(RuleKind.UNHEALTHY, 5, of=running, enabled=False)
    assert alerts.follow() == 1
    assert only().note == alerts.RULE_GONE
    assert sent("resolved") == 0
    assert alerts.follow() == 0


def test_hibernating_ends_unhealthy_and_silences_the_rest(rule, running):
    rule(RuleKind.UNHEALTHY)
    rule(RuleKind.IMPORT_ERRORS)
    be(running, Status.UNHEALTHY, minutes=6)
    read(running, a_reading(**broken("a.py")))
    assert alerts.follow() == 2
    be(running, Status.HIBERNATING, minutes=0, hibernating=True)
    Alert.objects.update(opened_at=timezone.now() - timedelta(hours=2))
    assert alerts.follow() == 1
    assert only(resolved_at__isnull=True).kind == RuleKind.IMPORT_ERRORS
    assert sent("reminded") == 0


def test_a_silenced_alert_rests_and_ends_without_a_message(rule, running, workspace, alice):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    alerts.follow()
    silence_alert(workspace=workspace, by=alice, pk=only().pk, hours=4)
    age(only(), hours=3)
    assert alerts.follow() == 0
    be(running, Status.HEALTHY, minutes=0)
    assert alerts.follow() == 1
    assert sent("resolved") == sent("reminded") == 0


def test_nothing_opens_in_a_silenced_deployment_until_the_silence_ends(rule, running, alice):
    rule(RuleKind.UNHEALTHY)
    silence_deployment(deployment=running, by=alice, hours=1)
    be(running, Status.UNHEALTHY, minutes=6)
    assert alerts.follow() == 0
    silence_deployment(deployment=running, by=alice, hours=0)
    assert alerts.follow() == 1


def test_a_deployment_that_is_being_deleted_ends_its_alerts_quietly(rule, running):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    alerts.follow()
    Deployment.objects.update(delete_requested_at=timezone.now())
    assert alerts.follow() == 1
    assert (only().note, sent("resolved")) == (alerts.GONE, 0)


def test_a_storm_is_twenty_messages_and_one_digest(rule, running):
    made = rule(RuleKind.RUN_FAILED)
    dags = [f"dag_{n:02}" for n in range(70)]
    read(
        running,
        a_reading(*(a_dag(d, a_run("failed")) for d in dags), failed_runs=tuple(map(a_failure, dags))),
    )
    assert alerts.follow() == 70
    of_ops = AlertDelivery.objects.filter(address="ops@example.org")
    assert of_ops.filter(state="queued").count() == MOST_IN_WINDOW
    assert of_ops.filter(state="held").count() == 50
    assert alert_outbox.make_digests() == 0
    AlertRule.objects.filter(pk=made.pk).update(window_since=timezone.now() - timedelta(minutes=61))
    assert [alert_outbox.make_digests(), alert_outbox.make_digests()] == [2, 0]
    assert of_ops.filter(state="digested").count() == 50
    digest = of_ops.get(event="digest")
    assert digest.message.headline == "50 more messages of “DAG run failed” within an hour"
    assert len(digest.message.lines) == 50


def test_no_value_of_a_variable_and_no_secret_is_sent(rule, running):
    secret = "s3cr3t-pa55word"
    running.variables.create(
        key="PASSWORD", is_secret=True, sealed=vault.seal_variable(running, "PASSWORD", secret)
    )
    running.variables.create(key="REGION", value="eu-central-9")
    database = vault.one(running, "database_password")
    rule(RuleKind.UNHEALTHY)
    reason = f"The scheduler ended: password {secret} of {database} in eu-central-9 refused."
    be(running, Status.UNHEALTHY, minutes=6, reason=reason)
    alerts.follow()
    kept = only().sentence + str(AlertDelivery.objects.values_list("content", flat=True)[0])
    assert "The scheduler ended: password ••• of ••• in ••• refused." in kept
    for value in (secret, database, "eu-central-9"):
        assert value not in kept


def test_what_fails_for_one_kind_of_rule_stops_no_other(rule, running, monkeypatch):
    rule(RuleKind.UNHEALTHY)
    rule(RuleKind.STALLED)

    def broken_look(watched, now):
        raise ValueError("boom")

    monkeypatch.setitem(alerts.LOOKERS, RuleKind.STALLED, broken_look)
    be(running, Status.UNHEALTHY, minutes=6)
    assert alerts.follow() == 1


def test_what_fails_for_rules_about_tokens_stops_no_other(rule, running, monkeypatch):
    rule(RuleKind.TOKEN_ENDING)
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    assert alerts.follow() == 1
    AlertRule.objects.filter(kind=RuleKind.UNHEALTHY).update(enabled=False)
    monkeypatch.setattr(alerts, "tokens_ending", lambda *_: 1 / 0)
    assert alerts.follow() == 1
    assert only().note == alerts.RULE_GONE


def test_the_number_of_queries_does_not_grow_with_deployments(rule, running, django_assert_max_num_queries):
    for kind in RuleKind:
        rule(kind, dag="nightly" if KINDS[kind].of_dag else "")
    with django_assert_max_num_queries(30) as one:
        alerts.follow()
    running.refresh_from_db()
    for n in range(5):
        Deployment.objects.create(
            **{
                field.attname: getattr(running, field.attname)
                for field in Deployment._meta.concrete_fields
                if field.attname not in {"id", "release_name", "name_key", "idempotency_key"}
            },
            release_name=f"more-{n}",
            name_key=f"more-{n}",
            idempotency_key=uuid4(),
        )
    with django_assert_max_num_queries(len(one)):
        alerts.follow()


def test_the_beat_s_task_follows_and_hints(rule, running, enqueued_alerts):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    assert tasks.follow_alerts() == 1
    assert set(enqueued_alerts) == set(AlertDelivery.objects.values_list("pk", flat=True))


def test_old_messages_and_alerts_are_dropped_and_open_ones_stay(rule, running):
    rule(RuleKind.UNHEALTHY)
    be(running, Status.UNHEALTHY, minutes=6)
    alerts.follow()
    long_ago = timezone.now() - timedelta(days=100)
    Alert.objects.update(opened_at=long_ago)
    AlertDelivery.objects.update(created_at=long_ago)
    assert tasks.prune_alerts() == 0  # open, and not sent yet
    AlertDelivery.objects.update(state="sent")
    Alert.objects.update(resolved_at=long_ago)
    assert tasks.prune_alerts() == 3


def test_the_intervals_keep_the_promise_of_ninety_seconds(settings):
    """A failed run is read within a minute, seen by the next look, and its mail hinted at once. That leaves a quarter
    of a minute for the work."""
    assert 60 + settings.ALERT_SECONDS <= 75


def test_the_usual_rules_are_one_click_and_twice_is_once(workspace, alice):
    assert alert_rules.switch_on_usual(workspace=workspace, by=alice) == 4
    assert alert_rules.switch_on_usual(workspace=workspace, by=alice) == 0
    assert AlertChannel.objects.get().kind == "admins"
    assert all(each.channels.count() == 1 for each in AlertRule.objects.all())


def test_the_admins_of_the_moment_are_mailed(workspace, alice, bob, running):
    alert_rules.switch_on_usual(workspace=workspace, by=alice)
    be(running, Status.UNHEALTHY, minutes=6)
    alerts.follow()
    assert list(AlertDelivery.objects.values_list("address", flat=True)) == ["alice@example.org"]
