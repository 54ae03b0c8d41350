"""The pages of what is done to a Deployment as a whole: upgrade, hibernate, schedule, transfer."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints
from deployments.actions import ClusterClosed, create_deployment, transfer
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment, RuntimeRelease
from deployments.reconciler.reconcile import reconcile
from workspaces.actions.workspaces import create_workspace
from workspaces.models import AuditEvent, Membership
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def editable(deployment):
    """Healthy once, on the older runtime, without its passes."""
    Deployment.objects.filter(pk=deployment.pk).update(
        first_healthy_at=timezone.now(),
        status=Status.HEALTHY,
        observed_at=timezone.now() + timedelta(minutes=1),
        runtime=RuntimeRelease.objects.get(version="3.2-1"),
    )
    deployment.refresh_from_db()
    return deployment


def url(name, deployment):
    return reverse(f"deployments:{name}", args=[deployment.release_name])


def page(client, name, deployment, status=200):
    answer = client.get(url(name, deployment))
    assert answer.status_code == status
    assert complaints(answer.content.decode()) == []
    return answer.content.decode()


PAGES = ("upgrade", "hibernate", "schedule", "transfer")


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_keep_the_rules_of_pages(as_, alice, editable, name):
    create_workspace(by=alice, name="Second")
    page(as_(alice), name, editable)


@pytest.mark.parametrize("name", PAGES)
def test_while_it_is_created_they_say_that_it_cannot_be_changed(as_, alice, deployment, name):
    assert "You can change it once it is Healthy" in page(as_(alice), name, deployment)
    answer = as_(alice).post(url("hibernate", deployment), follow=True)
    assert "You can change it once it is Healthy" in answer.content.decode()
    deployment.refresh_from_db()
    assert not deployment.hibernating


@pytest.mark.parametrize("name", PAGES)
def test_what_is_gone_has_none_of_them(as_, alice, deployment, name):
    Deployment.objects.filter(pk=deployment.pk).update(deleted_at=timezone.now())
    assert as_(alice).get(url(name, deployment)).status_code == 404


def test_the_ways_to_them_stand_on_its_page_for_those_who_may(as_, alice, bob, vera, editable):
    ways = {name: url(name, editable) for name in PAGES}
    assert ways["transfer"] not in as_(alice).get(editable.url).content.decode()  # there is nowhere to go
    create_workspace(by=alice, name="Second")
    shown = {user: as_(user).get(editable.url).content.decode() for user in (alice, bob, vera)}
    assert all(way in shown[alice] for way in ways.values())
    assert ways["transfer"] not in shown[bob]
    assert ways["hibernate"] in shown[bob]
    assert not any(way in shown[vera] for way in ways.values())
    settings = as_(alice).get(url("settings", editable)).content.decode()
    assert all(way in settings for way in ways.values())
    editable.runtime = RuntimeRelease.objects.get(version="3.3-1")
    editable.save(update_fields=["runtime"])
    assert ways["upgrade"] not in as_(alice).get(editable.url).content.decode()  # it is on the newest


# -- Upgrade --


def test_an_upgrade_says_what_happens_and_is_asked_for_once(as_, bob, editable):
    message = page(as_(bob), "upgrade", editable)
    assert "3.3-1 (based on Airflow 3.3.2)" in message
    assert "there is no way back to 3.2-1" in message
    answer = as_(bob).post(url("upgrade", editable), {"runtime": "3.3-1"})
    assert (answer.status_code, answer["Location"]) == (303, editable.url)
    editable.refresh_from_db()
    assert (editable.runtime.version, editable.upgrade_from.version) == ("3.3-1", "3.2-1")
    assert "An upgrade to 3.3-1 is under way." in page(as_(bob), "upgrade", editable)


@pytest.mark.parametrize("runtime", ["3.2-1", "3.1-1", "9.9-9", ""])
def test_what_is_not_newer_or_not_offered_is_refused_beside_the_field(as_, bob, editable, runtime):
    answer = as_(bob).post(url("upgrade", editable), {"runtime": runtime})
    assert answer.status_code == 422
    assert "Choose a runtime from the list" in answer.content.decode()
    editable.refresh_from_db()
    assert editable.upgrade_from is None


def test_on_the_newest_there_is_nothing_to_upgrade_to(as_, bob, editable):
    RuntimeRelease.objects.filter(version="3.3-1").update(yanked=True)
    assert "It is on the newest runtime." in page(as_(bob), "upgrade", editable)


def test_a_failed_upgrade_stays_on_the_page(as_, vera, editable):
    editable.upgrade_error = "Upgrade to 3.3-1 failed: no disk. It runs 3.2-1 again with its data as before."
    editable.save(update_fields=["upgrade_error"])
    assert editable.upgrade_error in as_(vera).get(editable.url).content.decode()
    assert editable.upgrade_error in as_(vera).get(url("live", editable)).content.decode()


def test_a_failed_upgrade_is_dismissed_once_by_an_editor_and_its_activity_keeps_why(
    as_, bob, vera, editable, published, django_capture_on_commit_callbacks
):
    why = "Upgrade to 3.3-1 failed: no disk. It runs 3.2-1 again with its data as before."
    Deployment.objects.filter(pk=editable.pk).update(upgrade_error=why)
    dismiss = url("upgrade_dismiss", editable)
    assert dismiss in page(as_(bob), "settings", editable)
    assert dismiss not in as_(vera).get(editable.url).content.decode()
    generation = editable.generation
    with django_capture_on_commit_callbacks(execute=True):
        assert as_(bob).post(dismiss)["Location"] == editable.url
    shown = as_(bob).get(editable.url).content.decode()
    assert why not in shown
    assert dismiss not in shown
    event = AuditEvent.objects.get(verb="dismissed the failed upgrade of")
    assert (event.actor_id, event.old) == (bob.pk, {"reason": why})
    assert published  # other people's open pages show it no longer
    as_(bob).post(dismiss)
    assert AuditEvent.objects.filter(verb=event.verb).count() == 1
    editable.refresh_from_db()
    assert editable.generation == generation


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"maintained_until": date(2020, 6, 30)}, "3.2-1 has not been maintained since 30 June 2020"),
        ({"yanked": True}, "3.2-1 was withdrawn"),
    ],
)
def test_a_deprecated_or_withdrawn_runtime_is_told_on_its_page_and_in_the_list(
    as_, vera, bob, editable, workspace, changes, sentence
):
    for user in (vera, bob):
        assert sentence not in as_(user).get(editable.url).content.decode()
    RuntimeRelease.objects.filter(version="3.2-1").update(**changes)
    assert sentence in as_(vera).get(editable.url).content.decode()
    shown = as_(bob).get(editable.url).content.decode()
    assert sentence in shown
    listed = as_(vera).get(workspace.url).content.decode()
    assert ("Withdrawn" if "yanked" in changes else "Deprecated since 30 Jun 2020") in listed


# -- Hibernate --


def test_hibernating_is_asked_first_and_waking_is_not(as_, bob, editable):
    assert "Running tasks are stopped and marked failed" in page(as_(bob), "hibernate", editable)
    assert as_(bob).post(url("hibernate", editable)).status_code == 303
    editable.refresh_from_db()
    assert (editable.hibernating, editable.hibernation_cause) == (True, "Bob")
    assert "It is already hibernating" in page(as_(bob), "hibernate", editable)
    assert as_(bob).post(url("wake", editable)).status_code == 303
    editable.refresh_from_db()
    assert not editable.hibernating


@pytest.mark.django_db(transaction=True)
def test_the_tasks_that_run_are_counted(as_, vera, deployment, driver):
    for _ in range(4):
        reconcile(deployment.pk)
    world = driver.worlds[deployment.release_name]
    ask = url("tasks", deployment)
    assert "No task is running or queued." in as_(vera).get(ask).content.decode()
    world.loads["default"] = (2, 1)  # queued, running
    assert "1 task runs now, and 2 wait." in as_(vera).get(ask).content.decode()
    world.loads["default"] = (1, 7)
    assert "7 tasks run now, and 1 waits." in as_(vera).get(ask).content.decode()


@pytest.mark.django_db(transaction=True)
def test_tasks_that_cannot_be_counted_are_told_so_in_time(as_, bob, editable, driver, monkeypatch):
    def silent(ref):
        raise DataPlaneUnreachable("The database server does not answer.")

    monkeypatch.setattr(driver, "tasks", silent)
    message = as_(bob).get(url("tasks", editable)).content.decode()
    assert "The running tasks could not be counted. The database server does not answer." in message
    assert url("tasks", editable) in page(as_(bob), "hibernate", editable)  # the page itself asks nobody


# -- Transfer --


@pytest.fixture
def target(alice):
    return create_workspace(by=alice, name="Second")


def move(client, deployment, workspace):
    return client.post(url("transfer", deployment), {"workspace": str(workspace.pk)})


def test_a_transfer_moves_it_and_restarts_nothing(as_, alice, bob, editable, workspace, target, published):
    generation = editable.generation
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda act, **_: act())
        answer = move(as_(alice), editable, target)
    assert (answer.status_code, answer["Location"]) == (303, editable.url)
    editable.refresh_from_db()
    assert (editable.workspace, editable.generation, editable.status) == (target, generation, Status.HEALTHY)
    assert as_(bob).get(editable.url).status_code == 404
    assert editable.name not in as_(alice).get(workspace.url).content.decode()
    assert editable.name in as_(alice).get(target.url).content.decode()
    events = AuditEvent.objects.filter(verb="transferred", object_id=str(editable.pk))
    assert {event.workspace_id for event in events} == {workspace.pk, target.pk}
    assert all(event.new == {"workspace": "Second"} for event in events)
    topics = [topic for topic, frames in published if [f.event for f in frames] == ["resync"]]
    assert topics == [f"w:{workspace.pk}", f"w:{target.pk}"]


def test_only_where_one_may_create_and_its_cluster_is_open(as_, alice, editable, workspace, target, charlie):
    others = charlie.memberships.get().workspace
    shown = page(as_(alice), "transfer", editable)
    assert target.name in shown
    assert f'value="{others.pk}"' not in shown
    assert move(as_(alice), editable, others).status_code == 422
    Membership.objects.create(user=alice, workspace=others, role=Role.MEMBER)
    assert move(as_(alice), editable, others).status_code == 422
    Membership.objects.filter(user=alice, workspace=others).update(role=Role.EDITOR)
    assert f'value="{others.pk}"' in page(as_(alice), "transfer", editable)
    Cluster.objects.update(restricted=True)
    editable.cluster.workspaces.add(workspace, target)
    assert f'value="{others.pk}"' not in page(as_(alice), "transfer", editable)
    assert move(as_(alice), editable, others).status_code == 422
    assert move(as_(alice), editable, target).status_code == 303


def test_the_action_itself_refuses_what_the_form_did_not_offer(alice, editable, target, charlie):
    with pytest.raises(transfer.NotOpenToYou):
        transfer.transfer_deployment(deployment=editable, by=alice, to=charlie.memberships.get().workspace)
    Cluster.objects.update(restricted=True)
    with pytest.raises(ClusterClosed):
        transfer.transfer_deployment(deployment=editable, by=alice, to=target)
    editable.refresh_from_db()
    assert editable.workspace != target


def test_a_name_that_is_taken_there_is_told_beside_the_field(as_, alice, editable, target, choices):
    create_deployment(workspace=target, by=alice, idempotency_key=uuid4(), choices=choices("ANALYTICS"))
    answer = move(as_(alice), editable, target)
    assert answer.status_code == 422
    assert "has a Deployment named Analytics already" in answer.content.decode()


def test_without_another_workspace_the_page_says_what_is_needed(as_, alice, editable):
    assert "You have no other Workspace that can take it" in page(as_(alice), "transfer", editable)


def test_the_pages_cost_a_fixed_number_of_queries(as_, alice, editable, django_assert_max_num_queries):
    create_workspace(by=alice, name="Second")
    client = as_(alice)
    for name in PAGES:
        with django_assert_max_num_queries(14):
            client.get(url(name, editable))
