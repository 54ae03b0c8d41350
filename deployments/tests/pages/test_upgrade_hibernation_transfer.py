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
def settled(deployment):
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
def test_the_pages_keep_the_rules_of_pages(as_, alice, settled, name):
    create_workspace(by=alice, name="Second")
    page(as_(alice), name, settled)


@pytest.mark.parametrize("name", PAGES)
def test_while_it_is_created_they_say_that_it_cannot_be_changed(as_, alice, deployment, name):
    assert "still being created" in page(as_(alice), name, deployment)
    answer = as_(alice).post(url("hibernate", deployment), follow=True)
    assert "still being created" in answer.content.decode()
    deployment.refresh_from_db()
    assert not deployment.hibernating


@pytest.mark.parametrize("name", PAGES)
def test_what_is_gone_has_none_of_them(as_, alice, deployment, name):
    Deployment.objects.filter(pk=deployment.pk).update(deleted_at=timezone.now())
    assert as_(alice).get(url(name, deployment)).status_code == 404


def test_the_ways_to_them_stand_on_its_page_for_those_who_may(as_, alice, bob, vera, settled):
    ways = {name: url(name, settled) for name in PAGES}
    shown = {user: as_(user).get(settled.url).content.decode() for user in (alice, bob, vera)}
    assert all(way in shown[alice] for way in ways.values())
    assert ways["transfer"] not in shown[bob]
    assert ways["hibernate"] in shown[bob]
    assert not any(way in shown[vera] for way in ways.values())
    settings = as_(alice).get(url("settings", settled)).content.decode()
    assert all(way in settings for way in ways.values())


# -- Upgrade --


def test_an_upgrade_says_what_happens_and_is_asked_for_once(as_, bob, settled):
    said = page(as_(bob), "upgrade", settled)
    assert "3.3-1 (based on Airflow 3.3.2)" in said
    assert "there is no way back to 3.2-1" in said
    answer = as_(bob).post(url("upgrade", settled), {"runtime": "3.3-1"})
    assert (answer.status_code, answer["Location"]) == (303, settled.url)
    settled.refresh_from_db()
    assert (settled.runtime.version, settled.upgrade_from.version) == ("3.3-1", "3.2-1")
    assert "An upgrade to 3.3-1 is under way." in page(as_(bob), "upgrade", settled)


@pytest.mark.parametrize("runtime", ["3.2-1", "3.1-1", "9.9-9", ""])
def test_what_is_not_newer_or_not_offered_is_refused_beside_the_field(as_, bob, settled, runtime):
    answer = as_(bob).post(url("upgrade", settled), {"runtime": runtime})
    assert answer.status_code == 422
    assert "Choose a runtime from the list" in answer.content.decode()
    settled.refresh_from_db()
    assert settled.upgrade_from is None


def test_on_the_newest_there_is_nothing_to_upgrade_to(as_, bob, settled):
    RuntimeRelease.objects.filter(version="3.3-1").update(yanked=True)
    assert "There is no newer runtime than this one." in page(as_(bob), "upgrade", settled)


def test_a_failed_upgrade_stays_on_the_page(as_, vera, settled):
    settled.upgrade_trouble = "Upgrade to 3.3-1 failed: no disk. It runs 3.2-1 again with its data as before."
    settled.save(update_fields=["upgrade_trouble"])
    assert settled.upgrade_trouble in as_(vera).get(settled.url).content.decode()
    assert settled.upgrade_trouble in as_(vera).get(url("live", settled)).content.decode()


def test_a_failed_upgrade_is_dismissed_once_by_an_editor_and_its_activity_keeps_why(
    as_, bob, vera, settled, published, django_capture_on_commit_callbacks
):
    why = "Upgrade to 3.3-1 failed: no disk. It runs 3.2-1 again with its data as before."
    Deployment.objects.filter(pk=settled.pk).update(upgrade_trouble=why)
    dismiss = url("upgrade_dismiss", settled)
    assert dismiss in page(as_(bob), "settings", settled)
    assert dismiss not in as_(vera).get(settled.url).content.decode()
    generation = settled.generation
    with django_capture_on_commit_callbacks(execute=True):
        assert as_(bob).post(dismiss)["Location"] == settled.url
    shown = as_(bob).get(settled.url).content.decode()
    assert why not in shown
    assert dismiss not in shown
    event = AuditEvent.objects.get(verb="dismissed the failed upgrade of")
    assert (event.actor_id, event.old) == (bob.pk, {"reason": why})
    assert published  # other people's open pages show it no longer
    as_(bob).post(dismiss)
    assert AuditEvent.objects.filter(verb=event.verb).count() == 1
    settled.refresh_from_db()
    assert settled.generation == generation


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"maintained_until": date(2020, 6, 30)}, "3.2-1 is not maintained since 30 June 2020"),
        ({"yanked": True}, "3.2-1 was withdrawn"),
    ],
)
def test_a_deprecated_or_withdrawn_runtime_is_told_on_its_page_and_in_the_list(
    as_, vera, bob, settled, workspace, changes, sentence
):
    for user in (vera, bob):
        assert sentence not in as_(user).get(settled.url).content.decode()
    RuntimeRelease.objects.filter(version="3.2-1").update(**changes)
    assert sentence in as_(vera).get(settled.url).content.decode()
    shown = as_(bob).get(settled.url).content.decode()
    assert sentence in shown
    listed = as_(vera).get(workspace.url).content.decode()
    assert ("Withdrawn" if "yanked" in changes else "Deprecated since 30 Jun 2020") in listed


