"""What a Deployment's Airflow does, on its page: figures, charts, and what happened on the same axis."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.tests.html_rules import complaints
from deployments import actions
from deployments.actions.hibernation import hibernate
from deployments.dataplane.reading import HourCount, QueueReading, Usage
from deployments.models import Deployment, HourlyFigures, LatestReading, StatusChange
from deployments.presenters.figures import figures_context
from deployments.queries.readings import SPANS
from deployments.tests.one_of_everything import furnish
from deployments.tests.readings import a_dag, a_reading, broken, read
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)
MOST_MORE_QUERIES = 6


@pytest.fixture
def running(deployment, driver) -> Deployment:
    return settle(deployment)


def busy(running: Deployment, **more) -> None:
    """Read it as one that works: runs that ended in this hour and the one before."""
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = (HourCount(hour - timedelta(hours=1), 5, 0, 50, 0), HourCount(hour, 3, 2, 30, 4))
    values = {
        "hours": hours,
        "queues": (QueueReading("default", 7, 3, 125.0),),
        "runs_running": 2,
        "runs_queued": 1,
        "scheduled": 4,
    }
    read(running, a_reading(a_dag("nightly"), a_dag("old", paused=True), **(values | more)))


def page_of(as_, user, running: Deployment, query: str = "") -> str:
    return as_(user).get(running.url + query).content.decode()


def test_the_page_says_what_the_airflow_does(as_, vera, running):
    busy(running, **broken("etl/load.py"))
    page = page_of(as_, vera, running)
    for text in (
        "1 paused",
        "2 running",
        "1 queued",
        "3 running",
        "7 queued, 4 scheduled",
        "0.25 cores",
        "700 MiB",
        "3 succeeded, 2 failed",
        "30 succeeded, 4 failed",
        "etl/load.py",
        "ModuleNotFoundError: No module named &#x27;pandsa&#x27;",
        "2 min",  # the longest wait of the queue
        "Longest wait",
    ):
        assert text in page, text
    assert complaints(page) == []


def test_files_that_do_not_import_come_before_the_figures(as_, vera, running):
    busy(running, **broken("sales.py"))
    page = as_(vera).get(running.url).content.decode()
    assert 0 < page.index('id="import-errors"') < page.index('id="figures-title"')


def test_before_the_first_reading_it_says_when_there_will_be_one(as_, vera, running):
    assert "The first figures appear within two minutes." in page_of(as_, vera, running)


def test_there_are_no_figures_before_it_was_healthy_nor_while_it_goes(as_, vera, alice, deployment, driver):
    client = as_(vera)
    assert 'id="figures"' not in client.get(deployment.url).content.decode()
    assert client.get(deployment.url_for("figures")).status_code == 204
    settle(deployment)
    assert 'id="figures"' in client.get(deployment.url).content.decode()
    actions.delete_deployment(deployment=deployment, by=alice)
    assert 'id="figures"' not in client.get(deployment.url).content.decode()


def test_the_region_alone_is_what_the_page_shows_and_needs_no_shell(as_, vera, running):
    busy(running)
    client = as_(vera)
    part = client.get(running.url_for("figures") + "?span=7d").content.decode()
    assert part.lstrip().startswith("{#") is False
    assert "<html" not in part
    assert 'aria-current="true"' in part
    for line in ('id="span-7d"', f'hx-get="{running.url_for("figures")}?span=7d"'):
        assert line in part


@pytest.mark.parametrize("key", [*SPANS, "nonsense"])
def test_each_span_has_its_bars_and_the_same_figures_in_a_table(as_, vera, running, key):
    busy(running)
    page = page_of(as_, vera, running, f"?span={key}")
    assert complaints(page) == []
    span = SPANS.get(key, SPANS["24h"])
    figures = page[page.index('id="figures"') :]
    bands = 2 if key == "1h" else 3
    hits = re.findall(r'<g class="chart__hits">(.*?)</g>', figures, re.DOTALL)
    assert [each.count("<title>") for each in hits] == [span.count] * bands
    assert figures.count('<th scope="row" role="rowheader"><time') == span.count


def test_an_hour_without_a_reading_is_a_gap_in_chart_and_table(running, as_, vera):
    busy(running)
    HourlyFigures.objects.filter(hour__lt=timezone.now() - timedelta(hours=1)).delete()
    page = page_of(as_, vera, running)
    assert "no data</title>" in page
    assert page.count(">no data</td>") >= 22


def test_old_figures_say_that_they_are_old_and_why(running, as_, vera):
    busy(running)
    LatestReading.objects.update(
        at=timezone.now() - timedelta(hours=3), problem="The metadata database did not answer in 1.5 s."
    )
    page = page_of(as_, vera, running)
    assert "The metadata database did not answer in 1.5 s." in page
    assert "As of" in page
    Deployment.objects.update(hibernating=True)
    assert "This Deployment hibernates. These figures are from before that." in page_of(as_, vera, running)


def test_a_silent_scheduler_and_a_lost_queue_stand_out(running):
    busy(running, heartbeats={"scheduler": 900.0}, queues=(QueueReading("gpu", 3, 0, 60.0),))
    running.refresh_from_db()
    context = figures_context(running, SPANS["24h"])
    tone = {tile.label: tile.tone for tile in context["tiles"]}
    assert tone["Scheduler"] == "bad"
    assert context["lost_queues"] == "gpu"


def test_a_gap_in_readings_shows_no_silent_scheduler(running):
    busy(running, heartbeats={"scheduler": 5.0})
    gap = timedelta(minutes=4)
    LatestReading.objects.update(at=F("at") - gap, scheduler_heartbeat_at=F("scheduler_heartbeat_at") - gap)
    running.refresh_from_db()
    tile = next(each for each in figures_context(running, SPANS["24h"])["tiles"] if each.label == "Scheduler")
    assert (tile.value, tile.tone) == ("4 min ago", "")


def test_what_was_not_measured_says_why(running):
    busy(running, usage=Usage(absent="This cluster has no metrics server."))
    running.refresh_from_db()
    tiles = {tile.label: tile for tile in figures_context(running, SPANS["24h"])["tiles"]}
    assert (tiles["CPU"].value, tiles["CPU"].detail) == ("–", "This cluster has no metrics server.")


def test_the_last_deploy_leads_to_its_page(running):
    busy(running)
    furnish(running)
    running.refresh_from_db()
    tiles = {tile.label: tile for tile in figures_context(running, SPANS["24h"])["tiles"]}
    last = tiles["Last deploy"]
    assert (last.value, last.detail) == ("#1", "Failed, just now")
    assert last.url == running.url_for("deploy", 1)


def test_acts_and_changes_of_status_lie_on_the_axis(running, bob):
    StatusChange.objects.all().delete()
    now = timezone.now()
    Deployment.objects.update(created_at=now - timedelta(days=3))
    StatusChange.objects.create(
        deployment=running, at=now - timedelta(hours=12), old="healthy", new="unhealthy"
    )
    StatusChange.objects.create(
        deployment=running, at=now - timedelta(hours=6), old="unhealthy", new="healthy"
    )
    hibernate(deployment=running, by=bob)
    running.refresh_from_db()
    context = figures_context(running, SPANS["24h"])
    tones = [part.split('"')[0] for part in context["ribbon"].split('data-tone="')[1:]]
    assert tones[:3] == ["ok", "bad", "ok"]
    assert 'class="chart__mark"' in context["ribbon"]
    assert "hibernated" in str([entry.act for entry in context["happened"]])


def test_the_page_asks_at_most_six_queries_more(as_, vera, running):
    client = as_(vera)
    busy(running, **broken("a.py", "b.py"))
    client.get(running.url)
    with CaptureQueriesContext(connection) as with_figures:
        client.get(running.url)
    Deployment.objects.update(
        first_healthy_at=None
    )  # the page without them, which shows steps in their place
    with CaptureQueriesContext(connection) as region:
        client.get(running.url_for("figures"))
    Deployment.objects.update(first_healthy_at=timezone.now() - timedelta(hours=1))
    with CaptureQueriesContext(connection) as alone:
        client.get(running.url_for("figures"))
    assert len(alone) - len(region) <= 5, [each["sql"][:200] for each in alone]
    assert len(with_figures) <= 19, [each["sql"][:120] for each in with_figures]
