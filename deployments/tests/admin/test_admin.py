"""The operators' side of what converges: every page renders within bounds and without a secret, observed rows cannot
be typed over, and buttons call audited actions."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from deployments.domain.names import name_key
from deployments.domain.states import ComponentState, Operation, Status, StepState
from deployments.models import (
    Cluster,
    ComponentStatus,
    Deployment,
    DeploymentSecret,
    RuntimeRelease,
    StatusChange,
    Step,
    WorkerType,
)
from deployments.reconciler import leases, recording
from deployments.reconciler.plan import Verdict
from workspaces.actions import operators as workspace_operator_actions
from workspaces.models import AuditEvent, Invitation, Membership, User, Workspace
from workspaces.operator_site import OperatorAdmin
from workspaces.tests.admin.test_admin import last_event, message

pytestmark = pytest.mark.django_db
MANY = 10_000
LIST_QUERIES = 8  # issue 3: a list costs at most this, at any size
PAGE_QUERIES = 16  # the page of a Deployment, with its parts; all others cost less


def windows() -> dict[str, type]:
    """Every model of the site by its name in URLs."""
    return {f"{model._meta.app_label}_{model._meta.model_name}": model for model in admin.site._registry}


def list_url(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def page_url(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def press(client, name: str, *rows, confirmed: bool = True):
    data = {"action": name, "_selected_action": [row.pk for row in rows]}
    data |= {"confirmed": "yes"} if confirmed else {"index": "0"}
    return client.post(list_url(f"deployments_{rows[0]._meta.model_name}"), data, follow=True)


@pytest.fixture
def one_of_each(deployment, workspace, alice) -> Deployment:
    """A row of every window."""
    Step.objects.create(
        deployment=deployment,
        operation=Operation.CREATE,
        position=1,
        key="database",
        title="Create the database",
        state=StepState.DONE,
        started_at=timezone.now(),
    )
    ComponentStatus.objects.create(
        deployment=deployment, position=1, name="scheduler", state=ComponentState.READY, ready=1, desired=1
    )
    StatusChange.objects.create(deployment=deployment, old=Status.CREATING, new=Status.HEALTHY)
    invitation(workspace, 1).save()
    return deployment


def invitation(workspace: Workspace, number: int) -> Invitation:
    return Invitation(
        workspace=workspace,
        email=f"i{number}@example.org",
        role="member",
        expires_at=timezone.now(),
        last_sent_at=timezone.now(),
        nonce="marked-nonce",
        mailed_hash=f"marked-mailed-hash-{number}",
        copied_hash=f"marked-copied-hash-{number}",
    )


def test_the_site_has_these_windows_and_no_other():
    assert set(windows()) == {
        "workspaces_user",
        "workspaces_workspace",
        "workspaces_membership",
        "workspaces_invitation",
        "workspaces_auditevent",
        "deployments_cluster",
        "deployments_runtimerelease",
        "deployments_workertype",
        "deployments_deployment",
        "deployments_step",
        "deployments_componentstatus",
        "deployments_statuschange",
    }
    assert all(isinstance(window, OperatorAdmin) for window in admin.site._registry.values())


@pytest.mark.parametrize("name", sorted(windows()))
def test_every_list_and_page_renders_within_bounds(as_, olga, one_of_each, name):
    client, row = as_(olga), windows()[name].objects.latest("pk")
    for url, most in ((list_url(name), LIST_QUERIES), (page_url(row), PAGE_QUERIES)):
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(url)
        assert answer.status_code == 200
        assert len(asked) <= most, [query["sql"] for query in asked]
    found = client.get(list_url(name), {"q": "analytics"})
    assert found.status_code == 200
    assert escape(admin.site._registry[windows()[name]].search_help_text) in found.content.decode()


@pytest.mark.thorough
def test_lists_cost_the_same_at_ten_thousand_rows(as_, olga, one_of_each, cluster):
    fill(one_of_each, cluster)
    client, costs = as_(olga), {}
    big = {
        name: model for name, model in windows().items() if model not in {Cluster, RuntimeRelease, WorkerType}
    }
    for name, model in big.items():
        assert model.objects.count() >= MANY
        for query in ({}, {"q": "7"}, {"p": "100"}):
            with CaptureQueriesContext(connection) as asked:
                answer = client.get(list_url(name), query)
            assert answer.status_code == 200
            assert len(answer.content) < 200_000
            costs[name, str(query)] = len(asked)
    assert max(costs.values()) <= LIST_QUERIES, costs


def fill(deployment: Deployment, cluster: Cluster) -> None:
    """Ten thousand rows wherever that many can be."""
    many, now, runtime = range(MANY), timezone.now(), RuntimeRelease.objects.first()
    users = User.objects.bulk_create(User(email=f"u{n}@example.org", password="!") for n in many)
    places = Workspace.objects.bulk_create(Workspace(name=f"W {n}") for n in many)
    Membership.objects.bulk_create(
        Membership(workspace=place, user=user, role="admin")
        for place, user in zip(places, users, strict=True)
    )
    Invitation.objects.bulk_create(invitation(place, n + 2) for n, place in enumerate(places))
    AuditEvent.objects.bulk_create(
        AuditEvent(actor_label="Ann", verb="edited", object_type="deployment", object_id=n) for n in many
    )
    rows = Deployment.objects.bulk_create(
        Deployment(
            workspace=place,
            release_name=f"quiet-comet-{n:05}",
            idempotency_key=uuid4(),
            name=f"D {n}",
            name_key=name_key(f"D {n}"),
            cluster=cluster,
            runtime=runtime,
            executor="celery",
            scheduler_au=5,
            scheduler_replicas=1,
        )
        for n, place in enumerate(places)
    )
    Step.objects.bulk_create(
        Step(deployment=row, operation="create", position=1, key="a", title="A", started_at=now)
        for row in rows
    )
    ComponentStatus.objects.bulk_create(
        ComponentStatus(deployment=row, position=1, name="scheduler", state="ready", ready=1, desired=1)
        for row in rows
    )
    StatusChange.objects.bulk_create(StatusChange(deployment=deployment, old="a", new="b") for _ in many)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_no_page_and_no_file_shows_a_secret(as_, olga, one_of_each, cluster):
    Cluster.objects.update(sealed_config=b"marked-sealed-config")
    DeploymentSecret.objects.update(sealed=b"marked-sealed-secret")
    User.objects.exclude(pk=olga.pk).update(password="marked-password-hash")
    Deployment.objects.update(idempotency_key="deadbeef-dead-4bee-8bad-feedfacecafe")
    client = as_(olga)
    session = client.session.session_key
    pages = [
        reverse("admin:index"),
        *(reverse("admin:app_list", args=[a]) for a in ("workspaces", "deployments")),
    ]
    texts = [client.get(url).content.decode() for url in pages]
    for name, model in windows().items():
        rows = list(model.objects.all()[:50])
        assert rows
        texts += [client.get(url).content.decode() for url in (list_url(name), *map(page_url, rows))]
        file = client.post(
            list_url(name),
            {"action": "export_csv", "_selected_action": [r.pk for r in rows], "confirmed": "1"},
        )
        assert file["Content-Type"].startswith("text/csv")
        texts.append(file.content.decode())
    query = {"app_label": "deployments", "model_name": "cluster", "field_name": "workspaces", "term": ""}
    texts.append(client.get(reverse("admin:autocomplete"), query).content.decode())
    for text in texts:
        for mark in ("marked-", "6d61726b65642d", olga.password, "deadbeef-dead", session, "sealed"):
            assert mark not in text


def test_reconcile_now_makes_the_row_due_and_is_audited(
    as_, olga, deployment, enqueued, django_capture_on_commit_callbacks
):
    Deployment.objects.update(due_at=timezone.now() + timedelta(hours=1), failures=7)
    enqueued.clear()
    with django_capture_on_commit_callbacks(execute=True):
        answer = press(as_(olga), "reconcile_now", deployment)
    assert message(answer) == ["Analytics is looked at now."]
    deployment.refresh_from_db()
    assert deployment.failures == 0
    assert enqueued == [deployment.pk]
    assert leases.claim(deployment.pk) is not None
    event = last_event()
    assert (event.actor_id, event.verb, event.object_id) == (olga.pk, "reconciled", str(deployment.pk))
    assert event.workspace_id == deployment.workspace_id


def test_releasing_the_lease_frees_the_row_and_fences_the_pass_that_held_it(as_, olga, deployment):
    held = leases.claim(deployment.pk)
    client = as_(olga)
    assert (
        "may safely run twice"
        in press(client, "release_the_lease", deployment, confirmed=False).content.decode()
    )
    assert leases.claim(deployment.pk) is None
    press(client, "release_the_lease", deployment)
    assert leases.claim(deployment.pk) is not None
    with pytest.raises(recording.LeaseLost):
        recording.record(held, recording.Record(Verdict(Status.HEALTHY, ""), 1.0))
    assert (last_event().actor_id, last_event().verb) == (olga.pk, "released the lease of")


def test_without_a_lease_there_is_none_to_release(as_, olga, deployment):
    assert message(press(as_(olga), "release_the_lease", deployment)) == [
        "No pass works on Analytics now. Use Reconcile now to have it looked at."
    ]
    assert last_event().verb == "created"


def test_what_is_deleted_is_left_alone(as_, olga, deployment, enqueued):
    Deployment.objects.update(deleted_at=Now())
    enqueued.clear()
    answer = press(as_(olga), "reconcile_now", deployment)
    assert message(answer) == ["Analytics is deleted. There is nothing to reconcile."]
    assert enqueued == []
    assert last_event().verb == "created"


def test_nobody_creates_edits_or_deletes_in_a_suspended_workspace(as_, bob, olga, deployment, workspace):
    workspace_operator_actions.suspend_workspace(workspace=workspace, by=olga)
    client = as_(bob)
    page = client.get(deployment.url)
    assert page.status_code == 200
    assert "This Workspace is suspended" in page.content.decode()
    name = [deployment.release_name]
    for url in (
        reverse("deployments:new", args=[workspace.pk]),
        reverse("deployments:edit", args=name),
        reverse("deployments:delete", args=name),
        reverse("deployments:retry", args=name),
    ):
        assert url not in page.content.decode()
        answer = client.post(url, {"name": "Other", "confirm": "Analytics"})
        assert answer.status_code == 403
        assert b"suspended this Workspace" in answer.content
    deployment.refresh_from_db()
    assert (deployment.name, deployment.delete_requested_at) == ("Analytics", None)
    assert client.post(reverse("deployments:open", args=name)).status_code == 403  # nor opens an Airflow


def test_observed_and_desired_state_cannot_be_typed_over(as_, olga, one_of_each, cluster):
    client = as_(olga)
    everything = {
        "status": "healthy",
        "name": "Evil",
        "lease_epoch": "9",
        "state": "failed",
        "new": "x",
        "_save": "1",
    }
    for row in (
        one_of_each,
        Step.objects.get(),
        ComponentStatus.objects.get(),
        StatusChange.objects.get(),
    ):
        before = type(row).objects.filter(pk=row.pk).values().get()
        assert client.post(page_url(row), everything).status_code == 403
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        assert client.post(reverse(f"admin:{name}_add"), everything).status_code == 403
        assert client.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_inline_rows_cannot_be_added_or_removed_through_the_page(as_, olga, one_of_each):
    data = {"steps-TOTAL_FORMS": "1", "steps-INITIAL_FORMS": "1", "steps-0-DELETE": "on", "_save": "Save"}
    assert as_(olga).post(page_url(one_of_each), data).status_code == 403
    assert Step.objects.count() == 1


def test_a_day_that_is_none_is_refused_beside_its_field(as_, olga, cluster):
    runtime = RuntimeRelease.objects.first()
    answer = as_(olga).post(page_url(runtime), {"maintained_until": "soon"})
    assert answer.status_code == 200
    assert "Enter a valid date." in answer.content.decode()
    runtime.refresh_from_db()
    assert isinstance(runtime.maintained_until, date)
    assert not AuditEvent.objects.filter(object_type="runtime").exists()
