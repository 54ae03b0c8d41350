"""What operators decide of runtimes and clusters: which are offered, and to which Workspaces."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.refusals import ActionRefused
from console.management.commands import bootstrap
from console.tests.services import STATE
from deployments.actions import ClusterClosed, create_deployment, operators
from deployments.clusters import connections as cluster_connections
from deployments.clusters.options import clusters_for, offered_runtimes
from deployments.models import Deployment
from deployments.tests.admin.test_admin import page_url, press
from workspaces.tests.admin.test_admin import last_event, message

pytestmark = pytest.mark.django_db


def test_a_yanked_runtime_is_offered_no_more_until_it_is_taken_back(as_, olga, cluster):
    client, today = as_(olga), timezone.now().date()
    newest = offered_runtimes(today)[0]
    press(client, "mark_yanked", newest)
    assert newest not in offered_runtimes(today)
    assert (last_event().actor_id, last_event().verb) == (olga.pk, "yanked")
    press(client, "mark_not_yanked", newest)
    assert offered_runtimes(today)[0] == newest
    assert last_event().verb == "restored"


def test_a_deprecated_runtime_is_offered_again_with_a_later_day(as_, olga, cluster):
    client, today = as_(olga), timezone.now().date()
    newest = offered_runtimes(today)[0]
    until = newest.maintained_until
    press(client, "mark_deprecated", newest)
    assert newest not in offered_runtimes(today)
    assert last_event().old == {"maintained_until": until.isoformat()}
    answer = client.post(
        page_url(newest),
        {"maintained_until": until.isoformat(), "image": newest.image, "yanked": "on", "version": "9"},
    )
    assert answer.status_code == 302
    newest.refresh_from_db()
    assert (newest.maintained_until, newest.yanked, newest.version) == (until, False, "3.3-1")
    assert offered_runtimes(today)[0] == newest
    assert last_event().new == {"maintained_until": until.isoformat()}
    assert last_event().actor_id == olga.pk


def test_what_keeps_code_apart_on_this_machine_is_a_line_of_its_page(as_, olga, cluster, settings):
    settings.FENCE = False
    line = bootstrap._isolation(STATE, Path("/bin/true"))
    assert line["sentence"].startswith("Not isolated: ")
    cluster_connections.ensure_embedded(database_url="postgresql://x@/x", settings={}, checks=[line])
    page = as_(olga).get(page_url(cluster)).content.decode()
    assert "Not isolated: the code of every Deployment can read" in page
    assert "check--warning" in page
    assert "Change how it is reached" not in page  # as it can of a Kubernetes cluster


def test_a_restricted_cluster_is_for_its_workspaces_alone(as_, olga, deployment, workspace, charlie, cluster):
    elsewhere = charlie.memberships.get().workspace
    data = {"restricted": "on", "workspaces": [str(workspace.pk)], "name": "Evil", "kind": "kubernetes"}
    answer = as_(olga).post(page_url(cluster), data)
    assert answer.status_code == 302
    assert list(clusters_for(workspace)) == [cluster]
    assert list(clusters_for(elsewhere)) == []
    cluster.refresh_from_db()
    assert (cluster.name, cluster.kind) == ("This machine", "local")
    event = last_event()
    assert (event.actor_id, event.verb) == (olga.pk, "changed who may use")
    assert event.old == {"restricted": False, "workspaces": []}
    assert event.new == {"restricted": True, "workspaces": ["Acme Data"]}
    as_(olga).post(page_url(cluster), data)
    assert last_event().pk == event.pk
    as_(olga).post(page_url(cluster), {"workspaces": [str(workspace.pk)]})
    assert list(clusters_for(elsewhere)) == [cluster]


@pytest.mark.parametrize("before", [False, True])
def test_it_is_refused_in_words_while_others_have_deployments_on_it(
    as_, olga, deployment, workspace, charlie, cluster, before
):
    elsewhere = charlie.memberships.get().workspace
    if before:  # taking a Workspace off a restricted cluster is the same
        operators.set_access(cluster=cluster, by=olga, restricted=True, workspaces=[workspace])
    data = {"restricted": "on", "workspaces": [str(elsewhere.pk)]}
    answer = as_(olga).post(page_url(cluster), data)
    assert answer.status_code == 200
    assert "Deployments of Acme Data are on This machine. Allow these" in answer.content.decode()
    cluster.refresh_from_db()
    assert cluster.restricted is before
    assert list(clusters_for(workspace)) == [cluster]
    with pytest.raises(ActionRefused):
        operators.set_access(cluster=cluster, by=olga, restricted=True, workspaces=[elsewhere])
    Deployment.objects.update(deleted_at=Now())
    assert as_(olga).post(page_url(cluster), data).status_code == 302
    assert list(clusters_for(workspace)) == []


def test_a_refusal_while_saving_is_said_and_not_a_crash(as_, olga, deployment, cluster, monkeypatch):
    monkeypatch.setattr("deployments.admin.clusters.ClusterForm.clean", lambda form: form.cleaned_data)
    answer = as_(olga).post(page_url(cluster), {"restricted": "on"}, follow=True)
    assert [text.split(" are on ")[0] for text in message(answer)] == ["Deployments of Acme Data"]
    cluster.refresh_from_db()
    assert not cluster.restricted


def test_a_deployment_is_not_created_on_a_cluster_that_was_closed_meanwhile(
    as_, olga, alice, workspace, charlie, cluster, choices
):
    elsewhere = charlie.memberships.get().workspace
    chosen = choices()
    operators.set_access(cluster=cluster, by=olga, restricted=True, workspaces=[elsewhere])
    with pytest.raises(ClusterClosed):
        create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=chosen)
    assert not Deployment.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_restricting_and_creating_at_the_same_instant_never_leave_a_deployment_outside(
    olga, alice, workspace, charlie, cluster, choices
):
    elsewhere = charlie.memberships.get().workspace
    outcomes = []

    def race(*acts):
        barrier = threading.Barrier(len(acts))

        def go(act):
            barrier.wait()
            try:
                act()
            except (ActionRefused, ClusterClosed) as refusal:
                outcomes.append(type(refusal))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=go, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for attempt in range(8):
        chosen = choices(f"Race {attempt}")
        race(
            lambda: operators.set_access(cluster=cluster, by=olga, restricted=True, workspaces=[elsewhere]),
            lambda chosen=chosen: create_deployment(
                workspace=workspace, by=alice, idempotency_key=uuid4(), choices=chosen
            ),
        )
        cluster.refresh_from_db()
        assert len(outcomes) == attempt + 1  # exactly one of the two is refused
        assert cluster.restricted is not Deployment.objects.filter(deleted_at=None).exists()
        Deployment.objects.update(deleted_at=Now())
        operators.set_access(cluster=cluster, by=olga, restricted=False, workspaces=[])
