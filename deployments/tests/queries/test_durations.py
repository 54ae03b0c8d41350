"""Stalled: what is usual for a step, when a step is past it, and what the pages say then."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from console.kit.wording import exact, rough, spelled
from console.tests.html_rules import complaints
from deployments.actions import changing
from deployments.dataplane.contract import Outcome, Progress
from deployments.domain.durations import MOST_SAMPLES, StepProgress, TypicalDuration, typical
from deployments.domain.states import Operation, Status, StepState
from deployments.models import ComponentStatus, Deployment, StatusChange, Step, StepTiming
from deployments.queries import durations
from deployments.reconciler import recording, steps
from deployments.reconciler.reconcile import reconcile
from deployments.tests.pages.test_overview import many, queries
from deployments.tests.reconciler.test_reconcile import settle

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "median", "p95"),
    [([1, 2, 3, 4, 5], 3, 5), ([7] * 19 + [60], 7, 7), ([7] * 18 + [60, 60], 7, 60), (range(1, 51), 25, 48)],
)
def test_what_is_usual(seconds, median, p95):
    found = typical([float(each) for each in seconds])
    assert (found.median, found.p95) == (median, p95)


def test_four_runs_tell_nothing():
    assert typical([1.0] * 4) is None


@pytest.mark.parametrize(("p95", "limit"), [(0.1, 10), (3.3, 10), (4, 12), (100, 300)])
def test_the_limit_is_three_times_the_p95_and_ten_seconds_at_least(p95, limit):
    assert TypicalDuration(1, p95).limit == timedelta(seconds=limit)


def test_a_step_is_stalled_exactly_past_its_limit_and_knows_when_that_will_be():
    def step_progress(seconds):
        return StepProgress("k", "Title", "", NOW - timedelta(seconds=seconds), TypicalDuration(4, 10), NOW)

    assert [(step_progress(s).stalled, step_progress(s).due_in) for s in (0, 29.5, 30, 30.1)] == [
        (False, 31),
        (False, 2),
        (False, 1),
        (True, None),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (7200, "2 h")]
)
def test_a_usual_time_is_rough(seconds, text):
    assert rough(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_an_exact_time_has_two_units_at_most(seconds, text):
    assert exact(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (121, "3 minutes"), (3600, "60 minutes")],
)
def test_a_time_in_words_is_rounded_up(seconds, text):
    assert spelled(seconds) == text


def taken(cluster, key="database", operation=Operation.CREATE, seconds=(5.0,) * 5):
    for each in seconds:
        StepTiming.objects.create(cluster=cluster, operation=operation, key=key, seconds=each)


@pytest.fixture
def waiting(deployment, cluster):
    """Analytics, its step Database at work for a minute, where five seconds are usual."""
    taken(cluster)
    Step.objects.create(
        deployment=deployment,
        operation=Operation.CREATE,
        position=0,
        key="database",
        title="Database",
        state=StepState.RUNNING,
        sentence="Waits for Postgres.",
        started_at=timezone.now() - timedelta(minutes=1),
    )
    return deployment


def begun(deployment, ago):
    deployment.steps.update(started_at=timezone.now() - ago)
    return deployment


def test_the_time_of_a_step_is_kept_when_it_is_done(deployment, driver):
    driver.slow_start = 1
    reconcile(deployment.pk)
    assert not StepTiming.objects.exists()  # nothing was done yet, or done as soon as it was looked at
    Step.objects.filter(state=StepState.RUNNING).update(started_at=timezone.now() - timedelta(seconds=40))
    settle(deployment)
    timings = {(t.operation, t.key): t.seconds for t in StepTiming.objects.all()}
    assert set(timings) <= {("create", key) for key in ("runtime", "database", "components")}
    assert timings["create", "database"] == pytest.approx(40, abs=10)
    count = StepTiming.objects.count()
    settle(deployment)
    assert StepTiming.objects.count() == count  # once


def test_a_second_change_is_not_measured_from_the_first_one_that_it_overtook(
    as_, alice, deployment, cluster, driver, monkeypatch
):
    def edit(size):
        with changing(deployment, by=alice) as row:
            Deployment.objects.filter(pk=row.pk).update(scheduler_au=size)
        deployment.refresh_from_db()

    settle(deployment)
    StepTiming.objects.all().delete()
    taken(cluster, key="components", operation=Operation.CHANGE)
    edit(8)
    with monkeypatch.context() as slow:
        slow.setattr(driver, "apply", lambda *of: Progress("components", Outcome.WAITING, "Waits."))
        settle(deployment, passes=1)
    begun(deployment, timedelta(hours=1))
    assert "Stalled" in as_(alice).get(deployment.url).content.decode()
    edit(9)
    assert "Stalled" not in as_(alice).get(deployment.url).content.decode()
    settle(deployment, passes=1)
    assert "Stalled" not in as_(alice).get(deployment.url).content.decode()
    assert settle(deployment).status == Status.HEALTHY
    assert max(timing.seconds for timing in StepTiming.objects.all()) < 60


def test_of_each_step_only_the_last_are_kept(deployment, cluster):
    taken(cluster, seconds=[1.0] * 60)
    taken(cluster, key="other", seconds=[1.0] * 3)
    step = Step(deployment=deployment, operation=Operation.CREATE, key="database", state=StepState.RUNNING)
    step.started_at = NOW - timedelta(seconds=7)
    steps.record_duration(deployment, step, NOW)
    mine = StepTiming.objects.filter(key="database")
    assert (mine.count(), mine.latest("at").seconds) == (MOST_SAMPLES, 7.0)
    assert StepTiming.objects.filter(key="other").count() == 3


@pytest.mark.parametrize("state", [StepState.RUNNING, StepState.FAILED])
def test_a_step_past_its_time_is_called_stalled_everywhere(as_, alice, waiting, state):
    waiting.steps.update(state=state)
    client = as_(alice)
    page = client.get(waiting.url).content.decode()
    assert complaints(page) == []
    assert "Stalled: Database has been running for" in page
    assert "(usually 5 s)." in page
    assert "Waits for Postgres." in page
    assert ", usually 5 s" in page
    assert ">Retry</button>" in page
    assert "Delete Deployment…" in page
    badge = client.get(waiting.badge_url).content.decode()
    listing = client.get(waiting.workspace.url).content.decode()
    for html in (page, badge, listing):
        assert "Creating</span>" in html  # beside it, never in its place
        assert "Stalled</span>" in html
        assert reverse("deployments:why", args=[waiting.release_name]) in html


def test_a_member_who_may_do_nothing_sees_it_and_no_button(as_, vera, waiting):
    page = as_(vera).get(waiting.url).content.decode()
    assert "Stalled: Database" in page
    assert ">Retry</button>" not in page
    assert "Delete Deployment…" not in page


def test_what_will_be_stalled_asks_for_itself_then(as_, vera, waiting, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    begun(waiting, timedelta(seconds=5))
    client = as_(vera)
    page = client.get(waiting.url).content.decode()
    assert "Stalled" not in page
    assert f'hx-get="{waiting.live_url}" hx-target="#live-{waiting.pk}"' in page
    assert f'hx-get="{waiting.badge_url}" hx-target="#badge-{waiting.pk}"' in page
    assert 'hx-trigger="load delay:11s"' in page


def test_what_is_pushed_says_it_too_and_depends_on_no_reader(waiting, published):
    recording.publish(waiting.pk)
    [(_, [badge, live, _])] = published
    assert "Stalled</span>" in badge.html
    assert "Stalled: Database has been running for" in live.html
    assert "csrf" not in live.html


@pytest.mark.parametrize(
    "change",
    [
        {"status": Status.HEALTHY, "first_healthy_at": NOW},
        {"status": Status.HIBERNATING, "first_healthy_at": NOW},
        {"status": Status.UNHEALTHY, "first_healthy_at": NOW},
    ],
)
def test_only_what_is_under_way_can_be_stalled(as_, vera, waiting, change):
    Deployment.objects.filter(pk=waiting.pk).update(**change)
    assert "Stalled" not in as_(vera).get(waiting.url).content.decode()


def test_without_enough_runs_nobody_is_called_stalled(as_, vera, waiting):
    StepTiming.objects.first().delete()
    page = as_(vera).get(waiting.url).content.decode()
    assert "Stalled" not in page
    assert "usually" not in page


def test_another_cluster_or_operation_tells_nothing(as_, vera, waiting):
    StepTiming.objects.update(operation=Operation.CHANGE)
    assert "Stalled" not in as_(vera).get(waiting.url).content.decode()


def test_the_list_costs_three_queries_more_when_something_is_under_way(as_, alice, workspace, cluster):
    client = as_(alice)
    many(workspace, cluster, 10)
    healthy = queries(client, workspace.url)
    Deployment.objects.update(status=Status.CREATING)
    taken(cluster)
    Step.objects.bulk_create(
        Step(
            deployment=row,
            operation=Operation.CREATE,
            position=0,
            key="database",
            title="Database",
            state=StepState.RUNNING,
            started_at=NOW - timedelta(days=1),
        )
        for row in Deployment.objects.all()
    )
    assert queries(client, workspace.url) == healthy + 3  # steps, components, what is usual
    assert client.get(workspace.url).content.decode().count("Stalled</span>") == 10


def test_attaching_to_rows_at_rest_asks_nothing(workspace, cluster):
    many(workspace, cluster, 3)
    rows = list(Deployment.objects.select_related("cluster"))
    with CaptureQueriesContext(connection) as asked:
        durations.attach(rows)
    assert len(asked) == 0


@pytest.mark.parametrize(
    ("hibernating", "before", "word"),
    [
        (True, Status.HEALTHY, "Stopping"),
        (False, Status.HIBERNATING, "Waking up"),
        (False, Status.HEALTHY, "Deploying"),
    ],
)
def test_a_change_is_called_what_it_is_and_a_failing_component_is_told_beside_it(
    as_, alice, deployment, hibernating, before, word
):
    Deployment.objects.filter(pk=deployment.pk).update(
        status=Status.DEPLOYING, hibernating=hibernating, first_healthy_at=NOW
    )
    StatusChange.objects.create(deployment=deployment, old=before, new=Status.DEPLOYING)
    client = as_(alice)
    for url in (deployment.workspace.url, deployment.url):
        html = client.get(url).content.decode()
        assert f"</svg>{word}</span>" in html
        assert "Failing</span>" not in html
    ComponentStatus.objects.create(
        deployment=deployment, position=0, name="scheduler", state="failing", ready=0, desired=1
    )
    for url in (deployment.workspace.url, deployment.badge_url):
        assert "Failing</span>" in client.get(url).content.decode()
    assert (
        'class="card verdict" id="live-verdict" data-tone="bad"'
        in client.get(deployment.url).content.decode()
    )
