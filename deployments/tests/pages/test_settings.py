"""The edit form: it changes what was changed and nothing else, says before what that does, and never overwrites
silently what somebody else has saved."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.tests.forms import posted_forms
from console.tests.html_rules import complaints
from deployments import actions
from deployments.actions.settings import OWN, WORKERS, settings_of
from deployments.domain.states import Executor, Status
from deployments.models import Deployment, WorkerQueue
from deployments.presenters.impact import queues_of
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

CHANGES = {
    "name": "Reports",
    "description": "Two\r\nlines",
    "executor": "local",
    "worker_type": "A10",
    "min_workers": "3",
    "max_workers": "7",
    "concurrency": "4",
    "scheduler_au": "6",
    "scheduler_replicas": "2",
}
# Values that a careless form resets: 0, what differs from the default, whitespace and line ends within.
ODD = {"min_workers": 0, "max_workers": 29, "concurrency": 1, "desired_workers": 0}


@pytest.fixture
def healthy(deployment, cluster, driver) -> Deployment:
    """Analytics, running, with settings that are nobody's defaults and a second queue."""
    settle(deployment)
    big = cluster.worker_types.get(name="A20")
    deployment.queues.update(worker_type=big, **ODD)
    deployment.queues.create(name="etl", worker_type=big, **ODD)
    Deployment.objects.filter(pk=deployment.pk).update(
        description="One\nline  and\r\nanother", scheduler_au=7, scheduler_replicas=3
    )
    return settle(deployment)


@pytest.fixture
def url(deployment) -> str:
    return f"{deployment.url}edit/"


def filled(client, url: str, **changes: str) -> dict[str, str]:
    """The fields of the page's form as a browser sends them, with changes."""
    forms = posted_forms(client.get(url).content.decode())
    fields = next(fields for _, fields in forms if "shown" in fields)
    return {**fields, **changes}


def save(client, url: str, fields: dict[str, str]):
    """Save, and apply what the review shows."""
    answer = client.post(url, fields)
    if answer.status_code == 200:
        fields = next(fields for _, fields in posted_forms(answer.content.decode()) if "shown" in fields)
        answer = client.post(url, fields)
    return answer


def bytes_of(deployment: Deployment) -> dict[str, object]:
    """Everything that people decided of a Deployment and of its queues."""
    row = Deployment.objects.get(pk=deployment.pk)
    kept = {
        name: getattr(row, name) for name in (*OWN, "runtime_id", "cluster_id", "release_name", "hibernating")
    }
    for queue in row.queues.select_related("worker_type"):
        kept |= {f"{queue.name}.{name}": getattr(queue, name) for name in WORKERS[1:]}
        kept[f"{queue.name}.worker_type"] = queue.worker_type.name
    return kept


def as_stored(name: str, value: str) -> object:
    return int(value) if value.isdigit() else value


@pytest.mark.parametrize("name", CHANGES)
def test_editing_one_field_leaves_every_other_byte_as_it_was(as_, bob, healthy, url, name) -> None:
    before = bytes_of(healthy)
    client = as_(bob)
    assert save(client, url, filled(client, url, **{name: CHANGES[name]})).status_code == 303
    after = bytes_of(healthy)
    key = f"default.{name}" if name in WORKERS else name
    if name == "executor":
        before = {key: value for key, value in before.items() if not key.startswith(("default.", "etl."))}
    assert after == {**before, key: as_stored(name, CHANGES[name])}
    event = AuditEvent.objects.get(verb="edited")
    assert set(event.new) == {name}
    assert str(event.new[name]) == CHANGES[name]


@pytest.mark.thorough
@given(st.sets(st.sampled_from(sorted(set(CHANGES) - {"executor"})), min_size=1))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_editing_any_fields_changes_exactly_those(as_, bob, healthy, url, names) -> None:
    client = as_(bob)
    original = filled(client, url)
    before = bytes_of(healthy)
    assert save(client, url, {**original, **{name: CHANGES[name] for name in names}}).status_code == 303
    expected = {f"default.{n}" if n in WORKERS else n: as_stored(n, CHANGES[n]) for n in names}
    assert bytes_of(healthy) == {**before, **expected}
    again = filled(client, url)  # back, for the next example
    assert save(client, url, {**original, "shown": again["shown"]}).status_code == 303
    assert bytes_of(healthy) | {"description": None} == before | {"description": None}


def test_the_form_shows_current_values(as_, bob, healthy, url) -> None:
    fields = filled(as_(bob), url)
    shown = {name: fields[name] for name in (*OWN, *WORKERS)}
    assert shown == {
        "name": "Analytics",
        "description": "One\r\nline  and\r\nanother",
        "executor": "celery",
        "scheduler_au": "7",
        "scheduler_replicas": "3",
        "worker_type": "A20",
        "min_workers": "0",
        "max_workers": "29",
        "concurrency": "1",
    }


