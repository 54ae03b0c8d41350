"""Registering a cluster: what is stored, what is refused, who may use it when, and that it can be taken off again."""

import json
import threading
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.db.models.functions import Now

from console.kit.refusals import ActionRefused
from deployments import tasks
from deployments.actions import ClusterClosed, create_deployment
from deployments.actions import clusters as registration
from deployments.actions.clusters import ClusterConnection
from deployments.clusters import checks
from deployments.clusters import connections as clusters
from deployments.clusters.options import clusters_for, options_for
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState
from deployments.models import Cluster, Deployment
from deployments.tests.registered import MISSES, OK, PASSWORD, TOKEN, URL, credentials, reach
from workspaces.models import AuditEvent
from workspaces.tests.admin.test_admin import last_event

pytestmark = pytest.mark.django_db


# -- What is stored --


def test_only_vetted_values_are_stored_and_only_sealed(production, olga):
    config = clusters.config(production)
    assert config.database_url == URL
    assert config.settings == {
        "namespace_prefix": "airflow-",
        "server": "https://10.0.0.1:6443",
        "token": TOKEN,
        "console_urls": "http://testserver",
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM deployments_cluster c")
        rows = " ".join(row[0] for row in cursor.fetchall())
    audited = json.dumps(list(AuditEvent.objects.values()), default=str)
    for mark in (TOKEN, PASSWORD):
        assert mark not in rows
        assert mark not in audited
    assert last_event().new == {"server": "https://10.0.0.1:6443", "namespace_prefix": "airflow-"}


def test_a_new_cluster_offers_the_usual_worker_types_every_executor_and_every_runtime(production):
    options = options_for(production)
    assert [t.name for t in options.worker_types] == ["A5", "A10", "A20", "A40"]
    assert options.default_worker_type.name == "A5"
    assert [e.value for e in options.executors] == ["celery", "kubernetes", "local"]
    assert [r.version for r in options.runtimes] == ["3.3-1", "3.2-1", "3.1-1"]


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("  ", reach(), "Enter a name"),
        ("A\nB", reach(), "without line breaks"),
        ("P", ClusterConnection(credentials(), None, {}), "needs credentials"),
        ("P", ClusterConnection(None, URL, {}), "needs credentials"),
        ("P", ClusterConnection(credentials(), "mysql://a:b@c/d", {}), "must begin with postgresql://"),
        (
            "P",
            ClusterConnection(credentials(), f"postgresql://a:{PASSWORD} x@c/d?nope=%zz", {}),
            "cannot be read",
        ),
        ("P", ClusterConnection(credentials(), "postgresql:///postgres", {}), "needs a user and a host"),
        ("P", reach(ingress_domain="Not A Domain"), "ingress_domain"),
        ("P", reach(namespace_prefix="UPPER"), "namespace_prefix"),
        ("P", reach(server="https://evil"), "There is no setting server"),
        ("P", reach(image_pull_secret="{broken"), "not a dockerconfigjson"),
        ("P", reach(worker_grace="-1"), "worker_grace"),
    ],
)
def test_bad_input_is_refused_in_words_and_nothing_is_stored(db, name, asked, words):
    with pytest.raises(ActionRefused, match=words) as refused:
        registration.register(name=name, reach=asked, by=None)
    assert PASSWORD not in str(refused.value)
    assert not Cluster.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_name_is_registered_once_and_free_again_afterwards(production):
    with pytest.raises(ActionRefused, match="is registered already"):
        registration.register(name="Production", reach=reach(), by=None)
    registration.deregister(cluster=production, by=None)
    again = registration.register(name="Production", reach=reach(), by=None)
    assert again.pk != production.pk


