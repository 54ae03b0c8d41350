"""List, detail, settings, delete and receipt: what they show to whom, and at what cost."""

import unicodedata
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deployments import actions
from deployments.domain.states import Executor, Status
from deployments.models import Deployment
from deployments.reconciler.reconcile import reconcile
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent


def many(workspace, cluster, count, **fields):
    runtime = cluster.deployments.model._meta.get_field("runtime").related_model.objects.first()
    Deployment.objects.bulk_create(
        Deployment(
            workspace=workspace,
            release_name=f"calm-orbit-{n:04d}",
            idempotency_key=uuid4(),
            name=f"Deployment {n:04d}",
            name_key=f"deployment {n:04d}",
            cluster=cluster,
            runtime=runtime,
            scheduler_au=5,
            scheduler_replicas=1,
            **{"executor": Executor.LOCAL, "status": Status.HEALTHY, **fields},
        )
        for n in range(count)
    )


def queries(client, url) -> int:
    client.get(url)  # what is loaded once per process
    with CaptureQueriesContext(
        connection,
    ) as context:
        assert client.get(url).status_code == 200
    return len(context)


def test_the_list_costs_the_same_at_any_size(as_, alice, workspace, cluster):
    client = as_(alice)
    many(workspace, cluster, 10)
    few = queries(client, workspace.url)
    Deployment.objects.all().delete()
    many(workspace, cluster, 500)
    assert queries(client, workspace.url) == few <= 12


def test_the_list_filters_sorts_and_pages_on_the_server(as_, alice, workspace, cluster):
    many(workspace, cluster, 60)
    Deployment.objects.filter(name="Deployment 0003").update(
        status=Status.UNHEALTHY, executor=Executor.CELERY
    )
    client = as_(alice)

    def names(query):
        return [d.name for d in client.get(workspace.url + query).context["page"]]

    assert len(names("")) == 50
    assert names("?page=2")[-1] == "Deployment 0059"
    assert names("?sort=-name")[0] == "Deployment 0059"
    assert names("?q=0042") == ["Deployment 0042"]
    assert names("?q=calm-orbit-0042") == ["Deployment 0042"]
    assert names("?status=unhealthy") == names("?executor=celery") == ["Deployment 0003"]
    assert len(names("?page=nonsense&sort=nonsense&per_page=7&cluster=nonsense")) == 50
    assert len(names("?per_page=²&page=²")) == 50
    assert len(names("?per_page=25")) == 25


def test_counts_say_how_many_there_are_of_each_status(as_, alice, workspace, cluster):
    many(workspace, cluster, 5)
    Deployment.objects.filter(name="Deployment 0003").update(status=Status.UNHEALTHY)
    counts = {c["label"]: c["count"] for c in as_(alice).get(workspace.url).context["counts"]}
    assert counts == {"All": 5, "Healthy": 4, "Unhealthy": 1}


def test_the_first_empty_state_says_what_a_deployment_is(as_, bob, vera, workspace, cluster):
    page = as_(bob).get(workspace.url).content.decode()
    assert "A Deployment is one Apache Airflow" in page
    assert "Create Deployment" in page
    seen = as_(vera).get(workspace.url).content.decode()
    assert "/deployments/new/" not in seen
    assert "Alice" in seen  # who can


def test_a_filter_that_hides_everything_keeps_the_filter_bar(as_, bob, workspace, deployment):
    page = as_(bob).get(workspace.url + "?q=nothing-like-it")
    assert page.context["empty"] == "filtered"
    assert 'name="q"' in page.content.decode()