def test_saving_what_is_there_says_so_and_restarts_nothing(as_, bob, healthy, url, enqueued) -> None:
    enqueued.clear()
    client = as_(bob)
    answer = client.post(url, filled(client, url), follow=True)
    assert "No changes to save" in answer.content.decode()
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.generation, row.status, row.updated_at) == (
        healthy.generation,
        Status.HEALTHY,
        healthy.updated_at,
    )
    assert not AuditEvent.objects.filter(verb="edited").exists()
    assert enqueued == []


def test_name_and_description_are_saved_without_a_review_and_restart_nothing(as_, bob, healthy, url) -> None:
    client = as_(bob)
    answer = client.post(url, filled(client, url, name="Reports", description="New"))
    assert answer.status_code == 303
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.name, row.name_key, row.description, row.updated_by) == ("Reports", "reports", "New", bob)
    assert (row.generation, row.status) == (healthy.generation, Status.HEALTHY)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_reviewed_first_then_applied_as_one_generation(as_, bob, healthy, url, enqueued) -> None:
    WorkerQueue.objects.filter(name="default").update(live_workers=2, running=3)
    client = as_(bob)
    enqueued.clear()
    answer = client.post(url, filled(client, url, concurrency="4", scheduler_replicas="4", description="New"))
    page = answer.content.decode()
    assert complaints(page) == complaints(client.get(url).content.decode()) == []
    assert [(c.label, c.was, c.yours) for c in answer.context["changes"]] == [
        ("Description", "One\nline  and\r\nanother", "New"),
        ("Scheduler replicas", "3", "4"),
        ("Concurrency", "1", "4"),
    ]
    assert "Restarts the scheduler." in page
    assert (
        "2 workers of default drain and are replaced; 3 running tasks get 10 minutes to finish first." in page
    )
    assert Deployment.objects.get(pk=healthy.pk).generation == healthy.generation
    fields = next(fields for _, fields in posted_forms(page) if "shown" in fields)
    assert client.post(url, fields).status_code == 303
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.generation, row.status) == (healthy.generation + 1, Status.DEPLOYING)
    assert enqueued == [healthy.pk]
    assert settle(row).status == Status.HEALTHY


def test_the_review_counts_the_tasks_that_would_be_cut_off(as_, bob, healthy, url) -> None:
    client, tasks = as_(bob), f'hx-get="/deployments/{healthy.release_name}/tasks/"'
    page = client.post(url, filled(client, url, executor="local")).content.decode()
    assert tasks not in page  # workers finish what they run
    Deployment.objects.filter(pk=healthy.pk).update(executor="local")
    healthy.queues.all().delete()
    page = client.post(url, filled(client, url, executor="celery")).content.decode()
    assert tasks in page
    page = client.post(url, filled(client, url, scheduler_replicas="4")).content.decode()
    assert tasks not in page


def test_back_from_the_review_everything_is_still_filled_in(as_, bob, healthy, url) -> None:
    client = as_(bob)
    review = client.post(url, filled(client, url, concurrency="4", description="a\r\nb"))
    fields = next(fields for _, fields in posted_forms(review.content.decode()) if "shown" in fields)
    back = client.post(url, {**fields, "again": "1"})
    assert back.status_code == 200
    again = next(fields for _, fields in posted_forms(back.content.decode()) if "shown" in fields)
    assert (again["concurrency"], again["description"], again["reviewed"]) == ("4", "a\r\nb", "")


def test_another_value_than_the_reviewed_one_is_reviewed_again(as_, bob, healthy, url) -> None:
    client = as_(bob)
    review = client.post(url, filled(client, url, concurrency="4"))
    fields = next(fields for _, fields in posted_forms(review.content.decode()) if "shown" in fields)
    assert client.post(url, {**fields, "concurrency": "5"}).status_code == 200
    assert bytes_of(healthy)["default.concurrency"] == 1


