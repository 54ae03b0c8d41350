"""The page of worker queues: what it shows, what it refuses, and that each act changes exactly one queue."""

import pytest

from console.tests.forms import posted_forms
from console.tests.html_rules import complaints
from deployments import actions
from deployments.actions.queues import DEFAULT_STAYS
from deployments.domain.spec import QueueSpec, au_size
from deployments.domain.states import Executor, Status
from deployments.models import Deployment, WorkerQueue
from deployments.pages.queues import formula
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

VALUES = {"worker_type": "A10", "min_workers": "0", "max_workers": "3", "concurrency": "4"}


@pytest.fixture
def healthy(deployment, driver) -> Deployment:
    """Analytics, running."""
    return settle(deployment)


@pytest.fixture
def url(deployment) -> str:
    return f"{deployment.url}queues/"


def form_of(answer) -> dict[str, str]:
    return next(fields for _, fields in posted_forms(answer.content.decode()) if "shown" in fields)


def save(client, url: str, **changes: str):
    """Fill in the form, and apply what the review shows."""
    answer = client.post(url, {**form_of(client.get(url)), **changes})
    return client.post(url, form_of(answer)) if answer.status_code == 200 else answer


def rows(deployment: Deployment) -> dict[str, tuple]:
    return {
        q.name: (q.worker_type.name, q.min_workers, q.max_workers, q.concurrency)
        for q in deployment.queues.select_related("worker_type")
    }


@pytest.mark.parametrize(
    ("queued", "running", "desired", "message"),
    [
        (12, 7, 2, "19 tasks, 16 per worker: 2 workers needed"),
        (0, 0, 1, "0 tasks, 16 per worker: 1 worker needed (minimum 1)"),
        (99, 0, 3, "99 tasks, 16 per worker: 3 workers needed (maximum 3)"),
        (0, 3, 3, "3 tasks, 16 per worker: 1 worker needed; 3 until 5 minutes have passed"),
    ],
)
def test_the_formula_is_spelled_out(queued, running, desired, message) -> None:
    queue = QueueSpec("default", 1, 3, 16, au_size(5))
    assert formula(queue, queued=queued, running=running, desired=desired) == message


def test_the_page_shows_what_was_last_seen_to_every_member(as_, bob, vera, healthy, url, driver) -> None:
    driver.worlds[healthy.release_name].loads["default"] = (12, 20)
    driver.worlds[healthy.release_name].draining["default"] = 1
    for _ in range(3):  # seen, decided, started
        settle(healthy, passes=1)
    queue = WorkerQueue.objects.get()
    seen = (queue.queued, queue.running, queue.desired_workers, queue.live_workers, queue.draining)
    assert seen == (12, 20, 2, 2, 1)
    for person, may in ((bob, True), (vera, False)):
        for page in (as_(person).get(url), as_(person).get(f"{url}live/")):
            text = page.content.decode()
            assert "<main" not in text or complaints(text) == []
            assert "32 tasks, 16 per worker: 2 workers needed" in text
            assert (f"{url}edit/default/" in text) is may
        assert (f"{url}new/" in as_(person).get(url).content.decode()) is may


def test_a_queue_is_added_with_its_consequences_shown_first(as_, bob, healthy, url) -> None:
    client = as_(bob)
    review = client.post(f"{url}new/", {**form_of(client.get(f"{url}new/")), "name": "etl", **VALUES})
    assert "Starts queue etl with no worker yet." in review.content.decode()
    assert rows(healthy).keys() == {"default"}
    assert client.post(f"{url}new/", form_of(review)).status_code == 303
    assert rows(healthy) == {"default": ("A5", 1, 10, 16), "etl": ("A10", 0, 3, 4)}
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.generation, row.status, row.updated_by) == (healthy.generation + 1, Status.DEPLOYING, bob)
    event = AuditEvent.objects.get(verb="added a worker queue to")
    assert event.new == {
        "worker_queue": "etl",
        "worker_type": "A10",
        "min_workers": 0,
        "max_workers": 3,
        "concurrency": 4,
    }
    assert settle(row).status == Status.HEALTHY


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": ""}, "name", "Enter a lowercase letter, then"),
        ({"name": "Etl"}, "name", "Enter a lowercase letter, then"),
        ({"name": "1etl"}, "name", "Enter a lowercase letter, then"),
        ({"name": "a" * 64}, "name", "Enter a lowercase letter, then"),
        (
            {"name": "etl-"},
            "name",
            "Enter a lowercase letter, then lowercase letters, digits and hyphens, with a letter",
        ),
        ({"name": "etl\n[program:x]"}, "name", "Enter a lowercase letter, then"),
        ({"name": "default"}, "name", "There is a queue default already."),
        ({"min_workers": "4"}, "min_workers", "Enter a number that is at most the 3 of Max workers."),
        ({"max_workers": "31"}, "max_workers", "Max workers: enter a whole number from 1 to 30."),
        ({"concurrency": "0"}, "concurrency", "Concurrency: enter a whole number from 1 to 64."),
        ({"worker_type": "m5.xlarge"}, "worker_type", "Choose a worker type that this cluster offers."),
    ],
)
def test_bad_input_is_refused_beside_its_field(as_, bob, healthy, url, changes, field, sentence) -> None:
    client = as_(bob)
    sent = {**form_of(client.get(f"{url}new/")), "name": "etl", **VALUES, **changes}
    answer = client.post(f"{url}new/", sent)
    assert answer.status_code == 422
    form = answer.context["form"]
    assert form.errors[field][0].startswith(sentence)
    assert {name: form[name].value() for name in form.fields} == {name: sent[name] for name in form.fields}
    assert rows(healthy).keys() == {"default"}


