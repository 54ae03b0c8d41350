"""The create form: what it offers, what it refuses and in which words, and that it makes exactly one Deployment."""

import threading
from datetime import date
from uuid import uuid4

import pytest
from django.db import connections
from django.urls import reverse

from deployments.actions import ClusterClosed
from deployments.domain.states import Status
from deployments.models import Deployment, RuntimeRelease, WorkerQueue
from deployments.secrets import vault
from workspaces.models import AuditEvent


@pytest.fixture
def url(workspace) -> str:
    return f"/w/{workspace.pk}/deployments/new/"


@pytest.fixture
def posted(cluster):
    """What a browser posts for an untouched form with a name."""

    def make(**changes) -> dict[str, str]:
        values = {
            "idempotency_key": str(uuid4()),
            "name": "Analytics",
            "description": "",
            "runtime": "3.3-1",
            "cluster": str(cluster.pk),
            "executor": "celery",
            "worker_type": "A5",
            "min_workers": "1",
            "max_workers": "10",
            "concurrency": "16",
            "scheduler_au": "5",
            "scheduler_replicas": "1",
        }
        return {**values, **{k: str(v) for k, v in changes.items()}}

    return make


def errors(response) -> dict[str, list[str]]:
    return {name: list(found) for name, found in response.context["form"].errors.items()}


def test_everything_but_the_name_has_a_default(as_, bob, url, cluster):
    form = as_(bob).get(url).context["form"]
    empty = [name for name, field in form.fields.items() if field.required and not form[name].value()]
    assert empty == ["name"]
    assert form["runtime"].value() == "3.3-1"


def test_the_page_shows_labels_defaults_and_figures(as_, bob, url, cluster):
    page = as_(bob).get(url).content.decode()
    for words in (
        "3.3-1 (based on Airflow 3.3.2)",
        "Worker type",
        "Executor",
        "Cluster",
        "Create Deployment",
        "0.5 CPU, 1.88 GiB",
        "160",
        "Good for most teams.",
    ):
        assert words in page


def test_a_valid_form_makes_a_deployment_and_leads_to_its_page(as_, bob, url, posted, workspace, enqueued):
    answer = as_(bob).post(url, posted(name="  Analytics  ", description="For the team"))
    made = Deployment.objects.get()
    assert answer.status_code == 303
    assert answer["Location"] == f"/deployments/{made.release_name}/"
    assert (made.name, made.description, made.status) == ("Analytics", "For the team", Status.CREATING)
    assert (made.workspace, made.created_by, made.generation) == (workspace, bob, 1)
    queue = WorkerQueue.objects.get()
    assert (queue.name, queue.min_workers, queue.max_workers, queue.concurrency) == ("default", 1, 10, 16)
    assert made.secrets.count() == len(vault.GENERATORS)
    event = AuditEvent.objects.get(verb="created", object_type="deployment")
    assert (event.actor_id, event.object_id) == (bob.pk, str(made.pk))


@pytest.mark.django_db(transaction=True)
def test_the_reconciler_is_hinted_once_the_row_is_committed(as_, bob, url, posted, enqueued):
    as_(bob).post(url, posted())
    assert enqueued == [Deployment.objects.get().pk]


def test_the_new_page_confirms_and_links_to_the_deployments(as_, bob, url, posted, workspace):
    page = as_(bob).post(url, posted(), follow=True).content.decode()
    assert "You can leave this page; creation continues." in page
    assert f'href="/w/{workspace.pk}/deployments/"' in page


