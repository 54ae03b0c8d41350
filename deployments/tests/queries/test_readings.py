"""Figures over time and lists of DAGs, as pages ask for them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict

from deployments import actions
from deployments.models import Deployment, HourlyFigures, MinuteFigures
from deployments.models.readings import slot_of
from deployments.queries import dags, listing, readings
from deployments.tests.readings import a_dag, a_reading, a_run, read
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 28, 15, 20, 30, tzinfo=UTC)
NOTHING = {"runs_succeeded": 0, "runs_failed": 0, "queued": 0, "running": 0}


@pytest.fixture
def running(deployment) -> Deployment:
    return settle(deployment)


def hour(deployment: Deployment, ago: float, **values) -> None:
    at = NOW.replace(minute=0, second=0) - timedelta(hours=ago)
    HourlyFigures.objects.create(deployment=deployment, hour=at, readings=60, **(NOTHING | values))


def minute(deployment: Deployment, ago: float, **values) -> None:
    at = NOW - timedelta(minutes=ago)
    MinuteFigures.objects.create(deployment=deployment, slot=slot_of(at), at=at, **(NOTHING | values))


def test_an_hour_without_a_reading_is_a_gap_and_not_zero(running, django_assert_num_queries):
    hour(running, 0, runs_succeeded=2, tasks_succeeded=5, tasks_failed=0)
    hour(running, 2)
    with django_assert_num_queries(1):
        found = readings.series(running, readings.SPANS["24h"], NOW)
    assert len(found.starts) == len(found.buckets) == 24
    assert found.starts[-1] == datetime(2026, 11, 28, 15, tzinfo=UTC)
    assert found.values("runs_succeeded")[-3:] == [0, None, 2]
    assert found.total("tasks_succeeded") == 5


def test_longer_spans_add_up_what_ended_and_keep_the_highest_of_the_rest(running):
    hour(running, 0, runs_failed=1, queued=3, cpu_millis=200, tasks_failed=1)
    hour(running, 1, runs_failed=2, queued=8, workers=4)
    found = readings.series(running, readings.SPANS["7d"], NOW)
    [bucket] = [each for each in found.buckets if each is not None]
    assert (bucket.runs_failed, bucket.queued, bucket.cpu_millis, bucket.workers) == (3, 8, 200, 4)
    assert (bucket.tasks_failed, bucket.memory_mib) == (1, None)
    hour(running, 29 * 24, runs_failed=5)
    hour(running, 31 * 24, runs_failed=50)
    assert readings.series(running, readings.SPANS["30d"], NOW).total("runs_failed") == 8


def test_an_hour_is_shown_by_two_minutes(running):
    minute(running, 0, running=3)
    minute(running, 57, running=1)
    minute(running, 61, running=9)
    found = readings.series(running, readings.SPANS["1h"], NOW)
    assert len(found.buckets) == 30
    assert [value for value in found.values("running") if value is not None] == [1, 3]


def test_a_reading_says_how_old_it_is(running, django_assert_num_queries):
    assert readings.latest(running) is None
    read(running, a_reading(a_dag()))
    [row] = Deployment.objects.filter(pk=running.pk).select_related("reading")
    with django_assert_num_queries(0):
        found = readings.latest(row)
    assert found is not None
    assert found.is_fresh
    assert found.dags == 1


def test_rows_of_the_list_carry_their_readings_at_no_query_more(
    workspace, running, choices, alice, django_assert_num_queries
):
    read(running, a_reading(a_dag()))
    actions.create_deployment(
        workspace=workspace, choices=choices("Unread"), by=alice, idempotency_key=workspace.pk
    )
    with django_assert_num_queries(2):
        rows = list(listing.listing(workspace, {}, QueryDict()).page)
        shown = [readings.latest(row) for row in rows]
        counted = [(each.dags, each.day) if each else None for each in shown]
    assert counted[0] is not None
    assert counted[0][0] == 1
    assert counted[1] is None


def test_dags_are_searched_sorted_and_shown_by_pages(running, django_assert_num_queries):
    found = [a_dag(f"dag-{number:03}", a_run("success", seconds=number + 1)) for number in range(60)]
    found += [a_dag("zebra", a_run("failed"), name="The striped one"), a_dag("never", paused=True)]
    read(running, a_reading(*found))
    with django_assert_num_queries(2):
        first = dags.of_deployment(running, QueryDict())
        assert [dag.dag_id for dag in first.page][:2] == ["dag-000", "dag-001"]
    assert (first.total, len(first.page), first.page.paginator.num_pages) == (62, 50, 2)
    assert [dag.dag_id for dag in dags.of_deployment(running, QueryDict("q=striped")).page] == ["zebra"]
    assert [dag.dag_id for dag in dags.of_deployment(running, QueryDict("state=failed")).page] == ["zebra"]
    assert [dag.dag_id for dag in dags.of_deployment(running, QueryDict("state=paused")).page] == ["never"]
    longest = dags.of_deployment(running, QueryDict("sort=-duration")).page
    assert [dag.dag_id for dag in longest][:2] == ["zebra", "dag-059"]
    assert len(dags.of_deployment(running, QueryDict("page=2&sort=nonsense")).page) == 12


def test_dags_of_a_workspace_come_with_their_deployments(
    running, workspace, choices, alice, charlie, django_assert_num_queries
):
    other = settle(
        actions.create_deployment(
            workspace=workspace, choices=choices("Other"), by=alice, idempotency_key=workspace.pk
        )
    )
    read(running, a_reading(a_dag("one")))
    read(other, a_reading(a_dag("two")))
    with django_assert_num_queries(2):
        found = dags.of_workspace(workspace, QueryDict("sort=-deployment"))
        names = [(dag.dag_id, dag.deployment.name, dag.deployment.cluster.name) for dag in found.page]
    assert [name[:2] for name in names] == [("two", "Other"), ("one", "Analytics")]
    assert not dags.of_workspace(charlie.memberships.get().workspace, QueryDict()).total
