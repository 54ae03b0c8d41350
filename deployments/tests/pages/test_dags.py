"""The pages that list DAGs: of one Deployment, and of all of a Workspace."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints
from deployments import actions
from deployments.actions import hibernation
from deployments.models import Deployment, LatestReading
from deployments.presenters import dags as presenter
from deployments.tests.readings import a_dag, a_reading, a_run, broken, read
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(deployment) -> Deployment:
    return settle(deployment)


@pytest.fixture
def shown(as_, vera):
    def show(url: str) -> str:
        answer = as_(vera).get(url)
        assert answer.status_code == 200
        text = answer.content.decode()
        assert complaints(text) == []
        return " ".join(text.split())

    return show


def page(deployment: Deployment, query: str = "") -> str:
    return reverse("deployments:dags", args=[deployment.release_name]) + query


def test_a_dag_is_a_row_with_schedule_state_durations_and_next_run(running, shown):
    runs = (
        a_run("failed", seconds=125),
        a_run("success", ago=timedelta(days=1), seconds=42),
        a_run("queued"),
    )
    read(running, a_reading(a_dag("nightly_load", *runs, name="Nightly load")))
    text = shown(page(running))
    assert "Nightly load" in text
    assert "nightly_load · nightly_load.py" in text
    assert "At 04:00 AM" in text
    assert "0 4 * * *" in text
    assert "Failed" in text
    assert "in 3 hours" in text
    assert "Last 3 runs, oldest first: queued, succeeded in 42 s, failed in 2 min 5 s" in text
    assert f"{running.release_name}/open/?next=%2Fdags%2Fnightly_load" in text


def test_a_dag_that_never_ran_is_paused_or_does_not_import_says_so(running, shown):
    read(
        running,
        a_reading(
            a_dag("quiet", paused=True, schedule="None", schedule_words="Never"),
            a_dag("bad", import_error=True),
        ),
    )
    text = shown(page(running))
    assert "Never ran" in text
    assert "Paused" in text
    assert presenter.TRIGGERED in text
    assert "Does not import" in text


def test_files_that_do_not_import_stand_above_with_their_last_line(running, shown):
    read(running, a_reading(**broken("team/<one>.py", "two.py")))
    text = shown(page(running))
    assert "2 files do not import" in text
    assert "team/<wbr>&lt;one&gt;.py" in text
    assert "ModuleNotFoundError: No module named &#x27;pandsa&#x27;" in text
    assert "No DAGs yet" in text


def test_without_dags_the_page_says_why(deployment, driver, shown):
    assert "once this Deployment has been set up" in shown(page(deployment))
    settle(deployment)
    assert "have not been read yet" in shown(page(deployment))
    read(deployment, a_reading())
    assert "Airflow found no DAG in the code of this Deployment" in shown(page(deployment))
    read(deployment, a_reading(a_dag()))
    assert "The filters hide every DAG" in shown(page(deployment, "?q=nothing"))


def test_an_old_reading_says_how_old_it_is_and_why(running, shown):
    read(running, a_reading(a_dag()))
    LatestReading.objects.update(
        at=timezone.now() - timedelta(minutes=12), problem="The database server does not answer."
    )
    text = shown(page(running))
    assert "This is how it was 12 min ago. The database server does not answer." in text
    assert "nightly" in text


def test_one_that_sleeps_shows_what_it_had(running, alice, shown):
    read(running, a_reading(a_dag()))
    hibernation.hibernate(deployment=running, by=alice)
    text = shown(page(running))
    assert "This Deployment hibernates" in text
    assert "nightly" in text


def test_the_list_alone_is_fetched_again(running, as_, vera):
    read(running, a_reading(a_dag()))
    text = as_(vera).get(page(running), HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in text
    assert "nightly" in text


def test_the_queries_of_the_pages_do_not_grow_with_the_dags(
    running, as_, vera, django_assert_max_num_queries
):
    client = as_(vera)
    counts = []
    for number in (1, 40):
        read(running, a_reading(*(a_dag(f"dag-{each}", a_run()) for each in range(number))))
        for url in (page(running), running.workspace.url_for("deployments:workspace_dags")):
            client.get(url)
            with django_assert_max_num_queries(14) as ran:
                client.get(url)
            counts.append(len(ran))
    assert counts[:2] == counts[2:]


def test_the_dags_of_a_workspace_name_their_deployments(running, choices, alice, workspace, shown):
    other = settle(
        actions.create_deployment(
            workspace=workspace, choices=choices("Sandbox"), by=alice, idempotency_key=workspace.pk
        )
    )
    url = workspace.url_for("deployments:workspace_dags")
    assert "The DAGs of all Deployments of this Workspace are listed here" in shown(url)
    read(running, a_reading(a_dag("one", a_run("failed"))))
    read(other, a_reading(a_dag("two")))
    text = shown(url)
    assert "Analytics" in text
    assert "Sandbox" in text
    narrowed = shown(f"{url}?state=failed")
    assert "one.py" in narrowed
    assert "two.py" not in narrowed
    assert "two.py" in shown(f"{url}?sort=-deployment&page=abc&state=nonsense&q=TWO")


def test_bars_are_scaled_to_the_longest_and_stand_at_the_right(running):
    read(running, a_reading(a_dag("nightly", a_run("success", seconds=10), a_run("failed", seconds=100))))
    [row] = presenter.rows(running.dags.all(), may_open=False, deployment=running)
    assert [(bar.x, bar.height, bar.tone) for bar in row.bars] == [(96, 24, "bad"), (104, 2, "ok")]
    assert row.airflow_url == ""