def test_local_has_no_queue_and_ignores_the_worker_fields(as_, bob, url, posted):
    answer = as_(bob).post(url, posted(executor="local", min_workers="x", worker_type="nope", concurrency=""))
    assert answer.status_code == 303
    assert WorkerQueue.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"name": "   "}, "name", "Enter a name."),
        ({"name": "x" * 65}, "name", "Enter a name of at most 64 characters; this one has 65."),
        ({"name": "a\nb"}, "name", "Enter a name without line breaks or invisible characters."),
        ({"name": "a\x07b"}, "name", "Enter a name without line breaks or invisible characters."),
        ({"name": "a\u202eb"}, "name", "Enter a name without line breaks or invisible characters."),
        ({"name": "\u3164"}, "name", "Enter a name."),
        ({"name": "\u2800\u200d"}, "name", "Enter a name without line breaks or invisible characters."),
        ({"name": "a\x00b"}, "name", "Enter a name without line breaks or invisible characters."),
        ({"name": "\ufdfa" * 20}, "name", "Enter a shorter name; some of its characters stand for many."),
        ({"description": "x" * 1001}, "description", "Enter at most 1000 characters."),
        ({"runtime": "9.9-9"}, "runtime", "Choose a runtime from the list; this one is not offered."),
        ({"cluster": str(uuid4())}, "cluster", "Choose a cluster that is open to this Workspace."),
        ({"executor": "kubernetes"}, "executor", "Choose an executor that this cluster offers."),
        ({"worker_type": "m5.xlarge"}, "worker_type", "Choose a worker type that this cluster offers."),
        ({"min_workers": "11"}, "min_workers", "Enter a number that is at most the 10 of Max workers."),
        ({"min_workers": "-1"}, "min_workers", "Min workers: enter a whole number from 0 to 30."),
        ({"max_workers": "31"}, "max_workers", "Max workers: enter a whole number from 1 to 30."),
        ({"max_workers": "ten"}, "max_workers", "Max workers: enter a whole number from 1 to 30."),
        ({"concurrency": "65"}, "concurrency", "Concurrency: enter a whole number from 1 to 64."),
        ({"concurrency": "1.5"}, "concurrency", "Concurrency: enter a whole number from 1 to 64."),
        ({"scheduler_au": "4"}, "scheduler_au", "Scheduler AU: enter a whole number from 5 to 24."),
        ({"scheduler_au": ""}, "scheduler_au", "Scheduler AU: enter a whole number from 5 to 24."),
        (
            {"scheduler_replicas": "5"},
            "scheduler_replicas",
            "Scheduler replicas: enter a whole number from 1 to 4.",
        ),
        ({"status": "healthy"}, "__all__", "This form has no field “status”. Reload the page and try again."),
    ],
)
def test_bad_input_is_refused_beside_its_field_and_nothing_is_lost(
    as_, bob, url, posted, changes, field, sentence
):
    sent = posted(**{"description": "Keep me", **changes})
    answer = as_(bob).post(url, sent)
    assert answer.status_code == 422
    assert sentence in errors(answer)[field]
    assert Deployment.objects.count() == 0
    form = answer.context["form"]
    assert {name: form[name].value() for name in form.fields} == {
        name: value for name, value in sent.items() if name in form.fields
    }
    page = answer.content.decode()
    assert page.count(sentence.replace("'", "&#x27;")) >= 2 - (
        field == "__all__"
    )  # beside the field, and on top
    assert "<title>Error: " in page


def test_names_may_hold_any_printable_text(as_, bob, url, posted):
    for name in ("Ünïcode 数据 👩‍🔬", "{{ 7*7 }} %(x)s <b>", "x" * 64):
        answer = as_(bob).post(url, posted(name=name), follow=True)
        assert answer.status_code == 200
        assert Deployment.objects.filter(name=name).exists()
        assert "<b>" not in answer.content.decode().replace("<body", "")


def test_a_name_is_taken_whatever_its_letter_case(as_, bob, url, posted, deployment):
    answer = as_(bob).post(url, posted(name="ANALYTICS"))
    assert answer.status_code == 422
    assert errors(answer)["name"] == ["Enter a name that no other Deployment in this Workspace uses."]
    assert Deployment.objects.count() == 1


def test_two_workspaces_may_use_the_same_name(as_, charlie, posted, deployment):
    other = charlie.workspaces.get()
    assert as_(charlie).post(f"/w/{other.pk}/deployments/new/", posted()).status_code == 303


def test_a_cluster_that_was_closed_meanwhile_is_said_beside_its_field(as_, bob, url, posted, monkeypatch):
    def closed(**asked):
        raise ClusterClosed

    monkeypatch.setattr("deployments.actions.create_deployment", closed)
    answer = as_(bob).post(url, posted())
    assert answer.status_code == 422
    assert errors(answer) == {"cluster": ["Choose a cluster that is open to this Workspace."]}
    assert answer.context["form"]["name"].value() == "Analytics"


def test_a_deprecated_or_yanked_runtime_is_not_offered(as_, bob, url, posted):
    RuntimeRelease.objects.filter(version="3.2-1").update(maintained_until=date(2026, 1, 31))
    RuntimeRelease.objects.filter(version="3.3-1").update(yanked=True)
    page = as_(bob).get(url)
    assert page.context["form"].fields["runtime"].choices == []
    assert as_(bob).post(url, posted()).status_code == 422
    assert as_(bob).post(url, posted(runtime="3.2-1")).status_code == 422


def test_only_the_newest_patch_of_each_minor_is_offered_newest_first(as_, bob, url, cluster, monkeypatch):
    monkeypatch.setattr("deployments.clusters.options.locked_versions", lambda: {"3.3-1", "3.3-2", "3.2-1"})
    newest = RuntimeRelease.objects.get(version="3.3-1")
    RuntimeRelease.objects.create(
        version="3.3-2",
        airflow_version="3.3.3",
        released_on=newest.released_on,
        maintained_until=newest.maintained_until,
    )
    offered = [value for value, _ in as_(bob).get(url).context["form"].fields["runtime"].choices]
    assert offered == ["3.3-2", "3.2-1"]


