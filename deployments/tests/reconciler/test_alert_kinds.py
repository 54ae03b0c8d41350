"""What each kind of alert rule sees: what opens an alert, what ends it, and what is no news."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from deployments.dataplane.reading import QueueReading
from deployments.domain.alert_rules import RuleKind
from deployments.domain.states import Operation, Status, StepState
from deployments.models import (
    Alert,
    AlertRule,
    Deployment,
    FailedRun,
    LatestReading,
    StatusChange,
    Step,
    StepTiming,
)
from deployments.reconciler import alerts, reading_records
from deployments.tests.readings import a_dag, a_failure, a_reading, a_run, broken
from deployments.tests.reconciler.test_alerts import be, channel, only, read, rule, running, sent  # noqa: F401 - fixtures
from workspaces.models import ApiToken

pytestmark = pytest.mark.django_db


def test_a_stalled_step_is_told_of(rule, deployment):  # noqa: F811
    rule(RuleKind.STALLED)
    be(deployment, Status.CREATING, minutes=60)
    Deployment.objects.update(first_healthy_at=None)
    StepTiming.objects.bulk_create(
        StepTiming(cluster=deployment.cluster, operation=Operation.CREATE, key="database", seconds=1.0)
        for _ in range(6)
    )
    Step.objects.filter(deployment=deployment).delete()
    Step.objects.create(
        deployment=deployment,
        operation=Operation.CREATE,
        position=1,
        key="database",
        title="Create the database",
        state=StepState.RUNNING,
        sentence="Waits for Postgres.",
        started_at=timezone.now() - timedelta(minutes=5),
    )
    assert alerts.follow() == 1
    assert only().headline == "Analytics is stalled: Create the database"
    assert only().sentence == "Waits for Postgres. It usually takes 1 s."
    Step.objects.update(state=StepState.DONE)
    assert alerts.follow() == 1
    assert sent("resolved") == 2


def a_deploy(deployment: Deployment, number: int, status: str) -> None:
    deployment.deploys.create(
        number=number,
        idempotency_key=uuid4(),
        source="upload",
        digest="0" * 64,
        version=f"{number}-0",
        files=1,
        python_files=1,
        size=1,
        status=status,
        sentence="No such package.",
        finished_at=timezone.now(),
    )


def test_each_failed_deploy_is_news_and_a_good_one_resolves_the_last(rule, running):  # noqa: F811
    rule(RuleKind.DEPLOY_FAILED)
    a_deploy(running, 1, "failed")
    assert [alerts.follow(), alerts.follow()] == [1, 0]
    a_deploy(running, 2, "failed")
    assert alerts.follow() == 2  # the second opens, the first is over without a message
    assert (sent("opened"), sent("resolved")) == (4, 0)
    assert only(resolved_at__isnull=True).headline == "Deploy 2 of Analytics failed"
    a_deploy(running, 3, "deployed")
    assert alerts.follow() == 1
    assert sent("resolved") == 2


def test_a_deploy_that_failed_before_the_rule_is_no_news(rule, running):  # noqa: F811
    a_deploy(running, 1, "failed")
    made = rule(RuleKind.DEPLOY_FAILED)
    AlertRule.objects.filter(pk=made.pk).update(since=timezone.now() + timedelta(seconds=1))
    assert alerts.follow() == 0


def test_a_failed_run_is_one_alert_per_dag_until_the_next_success(rule, running):  # noqa: F811
    rule(RuleKind.RUN_FAILED)
    read(running, a_reading(a_dag("nightly", a_run("failed")), failed_runs=(a_failure("nightly"),)))
    assert [alerts.follow(), alerts.follow()] == [1, 0]
    alert = only()
    assert (alert.subject, alert.headline) == ("nightly", "DAG nightly failed in Analytics")
    assert alert.sentence == "Run r1 failed in task load. Its log in Airflow says why."
    read(
        running,
        a_reading(a_dag("nightly", a_run("failed")), failed_runs=(a_failure("nightly", "r2", ago=1),)),
    )
    assert alerts.follow() == 0
    read(running, a_reading(a_dag("nightly", a_run("success", ago=timedelta(seconds=1), seconds=1.5))))
    assert alerts.follow() == 1
    assert sent("resolved") == 2


def test_a_dag_that_a_deploy_removed_is_over_without_a_message(rule, running):  # noqa: F811
    rule(RuleKind.RUN_FAILED)
    read(running, a_reading(a_dag("nightly", a_run("failed")), failed_runs=(a_failure("nightly"),)))
    alerts.follow()
    read(running, a_reading())
    assert alerts.follow() == 1
    assert sent("resolved") == 0


def test_an_old_reading_says_nothing_of_now(rule, running):  # noqa: F811
    rule(RuleKind.RUN_FAILED)
    read(running, a_reading(a_dag("nightly", a_run("failed")), failed_runs=(a_failure("nightly"),)))
    LatestReading.objects.update(at=timezone.now() - timedelta(minutes=6))
    assert alerts.follow() == 0


def test_a_dag_without_a_success_for_too_long(rule, running):  # noqa: F811
    rule(RuleKind.NO_SUCCESS, 2, "nightly")
    read(running, a_reading(a_dag("nightly", a_run("success", ago=timedelta(hours=1)))))
    assert alerts.follow() == 0
    running.dags.update(
        last_success_at=timezone.now() - timedelta(hours=3), first_seen_at=timezone.now() - timedelta(days=3)
    )
    StatusChange.objects.create(deployment=running, old=Status.HIBERNATING, new=Status.DEPLOYING)
    assert alerts.follow() == 0  # it was asleep
    StatusChange.objects.update(at=timezone.now() - timedelta(hours=5))
    running.dags.update(paused=True)
    assert alerts.follow() == 0
    running.dags.update(paused=False)
    assert alerts.follow() == 1
    assert only().headline == "DAG nightly has not succeeded for 3 h in Analytics"


def test_a_rule_may_name_a_dag_as_airflow_shows_it(rule, running):  # noqa: F811
    rule(RuleKind.NO_SUCCESS, 2, "Nightly load")
    dags = a_dag("nightly", name="Nightly load"), a_dag("other", name="nightly")
    read(running, a_reading(*dags))
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    assert alerts.follow() == 1
    assert only().headline == "DAG nightly has not succeeded for 48 h in Analytics"
    read(running, a_reading(dags[1]))
    assert alerts.follow() == 1
    assert (only().resolved_at is not None, sent("resolved")) == (True, 0)
    rule(RuleKind.NO_SUCCESS, 2, "nightly")  # an id counts first
    read(running, a_reading(*dags))
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    alerts.follow()
    subjects = set(Alert.objects.filter(resolved_at=None).values_list("subject", flat=True))
    assert subjects == {"nightly"}


def test_a_dag_that_is_waited_for_and_left_the_code_is_over_without_a_message(rule, running):  # noqa: F811
    rule(RuleKind.NO_SUCCESS, 2, "nightly")
    assert alerts.follow() == 0  # before the first reading
    read(running, a_reading(a_dag("nightly", a_run("success", ago=timedelta(hours=3)))))
    running.dags.update(first_seen_at=timezone.now() - timedelta(days=3))
    assert alerts.follow() == 1
    read(running, a_reading())
    assert alerts.follow() == 1
    assert only().resolved_at is not None
    assert sent("resolved") == 0


def test_a_failure_of_more_than_a_month_ago_is_not_over_without_a_success(rule, running):  # noqa: F811
    rule(RuleKind.RUN_FAILED)
    read(running, a_reading(a_dag("monthly", a_run("failed")), failed_runs=(a_failure("monthly"),)))
    assert alerts.follow() == 1
    FailedRun.objects.update(ended_at=timezone.now() - timedelta(days=31))
    reading_records.prune(running.cluster_id)
    assert alerts.follow() == 0
    assert only().resolved_at is None


def test_a_queue_that_waits_at_its_maximum_and_one_that_does_not_exist(rule, running):  # noqa: F811
    rule(RuleKind.QUEUE_WAITING)
    rule(RuleKind.QUEUE_MISSING)
    queues = (QueueReading("default", 7, 16, 700.0), QueueReading("gpu", 2, 0, 5.0))
    running.queues.update(live_workers=9)
    read(running, a_reading(queues=queues))
    assert alerts.follow() == 1
    assert only().headline == "Tasks wait in worker queue gpu, which Analytics does not have"
    running.queues.update(live_workers=10)
    assert alerts.follow() == 1
    full = only(kind=RuleKind.QUEUE_WAITING)
    assert full.headline == "Worker queue default of Analytics is full"
    assert "7 tasks wait, the oldest for 12 min" in full.sentence


def test_import_errors_name_files_and_never_what_they_wrote(rule, running):  # noqa: F811
    rule(RuleKind.IMPORT_ERRORS)
    read(running, a_reading(**broken(*(f"dag_{n}.py" for n in range(7)))))
    alerts.follow()
    assert only().headline == "7 files do not import in Analytics"
    assert only().sentence == "dag_0.py, dag_1.py, dag_2.py, dag_3.py, dag_4.py and 2 more."


def test_a_silent_scheduler(rule, running):  # noqa: F811
    rule(RuleKind.SCHEDULER_SILENT)
    read(running, a_reading(heartbeats={"scheduler": 590.0}))
    assert alerts.follow() == 0
    read(running, a_reading(heartbeats={"scheduler": 700.0}))
    assert alerts.follow() == 1
    assert only().headline == "The scheduler of Analytics has been silent for 12 min"


def test_a_gap_in_readings_is_no_silence_of_the_scheduler(rule, running):  # noqa: F811
    rule(RuleKind.SCHEDULER_SILENT, 2)
    read(running, a_reading(heartbeats={"scheduler": 5.0}))
    gap = timedelta(minutes=4)
    LatestReading.objects.update(
        at=F("at") - gap,
        tried_at=F("tried_at") - gap,
        scheduler_heartbeat_at=F("scheduler_heartbeat_at") - gap,
    )
    assert alerts.follow() == 0


def test_a_runtime_and_a_token_that_end_soon(rule, running, workspace, alice):  # noqa: F811
    rule(RuleKind.RUNTIME_ENDING)
    rule(RuleKind.TOKEN_ENDING)
    running.runtime.__class__.objects.update(maintained_until=timezone.now().date() + timedelta(days=40))
    token = {"workspace": workspace, "maker": alice, "name": "ci", "kind": "w", "role": "editor"}
    ApiToken.objects.create(
        **token, digest="1" * 64, beginning="adk_w", expires_at=timezone.now() + timedelta(days=8)
    )
    assert alerts.follow() == 0
    running.runtime.__class__.objects.update(maintained_until=timezone.now().date() + timedelta(days=20))
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=6))
    assert alerts.follow() == 2
    assert only(deployment=None).headline.startswith("API token “ci” expires on ")
    ApiToken.objects.update(revoked_at=timezone.now())
    assert alerts.follow() == 1
    assert sent("resolved") == 0
