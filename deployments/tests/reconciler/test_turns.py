"""Workspaces share the workers: many rows of one do not make another one wait for all of them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments import tasks
from deployments.domain.names import name_key
from deployments.domain.states import Status
from deployments.models import Deployment, ReleaseName
from deployments.reconciler import leases, turns
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import workspaces

pytestmark = pytest.mark.django_db(transaction=True)
FEW, MANY = 30, 1000


def gathered(workspace, deployment, count: int) -> list[Deployment]:
    """More of Alice's, all due for longer than anything else, in the order of their messages."""
    ReleaseName.objects.bulk_create(ReleaseName(name=f"crowd-row-{number:04d}") for number in range(count))
    return Deployment.objects.bulk_create(
        Deployment(
            workspace=workspace,
            release_name=f"crowd-row-{number:04d}",
            idempotency_key=uuid4(),
            name=f"Crowd {number}",
            name_key=name_key(f"Crowd {number}"),
            cluster=deployment.cluster,
            runtime=deployment.runtime,
            executor=deployment.executor,
            scheduler_au=5,
            scheduler_replicas=1,
            created_by=deployment.created_by,
            updated_by=deployment.created_by,
            due_at=timezone.now() - timedelta(minutes=5) + timedelta(milliseconds=number),
        )
        for number in range(count)
    )


@pytest.fixture
def crowd(workspace, deployment) -> list[Deployment]:
    return gathered(workspace, deployment, FEW)


@pytest.fixture
def thousand(workspace, deployment) -> list[Deployment]:
    return gathered(workspace, deployment, MANY)


@pytest.fixture
def other(deployment, charlie) -> Deployment:
    """One Deployment of a stranger, due since this moment, of which no message was sent."""
    workspace = workspaces.create_workspace(by=charlie, name="Other")
    Deployment.objects.filter(pk=deployment.pk).update(workspace=workspace, due_at=timezone.now())
    deployment.refresh_from_db()
    return deployment


def test_one_row_of_another_workspace_is_healthy_after_a_few_of_a_thousand_messages(thousand, other, driver):
    """Worked off by a single worker, which is the hardest case: no pass is under way when it takes a message."""
    taken = 0
    while other.status != Status.HEALTHY:
        tasks.reconcile_task(str(thousand[taken].pk))
        other.refresh_from_db()
        taken += 1
    passes = sum(call == "apply" and release == other.release_name for call, release in driver.calls)
    assert passes >= 3
    assert taken <= 2 * passes + 2, "each of its passes waits for one of the crowd's at most"


@pytest.mark.thorough
def test_the_crowd_goes_on_beside_it_and_every_turn_is_used(crowd, other, driver):
    for row in crowd[:20]:
        tasks.reconcile_task(str(row.pk))
    releases = {release for call, release in driver.calls if call == "apply"}
    assert len(releases - {other.release_name}) >= 8
    assert other.release_name in releases


def test_alone_a_workspace_works_off_its_messages_in_their_order(crowd, driver):
    Deployment.objects.filter(release_name="crowd-row-0000").update(due_at=timezone.now())
    for row in crowd[:3]:
        tasks.reconcile_task(str(row.pk))
    order = dict.fromkeys(release for call, release in driver.calls if call == "apply")
    assert list(order) == [row.release_name for row in crowd[:3]]


def test_a_message_about_a_row_that_was_done_is_good_for_the_one_that_waits_longest(crowd):
    Deployment.objects.filter(pk=crowd[5].pk).update(due_at=timezone.now() + timedelta(minutes=1))
    assert turns.next_row(crowd[5].pk) == crowd[0].pk


def test_the_workspace_with_a_pass_under_way_comes_after_the_one_without(crowd, other):
    taken = leases.claim(crowd[0].pk)
    assert turns.next_row(crowd[1].pk) == other.pk
    Deployment.objects.filter(pk=other.pk).update(due_at=timezone.now() + timedelta(minutes=1))
    assert turns.next_row(crowd[1].pk) == crowd[1].pk
    leases.release(taken)


def test_a_row_that_another_worker_takes_first_leaves_the_turn_to_the_next_one(crowd, driver, monkeypatch):
    claim = leases.claim

    def claimed(pk):
        monkeypatch.setattr(leases, "claim", claim)  # once
        assert claim(pk)  # by another worker
        return claim(pk)

    monkeypatch.setattr(leases, "claim", claimed)
    tasks.reconcile_task(str(crowd[0].pk))
    done = Deployment.objects.filter(status_reason__isnull=False, lease_epoch__gt=0)
    assert set(done.values_list("pk", flat=True)) == {crowd[0].pk, crowd[1].pk}
    assert driver.calls[0][1] == crowd[1].release_name


def test_when_nothing_waits_a_message_is_good_for_nothing(deployment, driver):
    settle(deployment)
    assert turns.next_row(deployment.pk) is None


def test_whose_turn_it_is_costs_one_query_and_three_where_workspaces_compete(
    crowd, other, django_assert_num_queries
):
    with django_assert_num_queries(3):
        turns.next_row(crowd[0].pk)
    Deployment.objects.filter(pk=other.pk).update(due_at=timezone.now() + timedelta(minutes=1))
    with django_assert_num_queries(2):
        turns.next_row(crowd[0].pk)
    Deployment.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    with django_assert_num_queries(1):
        turns.next_row(crowd[0].pk)


def test_one_of_each_takes_turns_and_keeps_the_order_within_a_group():
    assert turns.one_of_each(["a1", "a2", "a3", "b1", "c1", "b2"], lambda item: item[0]) == [
        "a1",
        "b1",
        "c1",
        "a2",
        "b2",
        "a3",
    ]
