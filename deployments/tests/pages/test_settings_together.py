"""Two people edit one Deployment: the second is shown the difference, and nothing is overwritten silently."""

import threading

import pytest
from django.db import connections

from console.tests.forms import posted_forms
from console.tests.html_rules import complaints
from deployments import actions
from deployments.models import Deployment
from deployments.tests.pages.test_settings import bytes_of, filled, healthy, save, url

__all__ = ["healthy", "url"]  # fixtures


def test_the_second_of_two_people_is_shown_the_difference_and_saves_knowingly(
    as_, alice, bob, healthy, url
) -> None:
    mine, theirs = as_(bob), as_(alice)
    bobs = filled(mine, url, scheduler_au="9", concurrency="4")
    assert save(theirs, url, filled(theirs, url, scheduler_au="8", max_workers="20")).status_code == 303
    answer = mine.post(url, bobs)
    assert answer.status_code == 409
    assert [(d.label, d.was, d.saved, d.yours) for d in answer.context["differences"]] == [
        ("Scheduler AU", "7", "8", "9"),
        ("Max workers", "29", "20", "29"),
        ("Concurrency", "1", "1", "4"),
    ]
    assert "Alice changed this while you were editing" in answer.content.decode()
    assert complaints(answer.content.decode()) == []
    assert bytes_of(healthy)["scheduler_au"] == 8
    fields = next(fields for _, fields in posted_forms(answer.content.decode()) if "shown" in fields)
    assert (fields["scheduler_au"], fields["max_workers"], fields["concurrency"]) == ("9", "20", "4")
    assert save(mine, url, fields).status_code == 303
    after = bytes_of(healthy)
    assert [after[k] for k in ("scheduler_au", "default.max_workers", "default.concurrency")] == [9, 20, 4]


def test_a_queue_added_meanwhile_is_told_before_it_is_dropped_with_the_executor(
    as_, alice, bob, healthy, url
) -> None:
    client = as_(bob)
    fields = filled(client, url, executor="local")
    values = {"worker_type": "A5", "min_workers": 1, "max_workers": 2, "concurrency": 3}
    actions.add_queue(deployment=healthy, by=alice, name="ml", desired=values)
    answer = client.post(url, fields)
    assert answer.status_code == 409
    assert ("Other worker queues", "etl", "etl, ml") in [
        (d.label, d.was, d.saved) for d in answer.context["differences"]
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_of_two_posts_at_the_same_instant_one_wins_and_the_other_gets_the_difference(
    as_, bob, healthy, url
) -> None:
    client = as_(bob)
    reviewed = []
    for value in ("8", "9"):
        page = client.post(url, filled(client, url, scheduler_au=value)).content.decode()
        reviewed.append(next(fields for _, fields in posted_forms(page) if "shown" in fields))
    barrier, answers = threading.Barrier(2), {}

    def post(fields):
        mine = as_(bob)
        barrier.wait()
        answers[fields["scheduler_au"]] = mine.post(url, fields).status_code
        connections.close_all()

    threads = [threading.Thread(target=post, args=[fields]) for fields in reviewed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers.values()) == [303, 409]
    won = next(value for value, status in answers.items() if status == 303)
    row = Deployment.objects.get(pk=healthy.pk)
    assert (row.scheduler_au, row.generation) == (int(won), healthy.generation + 1)