def test_replacing_keeps_the_id_and_whatever_is_not_given(production):
    other = ClusterConnection(
        Credentials("https://10.0.0.2", "", "new-token"), None, {"ingress_domain": "a.example"}
    )
    assert registration.replace(name="Production", reach=other, by=None).pk == production.pk
    config = clusters.config(Cluster.objects.get(pk=production.pk))
    assert config.database_url == URL
    assert config.settings == {
        "namespace_prefix": "airflow-",
        "ingress_domain": "a.example",
        "server": "https://10.0.0.2",
        "token": "new-token",
        "console_urls": "http://testserver",
    }
    registration.replace(
        name="Production", reach=ClusterConnection(None, None, {"ingress_domain": ""}), by=None
    )
    settings = clusters.config(Cluster.objects.get(pk=production.pk)).settings
    assert "ingress_domain" not in settings
    assert settings["token"] == "new-token"


def test_the_prefix_of_namespaces_stays_while_deployments_are_in_them(
    production, workspace, alice, on_production
):
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=on_production())
    with pytest.raises(ActionRefused, match=r"namespace prefix cannot change .* Analytics"):
        registration.replace(
            name="Production", reach=ClusterConnection(None, None, {"namespace_prefix": "b-"}), by=None
        )
    registration.replace(
        name="Production", reach=ClusterConnection(None, None, {"ingress_domain": "b.example"}), by=None
    )


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (ClusterConnection(credentials("https://10.0.0.2:6443")), "another API server"),
        (ClusterConnection(None, URL.replace("db.example", "db2.example")), "another database server"),
        (ClusterConnection(None, URL.replace("5432", "5433")), "another database server"),
    ],
)
def test_another_server_is_refused_while_deployments_are_there_unless_it_only_moved(
    production, workspace, alice, on_production, other, words
):
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=on_production())
    with pytest.raises(ActionRefused, match=rf"This is {words}, .* Analytics .*--moved"):
        registration.replace(name="Production", reach=other, by=None)
    same = ClusterConnection(None, "postgresql://other:new@db.example/postgres")
    registration.replace(name="Production", reach=same, by=None)
    registration.replace(name="Production", reach=replace(other, same_cluster_new_address=True), by=None)


def test_only_a_registered_kubernetes_cluster_can_be_replaced(cluster):
    for name in ("Nowhere", cluster.name):
        with pytest.raises(ActionRefused, match="No Kubernetes cluster named"):
            registration.replace(name=name, reach=reach(), by=None)


# -- Looking --


def test_it_is_offered_once_it_was_looked_at_and_misses_nothing(
    db, cluster, workspace, findings, enqueued_checks
):
    made = registration.register(name="Production", reach=reach(), by=None)
    assert list(clusters_for(workspace)) == [cluster]
    findings["examine"] = [OK, MISSES]
    assert checks.check(made.pk)
    assert list(clusters_for(workspace)) == [cluster]
    findings["examine"] = [OK]
    registration.check_again(cluster=made, by=AlwaysOlga.get())
    assert checks.check(made.pk)
    assert set(clusters_for(workspace)) == {cluster, made}


class AlwaysOlga:
    @staticmethod
    def get():
        from workspaces.models import User

        return User.objects.create_superuser("o@example.org", "x", name="O")


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_hinted_once_it_is_registered_and_the_sweep_finds_it_too(
    findings, enqueued_checks, cluster
):
    made = registration.register(name="Production", reach=reach(), by=None)
    assert enqueued_checks == [made.pk]
    tasks.sweep()
    assert enqueued_checks == [made.pk] * 2
    assert checks.check(made.pk)
    assert not checks.check(made.pk)  # nothing is due any more
    tasks.sweep()
    assert enqueued_checks == [made.pk] * 2


def test_what_misses_something_is_looked_at_again_by_itself(production, findings):
    findings["examine"] = [MISSES]
    checks.ask(production)
    checks.check(production.pk)
    assert not checks.due().exists()
    Cluster.objects.filter(pk=production.pk).update(checked_at=Now() - 2 * checks.AGAIN)
    assert checks.due().get() == production


