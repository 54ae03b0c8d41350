"""Whether opening the Airflow of a Deployment that hibernates wakes it, for programs."""

import pytest

from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_whether_opening_it_wakes_it_is_a_setting_like_the_others(program, alice, deployment, driver):
    settle(deployment)
    made, path = program(alice), f"/deployments/{deployment.release_name}"
    new = f"/workspaces/{deployment.workspace_id}/deployments"
    before = made.ask("get", path, status=200)
    assert before.json()["wake_when_opened"] is False
    answer = made.ask("patch", path, {"wake_when_opened": True}, status=200, If_Match=before["ETag"])
    document = answer.json()
    assert (document["operation"], document["deployment"]["wake_when_opened"]) == (None, True)
    assert answer["ETag"] != before["ETag"]
    made.ask("patch", path, {"wake_when_opened": False}, status=412, If_Match=before["ETag"])
    made.ask("patch", path, {"name": "Two"}, status=200)
    deployment.refresh_from_db()
    assert deployment.wakes_on_open  # what is not sent stays
    changes = AuditEvent.objects.filter(verb="changed the wake setting of")
    assert changes.get().new == {"wake_when_opened": "yes"}

    for wrong in (None, "yes", 1):
        refused = made.ask("patch", path, {"wake_when_opened": wrong, "name": "Three"}, status=422)
        (error,) = refused.json()["errors"]
        assert error == {"path": "wake_when_opened", "sentence": "Enter true or false."}
    half = {"wake_when_opened": False, "scheduler_au": 99}
    made.ask("patch", path, half, status=422)
    deployment.refresh_from_db()
    assert (deployment.name, deployment.wakes_on_open) == ("Two", True)
    for name, wish in (("Woken", {"wake_when_opened": True}), ("Asleep", {})):
        created = made.ask("post", new, {"name": name, **wish}, status=202).json()["deployment"]
        assert created["wake_when_opened"] is bool(wish)
