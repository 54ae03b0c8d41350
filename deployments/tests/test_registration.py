"""Registering a cluster: what is stored, what is refused, who may use it when, and that it can be taken off again."""

import io
import json
import threading
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from console.embedded import postgres
from console.tests.services import STATE
from deployments import catalogue, catalogue_actions, checking, clusters, registration, tasks
from deployments.actions import ClusterClosed, QueueChoice, create_deployment
from deployments.catalogue_actions import Type
from deployments.dataplane import registry
from deployments.dataplane.fake import ScriptedDataPlane
from deployments.dataplane.kubernetes.checks import Check, State
from deployments.dataplane.kubernetes.kubeconfig import Credentials
from deployments.models import Cluster, Deployment, RuntimeRelease, WorkerQueue, WorkerType
from deployments.options import clusters_for, options_for
from deployments.registration import Reach
from deployments.tests.kubernetes.emulator import Emulator
from workspaces.models import AuditEvent
from workspaces.refusals import Refused
from workspaces.tests.test_admin import last_event, said

pytestmark = pytest.mark.django_db
ADMIN = postgres.url(STATE, "postgres")
TOKEN, PASSWORD = "marked-token-77", "marked-password-77"
URL = f"postgresql://airdeck:{PASSWORD}@db.example:5432/postgres"
OK, MISSES = Check("api", "API server", State.OK, "Fine."), Check("rights", "Rights", State.MISSING, "None.")


def credentials(server: str = "https://10.0.0.1:6443") -> Credentials:
    return Credentials(server, "", TOKEN)


def reach(**settings: str) -> Reach:
    return Reach(credentials(), URL, settings)


@pytest.fixture
def findings(monkeypatch) -> dict[str, list[Check]]:
    """What looking at a cluster finds, in place of asking one."""
    found: dict[str, list[Check]] = {"examine": [OK], "try_out": []}
    monkeypatch.setattr(checking, "examine", lambda config: found["examine"])
    monkeypatch.setattr(checking, "try_out", lambda config: found["try_out"])
    return found


@pytest.fixture
def production(db, cluster, findings, monkeypatch) -> Cluster:
    """A registered, checked Kubernetes cluster beside this machine."""
    monkeypatch.setitem(registry.DRIVERS, "kubernetes", lambda config: ScriptedDataPlane())
    made = registration.register(name="Production", reach=reach(namespace_prefix="airflow-"), by=None)
    checking.check(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def on_production(production, choices):
    def make(name: str = "Analytics"):
        types = options_for(production).worker_types
        return choices(name, cluster=production, queue=QueueChoice(types[0], 1, 10, 16))

    return make


# -- What is stored --


def test_only_vetted_values_are_stored_and_only_sealed(production, olga):
    config = clusters.config(production)
    assert config.database_url == URL
    assert config.settings == {
        "namespace_prefix": "airflow-",
        "server": "https://10.0.0.1:6443",
        "token": TOKEN,
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
        ("P", Reach(credentials(), None, {}), "needs credentials"),
        ("P", Reach(None, URL, {}), "needs credentials"),
        ("P", Reach(credentials(), "mysql://a:b@c/d", {}), "must begin with postgresql://"),
        ("P", Reach(credentials(), f"postgresql://a:{PASSWORD} x@c/d?nope=%zz", {}), "cannot be read"),
        ("P", Reach(credentials(), "postgresql:///postgres", {}), "needs a user and a host"),
        ("P", reach(ingress_domain="Not A Domain"), "ingress_domain"),
        ("P", reach(namespace_prefix="UPPER"), "namespace_prefix"),
        ("P", reach(server="https://evil"), "There is no setting server"),
        ("P", reach(image_pull_secret="{broken"), "no dockerconfigjson"),
        ("P", reach(worker_grace="-1"), "worker_grace"),
    ],
)
def test_bad_input_is_refused_in_words_and_nothing_is_stored(db, name, asked, words):
    with pytest.raises(Refused, match=words) as refused:
        registration.register(name=name, reach=asked, by=None)
    assert PASSWORD not in str(refused.value)
    assert not Cluster.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_name_is_registered_once_and_free_again_afterwards(production):
    with pytest.raises(Refused, match="is registered already"):
        registration.register(name="Production", reach=reach(), by=None)
    registration.deregister(cluster=production, by=None)
    again = registration.register(name="Production", reach=reach(), by=None)
    assert again.pk != production.pk


