"""Changes that meet what somebody else does at the same time: a transfer, or an operator's work on the catalogue."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from console.kit.refusals import ActionRefused, InvalidInput
from deployments import actions
from deployments.actions import catalogue, transfer
from deployments.actions.settings import queue_settings, settings_of
from deployments.actions.variables import set_variable
from deployments.models import Cluster, Deployment, RuntimeRelease
from deployments.presenters.impact import queues_of
from workspaces.actions.workspaces import create_workspace


@pytest.fixture
def editable(deployment) -> Deployment:
    """Healthy once, without its passes."""
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at=timezone.now())
    deployment.refresh_from_db()
    return deployment


@pytest.mark.django_db
def test_whoever_was_let_in_by_the_earlier_workspace_changes_nothing_after_a_transfer(
    alice, editable
) -> None:
    seen = Deployment.objects.get(pk=editable.pk)
    transfer.transfer_deployment(deployment=editable, by=alice, to=create_workspace(by=alice, name="Second"))
    with pytest.raises(actions.NotNow, match="transferred to another Workspace"):
        set_variable(deployment=seen, by=alice, key="A", value="1", secret=False, seen=None)
    with pytest.raises(actions.NotNow, match="transferred to another Workspace"):
        actions.delete_deployment(deployment=Deployment(pk=seen.pk, workspace_id=seen.workspace_id), by=alice)
    editable.refresh_from_db()
    assert not editable.variables.exists()
    assert editable.delete_requested_at is None
    set_variable(deployment=editable, by=alice, key="A", value="1", secret=False, seen=None)
    assert editable.variables.exists()


def _operator_waits(cluster: Cluster) -> bool:
    """Whether an operator's work on this cluster, in another connection, would have to wait."""

    def attempt() -> bool:
        try:
            with transaction.atomic():
                Cluster.objects.select_for_update(nowait=True).get(pk=cluster.pk)
        except OperationalError:
            return True
        finally:
            connections.close_all()
        return False

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(attempt).result()


@pytest.mark.django_db(transaction=True)
def test_operators_change_no_worker_type_while_a_queue_is_given_it(alice, editable, cluster) -> None:
    queues = queues_of(editable)
    whole, default = settings_of(editable, queues), queue_settings(queues[0])
    new = {"worker_type": "A10"}
    acts = (
        lambda of: actions.edit_deployment(**of, shown=whole, desired={**whole, **new}),
        lambda of: actions.edit_queue(**of, name="default", shown={**default, **new}, desired=default),
        lambda of: actions.add_queue(**of, name="etl", desired={**default, **new}),
    )
    for act in acts:
        with transaction.atomic():
            act({"deployment": editable, "by": alice})
            assert _operator_waits(cluster)
        assert not _operator_waits(cluster)


@pytest.mark.django_db
def test_a_worker_type_that_an_operator_removed_meanwhile_is_told(alice, olga, editable, cluster) -> None:
    shown = settings_of(editable, queues_of(editable))
    catalogue.remove_type(worker_type=cluster.worker_types.get(name="A20"), by=olga)
    with pytest.raises(InvalidInput, match="Choose a worker type that this cluster offers"):
        actions.edit_deployment(
            deployment=editable, by=alice, shown=shown, desired={**shown, "worker_type": "A20"}
        )


@pytest.mark.django_db
def test_the_image_that_an_upgrade_would_go_back_to_stays(olga, editable) -> None:
    earlier = RuntimeRelease.objects.get(version="3.2-1")
    Deployment.objects.filter(pk=editable.pk).update(upgrade_from=earlier)
    with pytest.raises(ActionRefused, match="would restart them all at once"):
        catalogue.set_image(runtime=earlier, by=olga, image="example.org/a:1")
