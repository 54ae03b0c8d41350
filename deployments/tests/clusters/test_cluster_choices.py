"""What clusters offer: the create form with two of them, and the catalogue that operators keep."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from console.kit.refusals import ActionRefused
from deployments.actions import catalogue as catalogue_actions
from deployments.actions.catalogue import Type
from deployments.clusters import catalogue
from deployments.clusters.options import options_for
from deployments.models import Cluster, Deployment, RuntimeRelease, WorkerQueue, WorkerType
from workspaces.tests.admin.test_admin import last_event

pytestmark = pytest.mark.django_db


# -- The create form with two clusters --


def typed(cluster: Cluster, **changes) -> dict[str, str]:
    values = {
        "idempotency_key": str(uuid4()),
        "name": "Analytics",
        "description": "For the team",
        "runtime": "3.2-1",
        "cluster": str(cluster.pk),
        "executor": "local",
        "worker_type": "A10",
        "min_workers": "2",
        "max_workers": "ten",
        "concurrency": "16",
        "scheduler_au": "5",
        "scheduler_replicas": "1",
    }
    return {**values, **changes}


def test_another_cluster_brings_its_choices_and_loses_nothing_typed(as_, bob, workspace, production, cluster):
    url = reverse("deployments:new_options", args=[workspace.pk])
    sent = typed(production)
    answer = as_(bob).post(url, sent)
    form = answer.context["form"]
    assert (answer.status_code, answer.context["message"], form.errors) == (200, [], {})
    assert {name: form[name].value() for name in form.fields} == sent
    assert "kubernetes" in dict(form.fields["executor"].choices)
    assert "3.1-1" in dict(form.fields["runtime"].choices)
    assert [s["open"] for s in answer.context["sections"] if s["folded"]] == [True, False]
    assert not Deployment.objects.exists()


def test_what_the_other_cluster_does_not_offer_is_replaced_and_said(as_, bob, workspace, production, cluster):
    url = reverse("deployments:new_options", args=[workspace.pk])
    answer = as_(bob).post(url, typed(cluster, runtime="3.1-1", executor="kubernetes", worker_type="A40"))
    form = answer.context["form"]
    assert (form["runtime"].value(), form["executor"].value(), form["worker_type"].value()) == (
        "3.3-1",
        "celery",
        "A5",
    )
    assert answer.context["message"] == [
        "This machine does not offer Runtime 3.1-1: 3.3-1 is chosen instead.",
        "This machine does not offer Executor Kubernetes: Celery is chosen instead.",
        "This machine does not offer Worker type A40: A5 is chosen instead.",
    ]
    assert form["name"].value() == "Analytics"


def test_a_deployment_is_created_on_the_cluster_chosen(as_, bob, workspace, production, cluster):
    url = reverse("deployments:new", args=[workspace.pk])
    page = as_(bob).get(url).content.decode()
    assert "<noscript><button" in page
    answer = as_(bob).post(url, typed(production, runtime="3.1-1", executor="kubernetes", max_workers="3"))
    assert answer.status_code == 303
    made = Deployment.objects.get()
    assert (made.cluster, made.runtime.version, made.executor) == (production, "3.1-1", "kubernetes")


def test_with_one_cluster_there_is_nothing_to_switch(as_, bob, workspace, cluster):
    page = as_(bob).get(reverse("deployments:new", args=[workspace.pk])).content.decode()
    assert "<noscript>" not in page
    assert "new/options/" not in page


# -- The catalogue --


def form_of(**changes) -> dict[str, str]:
    values = {
        "version": "3.3-2",
        "airflow_version": "3.3.2",
        "image": "registry.example.org/airflow:3.3.2-ours",
        "channel": "stable",
        "released_on": "2026-11-01",
        "maintained_until": "2099-01-31",
    }
    return {**values, **changes}


def test_an_operator_adds_a_runtime_that_kubernetes_alone_offers(as_, olga, production, cluster):
    answer = as_(olga).post(reverse("admin:deployments_runtimerelease_add"), form_of())
    assert answer.status_code == 302
    assert last_event().verb == "added"
    assert options_for(production).runtimes[0].version == "3.3-2"
    assert options_for(cluster).runtimes[0].version == "3.3-1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "3.3"}, "version"),
        ({"version": "3.2-9"}, "version"),
        ({"version": "3.3-1"}, "version"),
        ({"airflow_version": "3.3"}, "airflow_version"),
        ({"airflow_version": "2.11.0", "version": "2.11-1"}, "airflow_version"),
        ({"image": "Bad Image"}, "image"),
        ({"image": ""}, "image"),
        ({"maintained_until": "2026-10-01"}, "maintained_until"),
    ],
)
def test_a_wrong_runtime_is_refused_beside_its_field(as_, olga, cluster, changes, field):
    answer = as_(olga).post(reverse("admin:deployments_runtimerelease_add"), form_of(**changes))
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert RuntimeRelease.objects.count() == len(catalogue.RELEASES)


def test_a_wrong_image_is_corrected_while_the_first_deployment_waits_for_it(as_, olga, deployment):
    Deployment.objects.update(due_at=timezone.now() + timedelta(minutes=1), failures=7)
    url = reverse("admin:deployments_runtimerelease_change", args=[deployment.runtime.pk])
    until = deployment.runtime.maintained_until.isoformat()
    assert as_(olga).post(url, {"image": "example.org/a:1", "maintained_until": until}).status_code == 302
    row = Deployment.objects.get(pk=deployment.pk)
    assert (row.runtime.image, row.failures) == ("example.org/a:1", 0)
    assert row.due_at <= timezone.now()


def test_the_image_of_a_runtime_is_changed_while_nobody_runs_it(as_, olga, deployment):
    Deployment.objects.update(first_healthy_at=timezone.now())
    used, free = deployment.runtime, RuntimeRelease.objects.get(version="3.2-1")
    for runtime, status in ((free, 302), (used, 200)):
        url = reverse("admin:deployments_runtimerelease_change", args=[runtime.pk])
        data = {"image": "example.org/a:1", "maintained_until": runtime.maintained_until.isoformat()}
        assert as_(olga).post(url, data).status_code == status
    assert RuntimeRelease.objects.get(pk=free.pk).image == "example.org/a:1"
    assert RuntimeRelease.objects.get(pk=used.pk).image == used.image
    with pytest.raises(ActionRefused, match="would restart them all at once"):
        catalogue_actions.set_image(runtime=used, by=olga, image="example.org/a:1")


@pytest.mark.parametrize(
    "image",
    ["apache/airflow:3.3.2", "localhost:5000/a/b_c-d:x", "r.example/a@sha256:" + "0" * 64, "redis"],
)
def test_images_that_are_fine(image):
    assert catalogue_actions.image_error(image) == ""


@pytest.mark.parametrize(
    "image", ["", "A/b", "a b", "a:b:c", "a\n", "https://a/b", "-a", "a" * 256, "a:" + "x" * 129]
)
def test_images_that_are_not(image):
    assert catalogue_actions.image_error(image)


def test_worker_types_are_added_changed_and_removed_while_nothing_has_them(as_, olga, production):
    client, add = as_(olga), reverse("admin:deployments_workertype_add")
    data = {"name": "Big", "cpu_millis": "16000", "memory_mib": "32768", "position": "9", "is_default": "on"}
    assert client.post(add, {**data, "cluster": str(production.pk)}).status_code == 302
    big = WorkerType.objects.get(name="Big")
    assert options_for(production).default_worker_type == big
    url = reverse("admin:deployments_workertype_change", args=[big.pk])
    assert client.post(url, {**data, "memory_mib": "65536"}).status_code == 302
    big.refresh_from_db()
    assert big.memory_mib == 65536
    twice = client.post(add, {**data, "cluster": str(production.pk)}, follow=True)
    assert "has a worker type Big already" in twice.content.decode()
    small = client.post(url, {**data, "memory_mib": "1"})
    assert "Enter MiB" in small.content.decode()
    with pytest.raises(ActionRefused, match="is the default"):
        catalogue_actions.remove_type(worker_type=big, by=olga)
    with pytest.raises(ActionRefused, match="One type is preselected"):
        catalogue_actions.change_type(worker_type=big, desired=Type("Big", 16000, 65536), by=olga)
    a40 = production.worker_types.get(name="A40")
    assert "is removed" in catalogue_actions.remove_type(worker_type=a40, by=olga)
    assert last_event().verb == "removed"


def test_a_worker_type_that_queues_have_keeps_its_size(olga, deployment):
    used = WorkerQueue.objects.get().worker_type
    desired = Type(used.name, used.cpu_millis * 2, used.memory_mib, used.position, used.is_default)
    with pytest.raises(ActionRefused, match="Worker queues of Analytics"):
        catalogue_actions.change_type(worker_type=used, desired=desired, by=olga)
    with pytest.raises(ActionRefused, match="Worker queues of Analytics"):
        catalogue_actions.remove_type(worker_type=used, by=olga)
    place = Type(used.name, used.cpu_millis, used.memory_mib, 7, used.is_default)
    catalogue_actions.change_type(worker_type=used, desired=place, by=olga)
    used.refresh_from_db()
    assert used.position == 7
