"""After something failed: another try at once, and the notice of a failed upgrade."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.models import Deployment
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
WHY = "Upgrade to 3.3-1 failed: no disk. It runs 3.2-1 again with its data as before."


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("verb", flat=True))


@pytest.fixture
def path(deployment) -> str:
    return f"/deployments/{deployment.release_name}"


def test_what_failed_is_tried_again_at_once_and_its_operation_is_answered(
    program, bob, vera, deployment, driver, path
):
    editor = program(bob, Role.EDITOR, personal=True)
    later = timezone.now() + timedelta(hours=1)
    Deployment.objects.filter(pk=deployment.pk).update(failures=4, due_at=later)
    program(vera, Role.MEMBER, personal=True).ask("post", f"{path}/retry", status=403)
    answer = editor.ask("post", f"{path}/retry", status=202).json()
    assert answer["operation"]["id"] == f"{deployment.release_name}.create.1"
    deployment.refresh_from_db()
    assert (deployment.failures, deployment.due_at < later) == (0, True)
    assert verbs()[-1] == "retried"

    settle(deployment)
    assert editor.ask("post", f"{path}/retry", status=200).json()["operation"] is None
    Deployment.objects.filter(pk=deployment.pk).update(status="unhealthy")
    assert editor.ask("post", f"{path}/retry", status=202).json()["operation"]["kind"] == "change"
    editor.ask("patch", path, {"scheduler_au": 6}, status=202)
    changing = editor.ask("post", f"{path}/retry", status=202).json()["operation"]
    assert (changing["id"], changing["status"]) == (f"{deployment.release_name}.change.2", "running")
    editor.ask("delete", path, status=202)
    deleting = editor.ask("post", f"{path}/retry", status=202).json()["operation"]
    assert (deleting["kind"], deleting["status"]) == ("delete", "running")


def test_a_failed_upgrade_is_dismissed_once(program, bob, deployment, driver, path):
    editor = program(bob, Role.EDITOR, personal=True)
    early = editor.ask("post", f"{path}/upgrade/dismiss", status=409).json()
    assert early["code"] == "not_now"
    settle(deployment)
    Deployment.objects.filter(pk=deployment.pk).update(upgrade_error=WHY)
    assert editor.get(path)["upgrade_error"] == WHY
    for _ in range(2):  # twice is once
        answer = editor.ask("post", f"{path}/upgrade/dismiss", status=200).json()
        assert (answer["deployment"]["upgrade_error"], answer["operation"]) == ("", None)
    assert verbs().count("dismissed the failed upgrade of") == 1
    assert AuditEvent.objects.get(verb="dismissed the failed upgrade of").old == {"reason": WHY}
