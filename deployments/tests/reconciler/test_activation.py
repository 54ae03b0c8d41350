"""After a deploy: the way back, what Airflow says of its files, and for how long it is kept."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments import actions
from deployments.actions import deploys as deploying
from deployments.actions.refusals import CodeChanged, CodeNotKept, NothingToDeploy
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import StepState
from deployments.models import CodeManifest, CodeUpload, Deploy
from deployments.reconciler import retention
from deployments.tests.archives import DAG
from deployments.tests.reconciler.test_deploys import code, deployed, healthy, run, uploaded  # noqa: F401 - fixtures
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

# -- The folder, and going back --


def test_the_folder_becomes_version_1_with_the_first_deploy(healthy, bob, code):  # noqa: F811
    code.loose = {"old.py": b"OLD"}
    upload = uploaded(healthy, bob)
    assert upload.base  # it was compared with the folder
    deploy = deploying.deploy_upload(
        deployment=healthy, by=bob, upload=upload, seen=upload.base, description="", despite_syntax=False
    )
    assert deploy.number == 2
    first = Deploy.objects.get(number=1)
    assert (first.source, first.status, first.files) == ("folder", DeployStatus.DEPLOYED, 1)
    run(healthy)
    back = deploying.roll_back(deployment=healthy, by=bob, to=first, idempotency_key=uuid4(), description="")
    run(healthy)
    back.refresh_from_db()
    assert (back.number, back.status, back.origin) == (3, DeployStatus.DEPLOYED, first)
    assert code.versions[code.active()].files[0].path == "old.py"
    assert AuditEvent.objects.get(verb="rolled back").new == {"deploy": 3, "files": 1, "code_of_deploy": 1}


def test_a_folder_that_changed_after_the_difference_was_shown_is_shown_again(healthy, bob, code):  # noqa: F811
    upload = uploaded(healthy, bob)
    code.loose = {"new.py": b"NEW"}
    with pytest.raises(CodeChanged):
        deploying.deploy_upload(
            deployment=healthy, by=bob, upload=upload, seen=upload.base, description="", despite_syntax=False
        )
    assert not Deploy.objects.exists()


def test_two_people_who_deploy_meet(healthy, alice, bob, code):  # noqa: F811
    mine, yours = uploaded(healthy, alice), uploaded(healthy, bob, {"other.py": DAG})
    wish = {"deployment": healthy, "description": "", "despite_syntax": False}
    deploying.deploy_upload(**wish, by=alice, upload=mine, seen=mine.base)
    with pytest.raises(CodeChanged):
        deploying.deploy_upload(**wish, by=bob, upload=yours, seen=yours.base)


def test_the_example_is_one_click_and_twice_is_nothing_to_do(healthy, bob, code):  # noqa: F811
    deploy = deploying.deploy_example(deployment=healthy, by=bob)
    with pytest.raises(NothingToDeploy):
        deploying.deploy_example(deployment=healthy, by=bob)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED
    compile(code.contents[code.versions[deploy.version].files[0].sha256], "hello_airdeck.py", "exec")


# -- What Airflow says --


def test_files_that_do_not_import_are_told_until_they_are_mended(healthy, bob, code):  # noqa: F811
    deploy = deployed(healthy, bob)
    code.problems = {"help.py": "ModuleNotFoundError: No module named 'nowhere'"}
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.problem_sentence == "1 of 2 Python files does not import."
    assert deploy.problems == [{"path": "help.py", "line": "ModuleNotFoundError: No module named 'nowhere'"}]
    Deploy.objects.update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.watched
    assert deploy.steps.get(key="read").sentence == "1 DAG. 1 of 2 Python files does not import."
    code.problems = {}
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.problem_count == 0


def test_what_airflow_says_of_an_older_version_is_not_said_of_this_one(healthy, bob, code, monkeypatch):  # noqa: F811
    deployed(healthy, bob)
    code.problems = {"x.py": "Error"}
    report = code.report
    monkeypatch.setattr(code, "report", lambda: report().__class__("0-older", 1, 1, (), frozenset()))
    run(healthy)
    deploy = Deploy.objects.get()
    assert deploy.problem_count == 0
    assert deploy.steps.get(key="read").sentence == "Waiting for Airflow to read it."
    Deploy.objects.update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.steps.get(key="read").state == StepState.FAILED


# -- What is kept --


def test_the_last_20_or_90_days_and_what_runs_belong_to_are_kept(healthy, bob, code, monkeypatch):  # noqa: F811
    monkeypatch.setattr(retention, "LAST", 2)
    for number in range(5):
        deployed(healthy, bob, {"one.py": DAG + b"# %d\n" % number})
        run(healthy)
    Deploy.objects.filter(number__in=[1, 2, 3]).update(created_at=timezone.now() - timedelta(days=91))
    pinned = Deploy.objects.get(number=2).version
    code.pinned = frozenset({pinned})
    CodeUpload.objects.all().delete()  # as they are after an hour
    Deploy.objects.filter(number=5).update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    assert {d.number for d in Deploy.objects.filter(manifest__isnull=False)} == {2, 4, 5}
    assert {name.split("-")[0] for name in code.versions} == {"2", "4", "5"}
    assert len(code.manifests) == 3
    assert CodeManifest.objects.count() == 3
    gone = Deploy.objects.get(number=1)
    with pytest.raises(CodeNotKept):
        deploying.roll_back(deployment=healthy, by=bob, to=gone, idempotency_key=uuid4(), description="")


def test_an_upload_that_nobody_deployed_is_forgotten_after_an_hour(healthy, bob, code):  # noqa: F811
    uploaded(healthy, bob, {"never.py": DAG})
    CodeUpload.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    deployed(healthy, bob)
    run(healthy)
    Deploy.objects.update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    assert CodeManifest.objects.count() == 1
    assert len(code.manifests) == 1


def test_deleting_the_deployment_keeps_the_history_and_drops_the_code(healthy, bob, code, driver):  # noqa: F811
    deployed(healthy, bob)
    run(healthy)
    actions.delete_deployment(deployment=healthy, by=bob)
    run(healthy)
    assert healthy.deleted_at
    assert Deploy.objects.get().manifest is None
    assert not CodeManifest.objects.exists()
    assert driver.codes == {}
