"""A Workspace is deleted at the instant in which something is created in it: one of both wins, and nothing is torn."""

import threading
from uuid import uuid4

import pytest
from django.db import connections, transaction

from console.kit.refusals import ActionRefused
from deployments.actions import WorkspaceGone, create_deployment
from deployments.models import Deployment
from workspaces import hooks
from workspaces.actions.workspaces import delete_workspace
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)


def test_creating_in_a_workspace_that_is_gone_says_so(workspace, alice, choices):
    Workspace.objects.filter(pk=workspace.pk).delete()
    with pytest.raises(WorkspaceGone):
        create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())
    assert not Deployment.objects.exists()


def test_a_create_that_commits_after_the_delete_fails_whole(workspace, alice, choices):
    written, deleted = threading.Event(), threading.Event()
    results: list[object] = []

    def create() -> None:
        try:
            with transaction.atomic():
                create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())
                written.set()
                assert deleted.wait(10)
        except Exception as error:
            results.append(type(error).__name__)
        finally:
            connections.close_all()

    thread = threading.Thread(target=create)
    thread.start()
    assert written.wait(10)
    delete_workspace(workspace=workspace, by=alice)
    deleted.set()
    thread.join(10)
    assert results == [
        "IntegrityError"
    ]  # at the outer commit; by itself, the action turns it into WorkspaceGone
    assert not Deployment.objects.exists()


def test_a_create_that_commits_first_keeps_the_workspace(workspace, alice, choices):
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())
    with pytest.raises(ActionRefused, match="1 Deployment is in it"):
        delete_workspace(workspace=workspace, by=alice)
    assert Workspace.objects.filter(pk=workspace.pk).exists()


def test_operators_see_in_words_how_many_deployments_there_are(workspace, alice, choices):
    assert [each.words for each in hooks.summaries(workspace)] == ["0 Deployments"]
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())
    assert [each.words for each in hooks.summaries(workspace)] == ["1 Deployment"]
