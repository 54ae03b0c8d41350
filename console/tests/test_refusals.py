"""What an action refuses is shown, also where no page has a place for it."""

from uuid import uuid4

import pytest
from django.test import RequestFactory

from console.kit.refusals import ActionRefused, InvalidInput
from console.middleware import RefusalMiddleware
from deployments import actions
from deployments.actions.refusals import QueueGone
from deployments.clusters.options import options_for
from deployments.models import Deployment


def subclasses(kind: type) -> set[type]:
    return {kind} | {each for child in kind.__subclasses__() for each in subclasses(child)}


def test_every_refusal_has_a_code_of_its_own_and_a_status_of_a_client_error():
    kinds = subclasses(ActionRefused)
    assert len(kinds) > 10
    assert all(400 <= kind.status < 500 for kind in kinds)
    # Both mean that somebody else was first; a program does the same about either.
    assert sorted(kind.code for kind in kinds if kind.code != "changed") == sorted(
        {kind.code for kind in kinds if kind.code != "changed"}
    )


@pytest.mark.django_db
def test_a_refusal_that_no_page_maps_is_a_page_with_its_sentence(alice):
    request = RequestFactory().get("/")
    request.user = alice
    answer = RefusalMiddleware(lambda request: None).process_exception(request, ActionRefused("Do it first."))
    assert (answer.status_code, "Do it first." in answer.content.decode()) == (409, True)
    gone = RefusalMiddleware(lambda request: None).process_exception(request, QueueGone("x"))
    assert gone.status_code == 404
    assert RefusalMiddleware(lambda request: None).process_exception(request, ValueError("x")) is None


BROKEN = [
    ({"name": " "}, {"name": "Enter a name."}),
    ({"description": "x" * 1001}, {"description": "Enter at most 1000 characters."}),
    ({"scheduler_au": 4}, {"scheduler_au": "Enter a whole number from 5 to 24."}),
    ({"scheduler_replicas": 5}, {"scheduler_replicas": "Enter a whole number from 1 to 4."}),
    ({"executor": "kubernetes"}, {"executor": "Choose an executor that this cluster offers."}),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "problems"), BROKEN)
def test_creating_refuses_by_itself_what_the_form_refuses(workspace, alice, choices, changes, problems):
    with pytest.raises(InvalidInput) as refusal:
        actions.create_deployment(
            workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices(**changes)
        )
    assert refusal.value.problems == problems
    assert not Deployment.objects.exists()


@pytest.mark.django_db
def test_every_problem_is_said_at_once(workspace, alice, choices, cluster):
    kind = options_for(cluster).worker_types[0]
    broken = choices(name="", scheduler_au=99, queue=actions.QueueChoice(kind, 9, 3, 0))
    with pytest.raises(InvalidInput) as refusal:
        actions.create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=broken)
    assert refusal.value.problems == {
        "name": "Enter a name.",
        "scheduler_au": "Enter a whole number from 5 to 24.",
        "concurrency": "Enter a whole number from 1 to 64.",
        "min_workers": "Enter a number that is at most the 3 of Max workers.",
    }
    assert str(refusal.value).startswith("Enter a name. Enter a whole number")


@pytest.mark.django_db
def test_editing_and_queues_refuse_by_themselves_too(deployment, alice, cluster):
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at="2026-11-28T10:00:00Z")
    deployment.refresh_from_db()
    from deployments.actions.settings import settings_of
    from deployments.presenters.impact import queues_of

    now = settings_of(deployment, queues_of(deployment))
    with pytest.raises(InvalidInput) as refusal:
        actions.edit_deployment(
            deployment=deployment, by=alice, shown=now, desired={**now, "max_workers": 31, "concurrency": 65}
        )
    assert set(refusal.value.problems) == {"max_workers", "concurrency"}
    desired = {"worker_type": "nothing", "min_workers": 2, "max_workers": 1, "concurrency": 1}
    with pytest.raises(InvalidInput) as refusal:
        actions.add_queue(deployment=deployment, by=alice, name="Etl", desired=desired)
    assert set(refusal.value.problems) == {"name", "worker_type", "min_workers"}