# -- Hibernate --


def test_hibernating_is_asked_first_and_waking_is_not(as_, bob, settled):
    assert "Tasks that run are cut off" in page(as_(bob), "hibernate", settled)
    assert as_(bob).post(url("hibernate", settled)).status_code == 303
    settled.refresh_from_db()
    assert (settled.hibernating, settled.hibernation_cause) == (True, "Bob")
    assert "It sleeps already" in page(as_(bob), "hibernate", settled)
    assert as_(bob).post(url("wake", settled)).status_code == 303
    settled.refresh_from_db()
    assert not settled.hibernating


@pytest.mark.django_db(transaction=True)
def test_the_tasks_that_run_are_counted(as_, vera, deployment, plane):
    for _ in range(4):
        reconcile(deployment.pk)
    world = plane.worlds[deployment.release_name]
    ask = url("tasks", deployment)
    assert "No task runs or waits now." in as_(vera).get(ask).content.decode()
    world.loads["default"] = (2, 1)  # queued, running
    assert "1 task runs now, and 2 wait." in as_(vera).get(ask).content.decode()
    world.loads["default"] = (1, 7)
    assert "7 tasks run now, and 1 waits." in as_(vera).get(ask).content.decode()


@pytest.mark.django_db(transaction=True)
def test_tasks_that_cannot_be_counted_are_told_so_in_time(as_, bob, settled, plane, monkeypatch):
    def silent(ref):
        raise DataPlaneUnreachable("The database server does not answer.")

    monkeypatch.setattr(plane, "tasks", silent)
    said = as_(bob).get(url("tasks", settled)).content.decode()
    assert "The running tasks could not be counted. The database server does not answer." in said
    assert url("tasks", settled) in page(as_(bob), "hibernate", settled)  # the page itself asks nobody


# -- Transfer --


@pytest.fixture
def target(alice):
    return create_workspace(by=alice, name="Second")


def move(client, deployment, workspace):
    return client.post(url("transfer", deployment), {"workspace": str(workspace.pk)})


def test_a_transfer_moves_it_and_restarts_nothing(as_, alice, bob, settled, workspace, target, published):
    generation = settled.generation
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda act, **_: act())
        answer = move(as_(alice), settled, target)
    assert (answer.status_code, answer["Location"]) == (303, settled.url)
    settled.refresh_from_db()
    assert (settled.workspace, settled.generation, settled.status) == (target, generation, Status.HEALTHY)
    assert as_(bob).get(settled.url).status_code == 404
    assert settled.name not in as_(alice).get(workspace.url).content.decode()
    assert settled.name in as_(alice).get(target.url).content.decode()
    events = AuditEvent.objects.filter(verb="transferred", object_id=str(settled.pk))
    assert {event.workspace_id for event in events} == {workspace.pk, target.pk}
    assert all(event.new == {"workspace": "Second"} for event in events)
    topics = [topic for topic, frames in published if [f.event for f in frames] == ["resync"]]
    assert topics == [f"w:{workspace.pk}", f"w:{target.pk}"]


def test_only_where_one_may_create_and_its_cluster_is_open(as_, alice, settled, workspace, target, charlie):
    others = charlie.memberships.get().workspace
    shown = page(as_(alice), "transfer", settled)
    assert target.name in shown
    assert f'value="{others.pk}"' not in shown
    assert move(as_(alice), settled, others).status_code == 422
    Membership.objects.create(user=alice, workspace=others, role=Role.MEMBER)
    assert move(as_(alice), settled, others).status_code == 422
    Membership.objects.filter(user=alice, workspace=others).update(role=Role.EDITOR)
    assert f'value="{others.pk}"' in page(as_(alice), "transfer", settled)
    Cluster.objects.update(restricted=True)
    settled.cluster.workspaces.add(workspace, target)
    assert f'value="{others.pk}"' not in page(as_(alice), "transfer", settled)
    assert move(as_(alice), settled, others).status_code == 422
    assert move(as_(alice), settled, target).status_code == 303


def test_the_action_itself_refuses_what_the_form_did_not_offer(alice, settled, target, charlie):
    with pytest.raises(transfer.NotOpenToYou):
        transfer.transfer_deployment(deployment=settled, by=alice, to=charlie.memberships.get().workspace)
    Cluster.objects.update(restricted=True)
    with pytest.raises(ClusterClosed):
        transfer.transfer_deployment(deployment=settled, by=alice, to=target)
    settled.refresh_from_db()
    assert settled.workspace != target


def test_a_name_that_is_taken_there_is_told_beside_the_field(as_, alice, settled, target, choices):
    create_deployment(workspace=target, by=alice, form_key=uuid4(), choices=choices("ANALYTICS"))
    answer = move(as_(alice), settled, target)
    assert answer.status_code == 422
    assert "has a Deployment named Analytics already" in answer.content.decode()


def test_without_another_workspace_the_page_says_what_is_needed(as_, alice, settled):
    assert "There is no Workspace to which you can move it" in page(as_(alice), "transfer", settled)


def test_the_pages_cost_a_fixed_number_of_queries(as_, alice, settled, django_assert_max_num_queries):
    create_workspace(by=alice, name="Second")
    client = as_(alice)
    for name in PAGES:
        with django_assert_max_num_queries(14):
            client.get(url(name, settled))
