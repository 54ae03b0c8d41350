"""The page that waits for an Airflow that does not answer, and waking it by opening it."""

# ruff: noqa: F811 - fixtures of another module

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints
from deployments.actions import hibernation
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.tests.pages.test_upgrade_hibernation_transfer import editable, url  # noqa: F401
from workspaces.actions import operators
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db
AIRFLOW = "http://some-name-0001.localhost:8000"


def put(deployment, **values):
    Deployment.objects.filter(pk=deployment.pk).update(**values)
    deployment.refresh_from_db()


@pytest.fixture
def asleep(editable, bob):
    hibernation.hibernate(deployment=editable, by=bob)
    put(editable, status=Status.HIBERNATING)
    return editable


def switch_on(deployment, bob):
    hibernation.set_wakes_on_open(deployment=deployment, by=bob, on=True)
    deployment.refresh_from_db()


def opened(client, deployment):
    answer = client.get(url("opening", deployment), {"to": "/dags/etl"})
    assert answer.status_code == 200
    assert complaints(answer.content.decode()) == []
    return answer.content.decode()


def test_what_moves_is_read_out_when_the_status_changes_and_not_with_every_second(as_, vera, asleep):
    assert "data-since" in opened(
        as_(vera), asleep
    )  # a clock, outside of every live region: `complaints` looks
    part = as_(vera).get(url("opening_live", asleep)).content.decode()
    assert f'data-announce="{asleep.name} is Hibernating.' in part


def test_a_member_who_opens_it_wakes_it_where_that_is_switched_on(as_, vera, bob, asleep):
    switch_on(asleep, bob)
    shown = opened(as_(vera), asleep)
    assert 'hx-trigger="load, submit"' in shown
    answer = as_(vera).post(f"{url('opening_wake', asleep)}?to=/dags/etl")
    assert (answer.status_code, answer["Location"]) == (303, f"{url('opening', asleep)}?to=%2Fdags%2Fetl")
    asleep.refresh_from_db()
    assert not asleep.hibernating
    event = AuditEvent.objects.filter(verb="woke").latest("at")
    assert (event.actor_id, event.new) == (vera.pk, {"because": "a member opened its Airflow"})


@pytest.mark.parametrize("who", ["vera", "bob", "alice"])
def test_no_one_wakes_it_while_the_workspace_is_suspended(as_, who, bob, olga, asleep, request):
    switch_on(asleep, bob)
    operators.suspend_workspace(workspace=asleep.workspace, by=olga)
    client = as_(request.getfixturevalue(who))
    assert "opening-wake" not in opened(client, asleep)
    assert client.post(url("opening_wake", asleep)).status_code == 403
    asleep.refresh_from_db()
    assert asleep.hibernating


def test_where_it_is_off_a_member_is_told_whom_to_ask_and_cannot_wake_it(as_, vera, asleep):
    shown = opened(as_(vera), asleep)
    assert "Only an Editor or Admin of this Workspace can wake it up." in shown
    assert "Wake up" not in shown
    answer = as_(vera).post(url("opening_wake", asleep), follow=True)
    assert "Ask an Editor to wake it up." in answer.content.decode()
    asleep.refresh_from_db()
    assert asleep.hibernating


def test_where_it_is_off_an_editor_wakes_it_by_a_click(as_, bob, asleep):
    shown = opened(as_(bob), asleep)
    assert "Wake up" in shown
    assert 'hx-trigger="load' not in shown
    as_(bob).post(url("opening_wake", asleep))
    asleep.refresh_from_db()
    assert not asleep.hibernating


def test_looking_at_the_page_changes_nothing(as_, vera, bob, asleep):
    switch_on(asleep, bob)
    opened(as_(vera), asleep)
    as_(vera).get(url("opening_live", asleep))
    asleep.refresh_from_db()
    assert asleep.hibernating


def live(client, deployment, since):
    query = {"to": "/dags/etl", "since": since.isoformat()}
    return client.get(url("opening_live", deployment), query, headers={"HX-Request": "true"})


def test_it_goes_on_to_the_path_that_was_opened_once_it_is_seen_healthy(as_, vera, editable):
    now = timezone.now()
    put(editable, status=Status.HEALTHY, airflow_url=AIRFLOW, observed_at=now, status_since=now)
    answer = live(as_(vera), editable, now - timedelta(seconds=5))
    assert (answer.status_code, answer["HX-Redirect"]) == (
        204,
        f"{url('open', editable)}?next=%2Fdags%2Fetl",
    )
    plain = as_(vera).get(url("opening", editable), {"to": "/x", "since": "2026-01-01T00:00:00+00:00"})
    assert (plain.status_code, plain["Location"]) == (302, f"{url('open', editable)}?next=%2Fx")


def test_an_older_word_of_its_health_sends_nobody_in_a_circle(as_, vera, editable):
    now = timezone.now()
    put(editable, status=Status.HEALTHY, airflow_url=AIRFLOW, observed_at=now, status_since=now)
    answer = live(as_(vera), editable, now + timedelta(seconds=1))
    assert answer.status_code == 200
    assert f'href="{url("open", editable)}?next=%2Fdags%2Fetl"' in answer.content.decode()  # a person may try


@pytest.mark.parametrize("path", ["", "//evil.example", "https://evil.example/", "/a\nb", "/" + "x" * 3000])
def test_it_leads_to_that_airflow_alone(as_, vera, editable, path):
    put(editable, status=Status.HEALTHY, airflow_url=AIRFLOW)
    answer = as_(vera).get(url("opening", editable), {"to": path, "since": "2026-01-01T00:00:00+00:00"})
    assert answer["Location"].startswith(f"{url('open', editable)}?next=%2F")


@pytest.mark.parametrize("since", ["", "yesterday", "2026-11-28", "2026-13-45T00:00:00+00:00"])
def test_a_since_that_cannot_be_read_is_as_none(as_, vera, editable, since):
    put(editable, status=Status.HEALTHY, airflow_url=AIRFLOW)
    assert as_(vera).get(url("opening", editable), {"since": since}).status_code == 200


def test_the_setting_is_on_the_settings_page_and_in_the_activity(as_, bob, editable):
    settings = as_(bob).get(url("settings", editable)).content.decode()
    assert "While it hibernates, opening its Airflow does not wake it up." in settings
    on = reverse("deployments:opening_wakes", args=[editable.release_name, "on"])
    assert as_(bob).post(on).status_code == 303
    editable.refresh_from_db()
    assert editable.wakes_on_open
    assert (
        "any member who opens its Airflow wakes it up"
        in as_(bob).get(url("settings", editable)).content.decode()
    )
    shown = as_(bob).get(url("deployment_activity", editable)).content.decode()
    assert "changed the wake setting of" in shown
    generation = editable.generation
    as_(bob).post(on)
    editable.refresh_from_db()
    assert editable.generation == generation  # nothing restarts


def test_no_other_setting_is_known(as_, bob, editable):
    assert (
        as_(bob).post(reverse("deployments:opening_wakes", args=[editable.release_name, "maybe"])).status_code
        == 404
    )