def test_celery_to_local_drops_every_queue_and_back_gives_a_fresh_default(as_, bob, healthy, url) -> None:
    client = as_(bob)
    review = client.post(url, filled(client, url, executor="local"))
    assert "Queues default and etl are dropped with all settings" in review.content.decode()
    assert save(client, url, filled(client, url, executor="local")).status_code == 303
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.executor, row.queues.count()) == (Executor.LOCAL, 0)
    event = AuditEvent.objects.get(verb="edited")
    assert (event.old, event.new) == (
        {"executor": "celery", "worker_queues": "default, etl"},
        {"executor": "local"},
    )
    settle(row)
    assert save(client, url, filled(client, url, executor="celery")).status_code == 303
    queue = WorkerQueue.objects.get(deployment=row)
    found = (queue.name, queue.worker_type.name, queue.min_workers, queue.max_workers, queue.concurrency)
    assert found == ("default", "A5", 1, 10, 16)
    assert settle(row).status == Status.HEALTHY


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"min_workers": "30"}, "min_workers", "Enter a number that is at most the 29 of Max workers."),
        ({"scheduler_au": "25"}, "scheduler_au", "Scheduler AU: enter a whole number from 5 to 24."),
        ({"executor": "kubernetes"}, "executor", "Choose an executor that this cluster offers."),
        ({"worker_type": "m5.xlarge"}, "worker_type", "Choose a worker type that this cluster offers."),
        ({"shown": "forged"}, "__all__", "This page is not complete. Reload it and try again."),
        ({"status": "healthy"}, "__all__", "This form has no field “status”. Reload the page and try again."),
    ],
)
def test_bad_input_is_refused_beside_its_field_and_nothing_is_lost(
    as_, bob, healthy, url, changes, field, sentence
) -> None:
    client = as_(bob)
    before = bytes_of(healthy)
    sent = {**filled(client, url, description="Keep me"), **changes}
    answer = client.post(url, sent)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors[field]) == [sentence]
    form = answer.context["form"]
    assert {n: form[n].value() for n in form.fields} == {n: v for n, v in sent.items() if n in form.fields}
    assert "<title>Error: " in answer.content.decode()
    assert bytes_of(healthy) == before


def test_a_name_that_is_taken_is_said_beside_its_field(
    as_, bob, alice, workspace, healthy, url, choices
) -> None:
    actions.create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices(name="Reports")
    )
    client = as_(bob)
    answer = client.post(url, filled(client, url, name="REPORTS"))
    assert answer.status_code == 422
    assert list(answer.context["form"].errors["name"]) == [
        "Enter a name that no other Deployment in this Workspace uses."
    ]


def test_while_creating_and_while_deleting_the_page_says_why_not(as_, bob, deployment, healthy, url) -> None:
    client = as_(bob)
    fields = filled(client, url, name="Later")
    Deployment.objects.filter(pk=healthy.pk).update(first_healthy_at=None)
    for answer in (client.get(url), client.post(url, fields)):
        assert "You can change it once it is Healthy" in answer.content.decode()
        assert complaints(answer.content.decode()) == []
    assert answer.status_code == 409
    settle(healthy)
    actions.delete_deployment(deployment=healthy, by=bob)
    answer = client.post(url, fields)
    assert (answer.status_code, "is being deleted" in answer.content.decode()) == (409, True)
    assert not AuditEvent.objects.filter(verb="edited").exists()


def test_an_unhealthy_and_a_hibernating_one_can_be_edited(as_, bob, healthy, url) -> None:
    client = as_(bob)
    Deployment.objects.filter(pk=healthy.pk).update(status=Status.UNHEALTHY)
    assert save(client, url, filled(client, url, scheduler_au="8")).status_code == 303
    Deployment.objects.filter(pk=healthy.pk).update(status=Status.HIBERNATING, hibernating=True)
    review = client.post(url, filled(client, url, scheduler_au="9"))
    assert "Nothing runs now, so nothing restarts." in review.content.decode()


def test_the_detail_page_shows_the_configuration_and_the_button_to_those_who_may(
    as_, bob, vera, healthy, url
) -> None:
    for person, may in ((bob, True), (vera, False)):
        page = as_(person).get(healthy.url).content.decode()
        assert "Configuration" in page
        assert "0 to 29 workers of type A20, 1 tasks each" in page
        assert (f'href="{url}"' in page) is may


def test_the_summary_counts_other_queues_too(as_, bob, healthy, url) -> None:
    client = as_(bob)
    fields = filled(client, url, max_workers="2", concurrency="8")
    lines = {
        line.label: (line.value, line.detail)
        for line in client.post(f"{url}summary/", fields).context["summary"]
    }
    assert lines["Max workers"] == ("2", "of type A20")
    assert lines["Max for other queues"][1] == "1 besides default"
    assert lines["Concurrent tasks"] == ("45", "16 here, 29 on other queues")


def test_the_pages_cost_few_queries_at_any_number_of_queues(as_, bob, healthy, url, cluster) -> None:
    client = as_(bob)

    def count(at: str) -> int:
        client.get(at)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(at).status_code == 200
        return len(queries)

    pages = (url, f"{healthy.url}queues/", f"{healthy.url}queues/live/")
    few = [count(page) for page in pages]
    big = cluster.worker_types.get(name="A20")
    for number in range(10):
        healthy.queues.create(name=f"q{number}", worker_type=big, **ODD)
    assert [count(page) for page in pages] == few
    assert few[0] <= 16
    assert few[2] <= 7


def test_the_settings_that_are_compared_are_those_of_the_form(healthy) -> None:
    assert set(settings_of(healthy, queues_of(healthy))) == {*OWN, *WORKERS, "other_queues"}