def test_isolation_is_tried_only_where_nothing_is_missing_and_shown_when_it_is_known(
    production, findings, monkeypatch
):
    tried = []
    isolated = Check("isolation", "Network isolation", CheckState.WARNING, "Not enforced.")

    def try_out(config):
        tried.append([row["key"] for row in Cluster.objects.get(pk=production.pk).checks])
        return [isolated]

    monkeypatch.setattr(checks, "try_out", try_out)
    for found, rows in (([MISSES], ["rights"]), ([OK], ["api", "isolation"])):
        findings["examine"] = found
        checks.ask(production)
        checks.check(production.pk)
        production.refresh_from_db()
        assert [row["key"] for row in production.checks] == rows
        assert production.checking_since is None
    assert tried == [["api"]]  # the rest was on the row before the slow part began


def test_credentials_changed_while_looking_are_looked_at_again(production, findings, monkeypatch):
    def changed(config):
        registration.replace(
            name="Production", reach=ClusterConnection(credentials("https://10.9.9.9")), by=None
        )
        return [MISSES]

    monkeypatch.setattr(checks, "examine", changed)
    checks.ask(production)
    checks.check(production.pk)
    production.refresh_from_db()
    assert production.checks == [OK.row()]
    assert checks.due().get() == production


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_one_look_at_a_time(production, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()

    def slow(config):
        entered.set()
        assert go_on.wait(10)
        return [OK]

    def look():
        checks.check(production.pk)
        connections.close_all()

    monkeypatch.setattr(checks, "examine", slow)
    checks.ask(production)
    thread = threading.Thread(target=look)
    thread.start()
    assert entered.wait(10)
    assert not checks.check(production.pk)
    go_on.set()
    thread.join()
    assert not checks.due().exists()


def test_a_cluster_that_no_key_opens_is_said_to_be_unreadable(production):
    Cluster.objects.filter(pk=production.pk).update(sealed_config=b"gAAAA")
    checks.ask(production)
    checks.check(production.pk)
    production.refresh_from_db()
    assert "Register it again" in production.checks[0]["sentence"]


# -- Deregistering --


def test_a_cluster_with_deployments_stays_and_an_empty_one_goes(
    production, workspace, alice, on_production, olga
):
    made = create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=on_production())
    with pytest.raises(ActionRefused, match=rf"Analytics \({made.release_name}\)\. Delete them first"):
        registration.deregister(cluster=production, by=olga)
    Deployment.objects.update(deleted_at=Now())
    assert "is deregistered" in registration.deregister(cluster=production, by=olga)
    production.refresh_from_db()
    assert (bytes(production.sealed_config), production.checks) == (b"", [])
    assert production not in clusters_for(workspace)
    assert Deployment.objects.get().cluster == production
    assert (last_event().actor_id, last_event().verb) == (olga.pk, "deregistered")
    assert registration.deregister(cluster=production, by=olga) == "Production was deregistered already."


def test_the_machine_itself_cannot_be_deregistered(cluster, olga):
    with pytest.raises(ActionRefused, match="where Airdeck itself runs"):
        registration.deregister(cluster=cluster, by=olga)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_deregistering_and_creating_at_the_same_instant_leave_no_deployment_on_a_lost_cluster(
    production, workspace, alice, on_production
):
    for attempt in range(6):
        outcomes, barrier, chosen = [], threading.Barrier(2), on_production(f"Race {attempt}")

        def go(act, outcomes=outcomes, barrier=barrier):
            barrier.wait()
            try:
                act()
            except (ActionRefused, ClusterClosed) as refusal:
                outcomes.append(type(refusal))
            finally:
                connections.close_all()

        acts = (
            lambda: registration.deregister(cluster=production, by=None),
            lambda chosen=chosen: create_deployment(
                workspace=workspace, by=alice, idempotency_key=uuid4(), choices=chosen
            ),
        )
        threads = [threading.Thread(target=go, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        production.refresh_from_db()
        existing = Deployment.objects.filter(deleted_at=None).exists()
        assert len(outcomes) == 1  # exactly one of the two is refused
        assert existing is (production.deregistered_at is None)
        Deployment.objects.update(deleted_at=Now())
        Cluster.objects.filter(pk=production.pk).update(deregistered_at=None)