def test_replacing_keeps_the_id_and_whatever_is_not_given(production):
    other = Reach(Credentials("https://10.0.0.2", "", "new-token"), None, {"ingress_domain": "a.example"})
    assert registration.replace(name="Production", reach=other, by=None).pk == production.pk
    config = clusters.config(Cluster.objects.get(pk=production.pk))
    assert config.database_url == URL
    assert config.settings == {
        "namespace_prefix": "airflow-",
        "ingress_domain": "a.example",
        "server": "https://10.0.0.2",
        "token": "new-token",
    }
    registration.replace(name="Production", reach=Reach(None, None, {"ingress_domain": ""}), by=None)
    settings = clusters.config(Cluster.objects.get(pk=production.pk)).settings
    assert "ingress_domain" not in settings
    assert settings["token"] == "new-token"


def test_the_prefix_of_namespaces_stays_while_deployments_are_in_them(
    production, workspace, alice, on_production
):
    create_deployment(workspace=workspace, by=alice, form_key=uuid4(), choices=on_production())
    with pytest.raises(Refused, match=r"namespace prefix cannot change .* Analytics"):
        registration.replace(name="Production", reach=Reach(None, None, {"namespace_prefix": "b-"}), by=None)
    registration.replace(name="Production", reach=Reach(None, None, {"ingress_domain": "b.example"}), by=None)


def test_only_a_registered_kubernetes_cluster_can_be_replaced(cluster):
    for name in ("Nowhere", cluster.name):
        with pytest.raises(Refused, match="No Kubernetes cluster named"):
            registration.replace(name=name, reach=reach(), by=None)


# -- Looking --


def test_it_is_offered_once_it_was_looked_at_and_misses_nothing(
    db, cluster, workspace, findings, check_hints
):
    made = registration.register(name="Production", reach=reach(), by=None)
    assert list(clusters_for(workspace)) == [cluster]
    findings["examine"] = [OK, MISSES]
    assert checking.check(made.pk)
    assert list(clusters_for(workspace)) == [cluster]
    findings["examine"] = [OK]
    registration.check_again(cluster=made, by=AlwaysOlga.get())
    assert checking.check(made.pk)
    assert set(clusters_for(workspace)) == {cluster, made}


class AlwaysOlga:
    @staticmethod
    def get():
        from workspaces.models import User

        return User.objects.create_superuser("o@example.org", "x", name="O")


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_hinted_once_it_is_registered_and_the_sweep_finds_it_too(findings, check_hints, cluster):
    made = registration.register(name="Production", reach=reach(), by=None)
    assert check_hints == [made.pk]
    tasks.sweep()
    assert check_hints == [made.pk] * 2
    assert checking.check(made.pk)
    assert not checking.check(made.pk)  # nothing is due any more
    tasks.sweep()
    assert check_hints == [made.pk] * 2


def test_what_misses_something_is_looked_at_again_by_itself(production, findings):
    findings["examine"] = [MISSES]
    checking.ask(production)
    checking.check(production.pk)
    assert not checking.due().exists()
    Cluster.objects.filter(pk=production.pk).update(checked_at=Now() - 2 * checking.AGAIN)
    assert checking.due().get() == production


def test_isolation_is_tried_only_where_nothing_is_missing_and_shown_when_it_is_known(
    production, findings, monkeypatch
):
    tried = []
    isolated = Check("isolation", "Network isolation", State.WARNING, "Not enforced.")

    def try_out(config):
        tried.append([row["key"] for row in Cluster.objects.get(pk=production.pk).checks])
        return [isolated]

    monkeypatch.setattr(checking, "try_out", try_out)
    for found, rows in (([MISSES], ["rights"]), ([OK], ["api", "isolation"])):
        findings["examine"] = found
        checking.ask(production)
        checking.check(production.pk)
        production.refresh_from_db()
        assert [row["key"] for row in production.checks] == rows
        assert production.checking_since is None
    assert tried == [["api"]]  # the rest was on the row before the slow part began