def test_this_machine_offers_what_it_can_install_alone(as_, bob, url, posted, cluster):
    newest = RuntimeRelease.objects.get(version="3.3-1")
    RuntimeRelease.objects.create(
        version="3.3-9",
        airflow_version="3.3.9",
        image="registry.example/airflow:3.3.9",
        released_on=newest.released_on,
        maintained_until=newest.maintained_until,
    )
    offered = [value for value, _ in as_(bob).get(url).context["form"].fields["runtime"].choices]
    assert offered == ["3.3-1", "3.2-1"]
    assert as_(bob).post(url, posted(runtime="3.1-1")).status_code == 422


def test_a_cluster_that_is_closed_to_the_workspace_is_not_offered(as_, bob, url, posted, cluster):
    cluster.restricted = True
    cluster.save()
    page = as_(bob).get(url)
    assert "No cluster is open to this Workspace" in page.content.decode()
    assert as_(bob).post(url, posted()).status_code == 200
    assert Deployment.objects.count() == 0


def test_the_same_form_posted_again_leads_to_the_same_deployment(as_, bob, url, posted):
    sent = posted()
    first = as_(bob).post(url, sent)
    second = as_(bob).post(url, sent)
    assert first["Location"] == second["Location"]
    assert Deployment.objects.count() == 1
    assert AuditEvent.objects.filter(verb="created", object_type="deployment").count() == 1


def test_the_form_of_an_earlier_page_with_another_name_makes_another_deployment(as_, bob, url, posted):
    sent = posted()
    as_(bob).post(url, sent)
    as_(bob).post(url, {**sent, "name": "Reports"})
    assert sorted(Deployment.objects.values_list("name", flat=True)) == ["Analytics", "Reports"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same_form", [True, False])
@pytest.mark.usefixtures("patient")
def test_posts_at_the_same_instant_make_one_deployment_of_a_name(as_, bob, url, posted, same_form):
    key = str(uuid4())
    barrier = threading.Barrier(5)
    answers = []

    def post(idempotency_key):
        client = as_(bob)
        barrier.wait()
        answers.append(client.post(url, posted(idempotency_key=idempotency_key)).status_code)
        connections.close_all()

    threads = [threading.Thread(target=post, args=[key if same_form else str(uuid4())]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Deployment.objects.count() == 1
    assert sorted(answers) == ([303] * 5 if same_form else [303, 422, 422, 422, 422])


def test_the_summary_follows_what_is_typed(as_, bob, workspace, posted):
    url = f"/w/{workspace.pk}/deployments/new/summary/"
    sent = posted(max_workers=3, concurrency=8, worker_type="A10", scheduler_replicas=2, name="")
    lines = {line.label: (line.value, line.detail) for line in as_(bob).post(url, sent).context["summary"]}
    assert lines == {
        "Scheduler": ("1 CPU, 3.75 GiB", "2 replicas"),
        "Max workers": ("3", "of type A10"),
        "Max for workers": ("6 CPU, 12 GiB", ""),
        "Maximum total": ("7 CPU, 15.75 GiB", ""),
        "Concurrent tasks": ("24", "3 workers × 8"),
    }
    assert Deployment.objects.count() == 0


def test_the_summary_shows_a_dash_for_what_it_cannot_know(as_, bob, workspace, posted):
    url = f"/w/{workspace.pk}/deployments/new/summary/"
    lines = {
        line.label: line.value for line in as_(bob).post(url, posted(max_workers="x")).context["summary"]
    }
    assert lines["Max workers"] == lines["Concurrent tasks"] == "–"
    assert lines["Scheduler"] == "0.5 CPU, 1.88 GiB"


def test_a_name_is_judged_when_its_field_is_left(as_, alice, workspace, deployment):
    here = reverse("deployments:check_name", args=[workspace.pk])

    def sentence(name: str) -> str:
        answer = as_(alice).post(here, {"name": name, "executor": "celery"})
        assert answer.status_code == 200
        return answer.content.decode()

    assert "Enter a name that no other Deployment in this Workspace uses." in sentence(
        deployment.name.upper()
    )
    assert "Enter a name." in sentence(" ")
    free = sentence("Another one")
    assert "field__error" not in free
    assert f'hx-post="{here}"' in free  # the next time that it is left
    assert not Deployment.objects.filter(name="Another one").exists()