@pytest.mark.parametrize(
    ("name", "value"), [("min_workers", "0"), ("concurrency", "2"), ("worker_type", "A20")]
)
def test_editing_one_field_of_a_queue_leaves_the_rest(as_, bob, healthy, url, name, value) -> None:
    client = as_(bob)
    save(client, f"{url}new/", name="etl", **VALUES)
    settle(healthy)
    before = rows(healthy)
    assert (
        save(client, f"{url}edit/etl/", **{name: value} if name != "min_workers" else {name: "2"}).status_code
        == 303
    )
    after = rows(healthy)
    assert after["default"] == before["default"]
    assert sum(a != b for a, b in zip(after["etl"], before["etl"], strict=True)) == 1
    event = AuditEvent.objects.get(verb="edited a worker queue of")
    assert set(event.new) == {"worker_queue", name}


def test_saving_a_queue_as_it_is_restarts_nothing(as_, bob, healthy, url) -> None:
    client = as_(bob)
    answer = client.post(f"{url}edit/default/", form_of(client.get(f"{url}edit/default/")), follow=True)
    assert "No changes to save" in answer.content.decode()
    assert Deployment.objects.get(pk=healthy.pk).generation == healthy.generation


def test_the_second_editor_of_a_queue_is_shown_the_difference(as_, bob, alice, healthy, url) -> None:
    client = as_(bob)
    fields = {**form_of(client.get(f"{url}edit/default/")), "max_workers": "12"}
    save(as_(alice), f"{url}edit/default/", concurrency="8")
    answer = client.post(f"{url}edit/default/", fields)
    assert answer.status_code == 409
    found = [(d.label, d.was, d.saved, d.yours) for d in answer.context["differences"]]
    assert found == [("Max workers", "10", "10", "12"), ("Concurrency", "16", "8", "16")]
    merged = form_of(answer)
    assert (
        client.post(f"{url}edit/default/", form_of(client.post(f"{url}edit/default/", merged))).status_code
        == 303
    )
    assert rows(healthy)["default"] == ("A5", 1, 12, 8)


def test_deleting_a_queue_says_what_it_does_and_asks_for_its_name(as_, bob, healthy, url) -> None:
    client = as_(bob)
    save(client, f"{url}new/", name="etl", **VALUES)
    settle(healthy)
    WorkerQueue.objects.filter(name="etl").update(live_workers=2, running=3)
    page = client.get(f"{url}delete/etl/").content.decode()
    assert complaints(page) == complaints(client.get(f"{url}edit/etl/").content.decode()) == []
    assert "Queue etl is dropped; tasks waiting for it stay queued." in page
    assert "2 workers of etl drain; 3 running tasks get 10 minutes to finish first." in page
    assert client.post(f"{url}delete/etl/", {"confirm": "ETL"}).status_code == 422
    assert client.post(f"{url}delete/etl/", {"confirm": "etl"}).status_code == 303
    assert rows(healthy).keys() == {"default"}
    assert AuditEvent.objects.get(verb="deleted a worker queue of").old["worker_queue"] == "etl"
    assert client.post(f"{url}delete/etl/", {"confirm": "etl"}).status_code == 404
    assert client.get(f"{url}edit/etl/").status_code == 404


def test_the_default_queue_cannot_be_deleted_and_says_why(as_, bob, healthy, url) -> None:
    client = as_(bob)
    assert DEFAULT_STAYS in client.get(f"{url}delete/default/").content.decode()
    answer = client.post(f"{url}delete/default/", {"confirm": "default"})
    assert (answer.status_code, rows(healthy).keys()) == (409, {"default"})
    with pytest.raises(actions.NotNow):
        actions.delete_queue(deployment=healthy, by=bob, name="default")


def test_without_celery_the_page_says_how_to_get_queues(as_, bob, vera, healthy, url) -> None:
    Deployment.objects.filter(pk=healthy.pk).update(executor=Executor.LOCAL)
    WorkerQueue.objects.all().delete()
    page = as_(bob).get(url).content.decode()
    assert complaints(page) == []
    assert "Only the Celery executor has worker queues." in page
    assert f'href="{healthy.url}edit/"' in page
    assert f'href="{healthy.url}edit/"' not in as_(vera).get(url).content.decode()
    assert as_(bob).post(f"{url}new/", {}).status_code == 409
    values = {"worker_type": "A5", "min_workers": 1, "max_workers": 2, "concurrency": 3}
    with pytest.raises(actions.NotNow, match="Only the Celery executor"):
        actions.add_queue(deployment=healthy, by=bob, name="etl", desired=values)
