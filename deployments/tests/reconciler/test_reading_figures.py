"""Readings by the minute and by the hour: what is counted, taken over and dropped."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from deployments.dataplane.reading import HourCount, QueueReading, Usage
from deployments.models import FailedRun, HourlyFigures, MinuteFigures
from deployments.reconciler import reading_records
from deployments.tests.readings import a_dag, a_failure, a_reading, a_run, read
from deployments.tests.reconciler.test_readings import latest, running  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_reading_is_kept_by_the_minute_and_the_hour(running):  # noqa: F811
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    counts = HourCount(hour, 4, 1, 40, 2)
    queues = (QueueReading("default", 3, 2, 75.0),)
    read(running, a_reading(hours=(counts,), queues=queues, runs_succeeded=2, usage=Usage(1.5, 3 * 2**30)))
    read(
        running,
        a_reading(hours=(counts,), usage=Usage(absent="The cluster does not measure CPU and memory.")),
    )
    kept = HourlyFigures.objects.get()
    assert (kept.hour, kept.runs_succeeded, kept.runs_failed, kept.tasks_failed) == (hour, 4, 1, 2)
    assert (kept.queued, kept.running, kept.cpu_millis, kept.memory_mib, kept.readings) == (
        3,
        2,
        1500,
        3072,
        2,
    )
    assert latest(running).cpu_millis is None
    assert latest(running).usage_absent == "The cluster does not measure CPU and memory."


def test_the_end_of_an_hour_is_counted_only_where_it_had_readings(running):  # noqa: F811
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    before = hour - timedelta(hours=1)
    read(running, a_reading(hours=(HourCount(before, 9, 9, 9, 9), HourCount(hour, 1, 0, 1, 0))))
    assert [each.hour for each in HourlyFigures.objects.all()] == [hour]  # it slept: a gap stays a gap
    next_hour = (HourCount(hour, 7, 0, 7, 0), HourCount(hour + timedelta(hours=1), 0, 0, None, None))
    read(running, a_reading(hours=next_hour))
    kept = dict(HourlyFigures.objects.values_list("hour", "runs_succeeded"))
    assert kept == {hour: 7, hour + timedelta(hours=1): 0}
    assert latest(running).day == [
        [hour.isoformat(), 7, 0],
        [(hour + timedelta(hours=1)).isoformat(), 0, 0],
    ]


def test_a_row_of_a_list_has_24_hours_and_no_more(running):  # noqa: F811
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number in range(30):
        read(running, a_reading(hours=(HourCount(hour + timedelta(hours=number), number, 0, 0, 0),)))
    assert [each[1] for each in latest(running).day] == list(range(6, 30))


def test_a_minute_of_two_days_ago_is_taken_over(running):  # noqa: F811
    at = timezone.now()
    read(running, a_reading(at=at))
    MinuteFigures.objects.update(at=at - timedelta(hours=48), queued=9)
    read(running, a_reading(at=at))  # of the same minute
    assert [each.queued for each in MinuteFigures.objects.all()] == [0]


def test_hours_of_more_than_a_year_ago_and_old_failures_are_dropped(running):  # noqa: F811
    read(running, a_reading(failed_runs=(a_failure(),)))
    kept = HourlyFigures.objects.get()
    old = {"deployment": running, "readings": 1, **dict.fromkeys(("runs_succeeded", "runs_failed"), 0)}
    for days in (360, 370):
        HourlyFigures.objects.create(hour=kept.hour - timedelta(days=days), queued=0, running=0, **old)
    FailedRun.objects.create(
        deployment=running, dag_id="x", run_id="y", run_at=kept.hour, ended_at=kept.hour - timedelta(days=40)
    )
    reading_records.prune(running.cluster_id)
    assert HourlyFigures.objects.count() == 2
    assert FailedRun.objects.count() == 1


def test_the_last_failure_of_a_dag_that_has_not_succeeded_since_is_kept(running):  # noqa: F811
    long_ago, day = timezone.now() - timedelta(days=40), timedelta(days=1)
    read(
        running, a_reading(a_dag("monthly", a_run("failed", ago=40 * day)), a_dag("healed", a_run("success")))
    )
    for dag, ended_at in (("monthly", long_ago - day), ("monthly", long_ago), ("healed", long_ago)):
        FailedRun.objects.create(
            deployment=running, dag_id=dag, run_id="r", run_at=ended_at, ended_at=ended_at
        )
    reading_records.prune(running.cluster_id)
    assert list(FailedRun.objects.values_list("dag_id", "ended_at")) == [("monthly", long_ago)]