def test_a_fragment_request_gets_the_rows_alone(as_, bob, workspace, deployment):
    page = as_(bob).get(workspace.url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert f"badge-{deployment.pk}" in page


def test_the_page_reloaded_says_what_the_row_says(as_, vera, deployment, driver):
    client = as_(vera)
    driver.slow_start = 2
    for _ in range(4):
        reconcile(deployment.pk)
        deployment.refresh_from_db()
        page = client.get(deployment.url).content.decode()
        assert deployment.reason in page
        assert f"{deployment.shown_status.label} for" in page
    for step in deployment.steps.all():
        assert step.title in page


def test_open_airflow_appears_when_healthy(as_, vera, deployment, driver):
    client = as_(vera)
    assert "Open Airflow</a>" not in client.get(deployment.url).content.decode()
    assert f"{deployment.url}open/" not in client.get(deployment.url).content.decode()
    settle(deployment)
    page = client.get(deployment.url).content.decode()
    assert f'href="{deployment.url}open/"' in page
    assert "/srv/" in page  # the DAGs folder


def test_no_page_has_a_password_unless_an_operator_keeps_it(as_, bob, deployment, driver, settings):
    settle(deployment)
    client = as_(bob)
    assert "Show password" not in client.get(deployment.url).content.decode()
    assert client.post(f"{deployment.url}credential/").status_code == 404
    settings.AIRFLOW_PASSWORD = True
    assert "Show password" in client.get(deployment.url).content.decode()


def test_until_it_signs_people_in_an_airflow_of_before_has_its_password(as_, bob, deployment, driver):
    driver.signs_in = False
    settle(deployment)
    client = as_(bob)
    assert "Show password" in client.get(deployment.url).content.decode()
    assert client.get(f"{deployment.url}open/")["Location"] == deployment.airflow_url
    driver.signs_in = True
    Deployment.objects.update(due_at=timezone.now())
    reconcile(deployment.pk)
    assert "Show password" not in client.get(deployment.url).content.decode()
    assert "took over the sign-in of" in client.get(f"{deployment.url}activity/").content.decode()


def test_the_credential_is_shown_to_editors_once_and_audited(as_, bob, vera, deployment, settings):
    settings.AIRFLOW_PASSWORD = True
    assert "Show password" not in as_(vera).get(deployment.url).content.decode()
    client = as_(bob)
    page = client.get(deployment.url).content.decode()
    password = vault.admin_password(deployment)
    assert password not in page
    shown = client.post(f"{deployment.url}credential/")
    assert password in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert password not in client.get(deployment.url).content.decode()
    event = AuditEvent.objects.get(verb="revealed the Airflow login of")
    assert event.actor_id == bob.pk
    assert password not in str(event.old) + str(event.new)


@pytest.mark.parametrize("name", ["Two  blanks", "No\u00a0break", "Cafe\u0301"])
def test_typing_what_the_page_shows_deletes_it(as_, bob, deployment, driver, name):
    Deployment.objects.update(name=name)  # as it was stored before there was one rule
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    assert as_(bob).post(f"{deployment.url}delete/", {"confirm": shown}).status_code == 303


def test_deleting_asks_for_the_name(as_, bob, deployment, driver):
    client = as_(bob)
    page = client.get(f"{deployment.url}delete/").content.decode()
    assert "This cannot be undone" in page
    wrong = client.post(f"{deployment.url}delete/", {"confirm": "analytics"})
    assert wrong.status_code == 422
    assert "This is not its name." in wrong.content.decode()
    deployment.refresh_from_db()
    assert not deployment.is_deleting
    right = client.post(f"{deployment.url}delete/", {"confirm": "Analytics"})
    assert right.status_code == 303
    deployment.refresh_from_db()
    assert deployment.status == Status.DELETING


@pytest.mark.django_db(transaction=True)
def test_the_receipt_says_what_was_removed(as_, vera, alice, deployment, driver):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    settle(deployment)
    page = as_(vera).get(deployment.url).content.decode()
    assert "What was removed" in page
    for line in ("3 processes", f"database {deployment.release_name}", "files"):
        assert line in page
    assert as_(alice).get(f"{deployment.url}settings/").status_code == 404
    assert as_(alice).get(deployment.live_url)["HX-Redirect"] == deployment.url


@pytest.mark.django_db(transaction=True)
def test_a_deleted_name_can_be_used_again(workspace, alice, deployment, driver, choices):
    settle(deployment)
    actions.delete_deployment(deployment=deployment, by=alice)
    with pytest.raises(actions.NameTaken):  # not before it is gone
        actions.create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())
    settle(deployment)
    again = actions.create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices()
    )
    assert again.release_name != deployment.release_name
    assert settle(again).status == Status.HEALTHY


def test_an_old_value_is_never_shown_as_the_truth(as_, vera, deployment):
    Deployment.objects.update(status=Status.HEALTHY, observed_at=timezone.now() - timedelta(minutes=3))
    page = as_(vera).get(deployment.url).content.decode()
    assert "Unknown" in page
    assert "No answer from cluster This machine since" in page


def test_a_get_never_writes(as_, alice, workspace, deployment):
    client = as_(alice)
    urls = [workspace.url, f"{workspace.url}new/", deployment.url, deployment.live_url]
    urls += [f"{deployment.url}settings/", f"{deployment.url}delete/", "/account/", "/workspaces/new/"]
    urls += [reverse("members", args=[workspace.pk]), reverse("members_invite", args=[workspace.pk])]
    urls += [
        reverse("deployments:activity", args=[workspace.pk]),
        f"{deployment.url}activity/",
        deployment.badge_url,
    ]
    urls += ["/admin/", "/admin/deployments/deployment/", "/invitations/"]
    type(alice).objects.update(is_staff=True, is_superuser=True)
    for url in urls:
        with CaptureQueriesContext(connection) as context:
            assert client.get(url).status_code == 200
        written = [q["sql"] for q in context if q["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
        assert written == []


def test_private_pages_are_kept_out_of_caches_and_carry_the_policy(as_, alice, workspace, deployment):
    for url in (workspace.url, deployment.url, "/nothing-here/"):
        answer = as_(alice).get(url)
        assert "no-store" in answer["Cache-Control"]
        assert "HX-Request" in answer["Vary"]
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_badge_alone_is_there_for_a_page_that_missed_something(as_, vera, deployment):
    assert "Creating" in as_(vera).get(deployment.badge_url).content.decode()
    for tab in (deployment.url, f"{deployment.url}activity/"):
        page = as_(vera).get(tab).content.decode()
        assert f'hx-get="{deployment.badge_url}" hx-trigger="sse:resync, every 30s"' in page