def test_credentials_changed_while_looking_are_looked_at_again(production, findings, monkeypatch):
    def changed(config):
        registration.replace(name="Production", reach=Reach(credentials("https://10.9.9.9")), by=None)
        return [MISSES]

    monkeypatch.setattr(checking, "examine", changed)
    checking.ask(production)
    checking.check(production.pk)
    production.refresh_from_db()
    assert production.checks == [OK.row()]
    assert checking.due().get() == production


@pytest.mark.django_db(transaction=True)
def test_one_look_at_a_time(production, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()

    def slow(config):
        entered.set()
        assert go_on.wait(10)
        return [OK]

    def look():
        checking.check(production.pk)
        connections.close_all()

    monkeypatch.setattr(checking, "examine", slow)
    checking.ask(production)
    thread = threading.Thread(target=look)
    thread.start()
    assert entered.wait(10)
    assert not checking.check(production.pk)
    go_on.set()
    thread.join()
    assert not checking.due().exists()


def test_a_cluster_that_no_key_opens_is_said_to_be_unreadable(production):
    Cluster.objects.filter(pk=production.pk).update(sealed_config=b"gAAAA")
    checking.ask(production)
    checking.check(production.pk)
    production.refresh_from_db()
    assert "Register it again" in production.checks[0]["sentence"]


# -- Deregistering --


def test_a_cluster_with_deployments_stays_and_an_empty_one_goes(
    production, workspace, alice, on_production, olga
):
    made = create_deployment(workspace=workspace, by=alice, form_key=uuid4(), choices=on_production())
    with pytest.raises(Refused, match=rf"Analytics \({made.release_name}\)\. Delete them first"):
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
    with pytest.raises(Refused, match="where Airdeck itself runs"):
        registration.deregister(cluster=cluster, by=olga)


@pytest.mark.django_db(transaction=True)
def test_deregistering_and_creating_at_the_same_instant_leave_no_deployment_on_a_lost_cluster(
    production, workspace, alice, on_production
):
    for attempt in range(6):
        outcomes, barrier, chosen = [], threading.Barrier(2), on_production(f"Race {attempt}")

        def go(act, outcomes=outcomes, barrier=barrier):
            barrier.wait()
            try:
                act()
            except (Refused, ClusterClosed) as refusal:
                outcomes.append(type(refusal))
            finally:
                connections.close_all()

        acts = (
            lambda: registration.deregister(cluster=production, by=None),
            lambda chosen=chosen: create_deployment(
                workspace=workspace, by=alice, form_key=uuid4(), choices=chosen
            ),
        )
        threads = [threading.Thread(target=go, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        production.refresh_from_db()
        living = Deployment.objects.filter(deleted_at=None).exists()
        assert len(outcomes) == 1  # exactly one of the two is refused
        assert living is (production.deregistered_at is None)
        Deployment.objects.update(deleted_at=Now())
        Cluster.objects.filter(pk=production.pk).update(deregistered_at=None)


# -- Commands --


@pytest.fixture
def files(tmp_path):
    with Emulator() as emulator:
        for name, text in {"kubeconfig": emulator.kubeconfig, "url": ADMIN + "\n"}.items():
            (tmp_path / name).write_text(text)
        yield ["--kubeconfig", str(tmp_path / "kubeconfig"), "--database-url-file", str(tmp_path / "url")]


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(
        checking, "try_out", lambda config: [Check("isolation", "Network isolation", State.OK, "Yes.")]
    )


def test_the_command_registers_checks_and_prints_one_line_each(cluster, files, quick):
    with pytest.raises(CommandError, match="Something is missing"):  # the emulator has no roles to lend
        run(
            "register_cluster",
            "Production",
            *files,
            "--ingress-domain",
            "a.example",
            "--set",
            "worker_grace=60",
        )
    made = Cluster.objects.get(name="Production")
    assert clusters.config(made).settings["worker_grace"] == "60"
    assert [row["key"] for row in made.checks][:3] == ["api", "rights", "roles"]
    with pytest.raises(CommandError):
        run("register_cluster", "Production", *files)
    report = io.StringIO()
    with pytest.raises(CommandError):
        call_command("check_cluster", "Production", stdout=report)
    lines = report.getvalue().splitlines()
    assert lines[0] == "ok          API server: Kubernetes v1.36.0-emulator answers."
    assert any(line.startswith("MISSING     Roles for Airflow: ") for line in lines)
    assert "is deregistered" in run("deregister_cluster", "Production")
    with pytest.raises(CommandError, match="No Kubernetes cluster named Production"):
        run("deregister_cluster", "Production")


def test_check_only_stores_nothing(cluster, files, quick):
    with pytest.raises(CommandError, match="Something is missing"):
        run("register_cluster", "Production", *files, "--check-only")
    assert not Cluster.objects.filter(name="Production").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "needs credentials"),
        (("--in-cluster",), "does not run inside a cluster"),
        (("--kubeconfig", "/nowhere"), "/nowhere cannot be read"),
        (("--kubeconfig", "/nowhere", "--in-cluster"), "not both"),
        (("--set", "nonsense"), "--set takes NAME=VALUE"),
    ],
)
def test_the_command_refuses_in_words(db, words, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("register_cluster", "Production", *words)
    assert not Cluster.objects.exists()


def test_the_url_may_come_from_standard_input(db, files, quick, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(ADMIN + "\n"))
    with pytest.raises(CommandError, match="Something is missing"):
        run("register_cluster", "Production", *files[:2], "--database-url", "-")
    assert clusters.config(Cluster.objects.get()).database_url == ADMIN


# -- Django admin --


def add_url() -> str:
    return reverse("admin:deployments_cluster_add")


def test_an_operator_registers_a_cluster_and_sees_its_checks(as_, olga, cluster, findings, workspace):
    client = as_(olga)
    with Emulator() as emulator:
        data = {"name": "Production", "kubeconfig": emulator.kubeconfig, "database_url": URL, "keda": "on"}
        answer = client.post(add_url(), {**data, "ingress_domain": "a.example", "other": "worker_grace=60\n"})
    made = Cluster.objects.get(name="Production")
    assert answer["Location"] == reverse("admin:deployments_cluster_change", args=[made.pk]) + "?watch=1"
    assert (last_event().actor_id, last_event().verb) == (olga.pk, "registered")
    assert clusters.config(made).settings.items() >= {"keda": "true", "worker_grace": "60"}.items()
    page = client.get(answer["Location"])
    assert page["Refresh"] == "3"
    assert "Being checked since" in page.content.decode()
    assert "Not checked yet: offered to nobody" in page.content.decode()
    findings["try_out"] = [
        Check("isolation", "Network isolation", State.WARNING, "Isolation is <b>not</b> enforced.")
    ]
    checking.check(made.pk)
    page = client.get(answer["Location"])
    assert "Refresh" not in page
    assert "Isolation is &lt;b&gt;not&lt;/b&gt; enforced." in page.content.decode()
    assert made in clusters_for(workspace)


def test_bad_input_is_refused_beside_its_field_and_no_secret_comes_back(as_, olga, cluster):
    bad = {
        "name": "Production",
        "kubeconfig": f"users: [{{name: u, user: {{exec: {TOKEN}}}}}]\ncurrent-context: x",
        "database_url": f"mysql://a:{PASSWORD}@b/c",
        "ingress_domain": "Not A Domain",
        "image_pull_secret": f'{{"auths": "{PASSWORD}"}}',
        "other": "server=https://evil\nnonsense",
    }
    answer = as_(olga).post(add_url(), bad)
    assert answer.status_code == 422
    errors = answer.context["form"].errors
    assert errors.keys() == {"context", "database_url", "ingress_domain", "image_pull_secret", "other"}
    text = answer.content.decode()
    assert 'value="Production"' in text
    assert 'value="Not A Domain"' in text
    assert TOKEN not in text
    assert PASSWORD not in text
    assert not Cluster.objects.filter(name="Production").exists()


def test_how_it_is_reached_is_changed_without_being_shown(as_, olga, production):
    client, url = as_(olga), reverse("admin:deployments_cluster_reach", args=[production.pk])
    text = client.get(url).content.decode()
    assert "https://10.0.0.1:6443" in text
    assert 'value="airflow-"' in text
    assert TOKEN not in text
    assert PASSWORD not in text
    answer = client.post(url, {"namespace_prefix": "airflow-", "ingress_domain": "b.example"})
    assert answer.status_code == 302
    config = clusters.config(Cluster.objects.get(pk=production.pk))
    assert config.settings["token"] == TOKEN
    assert (config.settings["ingress_domain"], config.database_url) == ("b.example", URL)
    assert last_event().verb == "changed how to reach"


def test_buttons_check_again_and_deregister(
    as_, olga, production, cluster, check_hints, django_capture_on_commit_callbacks
):
    def press(row, action):
        data = {"action": action, "_selected_action": [row.pk], "confirmed": "yes"}
        return said(client.post(reverse("admin:deployments_cluster_changelist"), data, follow=True))

    client = as_(olga)
    check_hints.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert press(production, "check_again")[0].startswith("Production is being checked.")
    assert check_hints == [production.pk]
    assert press(cluster, "check_again") == ["This machine has nothing to check."]
    assert press(cluster, "deregister")[0].startswith("This machine is where Airdeck itself runs.")
    assert press(production, "deregister")[0].startswith("Production is deregistered.")
    page = client.get(reverse("admin:deployments_cluster_change", args=[production.pk])).content.decode()
    assert f"Deregistered on {timezone.now():%Y-%m-%d}" in page


# -- The create form with two clusters --


def typed(cluster: Cluster, **changes) -> dict[str, str]:
    values = {
        "form_key": str(uuid4()),
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
    assert (answer.status_code, answer.context["said"], form.errors) == (200, [], {})
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
    assert answer.context["said"] == [
        "This machine does not offer Runtime 3.1-1: 3.3-1 is chosen instead.",
        "This machine does not offer Executor Kubernetes: Celery is chosen instead.",
        "This machine does not offer Worker Type A40: A5 is chosen instead.",
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


def test_the_image_of_a_runtime_is_changed_while_nobody_has_it(as_, olga, deployment):
    used, free = deployment.runtime, RuntimeRelease.objects.get(version="3.2-1")
    for runtime, status in ((free, 302), (used, 200)):
        url = reverse("admin:deployments_runtimerelease_change", args=[runtime.pk])
        data = {"image": "example.org/a:1", "maintained_until": runtime.maintained_until.isoformat()}
        assert as_(olga).post(url, data).status_code == status
    assert RuntimeRelease.objects.get(pk=free.pk).image == "example.org/a:1"
    assert RuntimeRelease.objects.get(pk=used.pk).image == used.image
    with pytest.raises(Refused, match="would restart them all at once"):
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
    with pytest.raises(Refused, match="is the default"):
        catalogue_actions.remove_type(worker_type=big, by=olga)
    with pytest.raises(Refused, match="One type is preselected"):
        catalogue_actions.change_type(worker_type=big, wanted=Type("Big", 16000, 65536), by=olga)
    a40 = production.worker_types.get(name="A40")
    assert "is removed" in catalogue_actions.remove_type(worker_type=a40, by=olga)
    assert last_event().verb == "removed"


def test_a_worker_type_that_queues_have_keeps_its_size(olga, deployment):
    used = WorkerQueue.objects.get().worker_type
    wanted = Type(used.name, used.cpu_millis * 2, used.memory_mib, used.position, used.is_default)
    with pytest.raises(Refused, match="Worker queues of Analytics"):
        catalogue_actions.change_type(worker_type=used, wanted=wanted, by=olga)
    with pytest.raises(Refused, match="Worker queues of Analytics"):
        catalogue_actions.remove_type(worker_type=used, by=olga)
    place = Type(used.name, used.cpu_millis, used.memory_mib, 7, used.is_default)
    catalogue_actions.change_type(worker_type=used, wanted=place, by=olga)
    used.refresh_from_db()
    assert used.position == 7
