"""The home of a Workspace: what needs somebody, what was looked at last, the runs of a day."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from console.bench.rows import make_deployments
from console.tests.html_rules import complaints
from deployments.dataplane.reading import HourCount
from deployments.domain.states import Status
from deployments.models import Deployment, ReleaseName, RuntimeRelease
from deployments.pages.looked_at import COOKIE
from deployments.tests.readings import a_dag, a_failure, a_reading, broken, read
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import ApiToken
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(deployment, driver) -> Deployment:
    return settle(deployment)


@pytest.fixture
def home(workspace, as_, vera):
    """The page, as Vera sees it."""
    client = as_(vera)
    return lambda **headers: client.get(reverse("deployments:home", args=[workspace.pk]), headers=headers)


def words(answer) -> list[tuple[str, str]]:
    return [(need.title, need.word) for need in answer.context["needs"]]


def test_a_workspace_in_which_all_is_well_says_so_and_is_quiet(home, running):
    read(running, a_reading(a_dag()))
    page = home()
    assert words(page) == []
    assert "Nothing. The Deployment is as it should be." in page.content.decode()
    assert "<title>Home" in page.content.decode()
    assert complaints(page.content.decode()) == []


def test_what_fails_comes_first_and_leads_to_the_reason(home, running, alice, workspace, deployment):
    read(running, a_reading(a_dag(), **broken("etl.py")))
    Deployment.objects.update(status=Status.UNHEALTHY, status_reason="The scheduler has crashed.")
    RuntimeRelease.objects.update(maintained_until=timezone.now().date() + timedelta(days=10))
    tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish("ci", "", Role.MEMBER))
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=3))
    page = home()
    assert words(page) == [
        ("Analytics", "Unhealthy"),
        ("Analytics", "Import errors"),
        ("Analytics", "Runtime ends"),
        ("ci", "Token ends"),
    ]
    html = page.content.decode()
    for text in ("The scheduler has crashed.", "etl.py", "in 3 days", "<title>(4) Home"):
        assert text in html, text
    assert complaints(html) == []


def test_what_was_not_heard_of_needs_somebody(home, running):
    Deployment.objects.update(observed_at=timezone.now() - timedelta(minutes=5), due_at=timezone.now())
    running.cluster.__class__.objects.update(last_seen_at=None)
    assert ("Analytics", "Unknown") in words(home())


def test_a_token_that_ends_later_or_was_revoked_needs_nobody(home, running, alice, workspace):
    for name in ("later", "revoked"):
        tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish(name, "", Role.MEMBER))
    soon = timezone.now() + timedelta(days=3)
    ApiToken.objects.filter(name="later").update(expires_at=soon + timedelta(days=30))
    ApiToken.objects.filter(name="revoked").update(expires_at=soon, revoked_at=timezone.now())
    assert words(home()) == []


def test_the_runs_of_a_day_and_those_that_failed_are_of_this_workspace(home, running):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts = (HourCount(hour - timedelta(hours=1), 0, 0, 0, 0), HourCount(hour, 4, 1, 9, 1))
    read(running, a_reading(a_dag(), hours=counts, failed_runs=(a_failure("nightly"),)))
    html = home().content.decode()
    assert "4 succeeded, 1 failed" in html
    assert "<strong>nightly</strong>" in html
    assert (
        f"{reverse('deployments:task_logs', args=[running.release_name])}?q=dag_id%3Dnightly%2Frun_id%3Dr1%2F"
        in html
    )


def test_what_was_looked_at_last_is_there(as_, vera, running, workspace):
    client = as_(vera)
    client.get(running.url)
    page = client.get(reverse("deployments:home", args=[workspace.pk]))
    assert [row.name for row in page.context["looked_at"]] == ["Analytics"]


def test_an_empty_workspace_leads_to_the_first_deployment(home, workspace):
    page = home()
    assert f'href="{workspace.url}">See how to begin' in page.content.decode()
    assert complaints(page.content.decode()) == []


def test_a_stranger_sees_none_of_it(as_, charlie, workspace):
    assert as_(charlie).get(reverse("deployments:home", args=[workspace.pk])).status_code == 404


def test_the_home_of_another_workspace_shows_nothing_of_this_one(as_, charlie, alice, running, workspace):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts = (HourCount(hour - timedelta(hours=1), 0, 0, 0, 0), HourCount(hour, 4, 1, 9, 1))
    read(running, a_reading(a_dag(), hours=counts, failed_runs=(a_failure("nightly"),), **broken("etl.py")))
    Deployment.objects.update(status=Status.UNHEALTHY)
    tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish("ci", "", Role.MEMBER))
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=3))
    own = charlie.workspaces.get()
    make_deployments(own, 1)
    client = as_(charlie)
    client.cookies[COOKIE] = running.release_name
    page = client.get(reverse("deployments:home", args=[own.pk]))
    assert words(page) == []
    assert page.context["total"] == 1
    assert page.context["runs_known"] is False
    assert page.context["failed_runs"] == page.context["looked_at"] == []
    for secret in ("Analytics", "nightly", "etl.py", running.release_name):
        assert secret not in page.content.decode()


def test_the_part_that_changes_comes_without_the_shell(home, running):
    part = home(**{"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'id="needs"' in part


def test_it_takes_the_same_queries_at_any_size(home, workspace, running):
    counts = []
    home()
    for amount in (2, 60):
        Deployment.objects.filter(release_name__startswith="bench-row-").delete()
        workspace.deployments.model.objects.filter(pk=running.pk).update(status=Status.UNHEALTHY)

        ReleaseName.objects.filter(name__startswith="bench-row-").delete()
        for row in make_deployments(workspace, amount):
            Deployment.objects.filter(pk=row.pk).update(status=Status.UNHEALTHY)
        with CaptureQueriesContext(connection) as queries:
            page = home()
        assert len(page.context["needs"]) == amount + 1
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14, counts
    assert "And 41 more." in page.content.decode()


def test_the_list_shows_the_runs_of_a_day_at_no_query_more(as_, vera, running, workspace):
    client = as_(vera)
    client.get(workspace.url)
    with CaptureQueriesContext(connection) as before:
        assert "24 hours" not in client.get(workspace.url).content.decode()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts = (HourCount(hour - timedelta(hours=1), 0, 0, 0, 0), HourCount(hour, 4, 1, 9, 1))
    read(running, a_reading(a_dag(), hours=counts))
    with CaptureQueriesContext(connection) as after:
        page = client.get(workspace.url).content.decode()
    assert "5 runs, 1 failed" in page
    assert page.count('class="strip"') == 1
    assert len(after) == len(before)
