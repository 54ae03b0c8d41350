"""A deploy on its way: what each pass does, what takes whose place, and what faults do."""

import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from deployments import actions
from deployments.actions import NotNow
from deployments.actions import deploys as deploying
from deployments.actions import hibernation as running
from deployments.actions.refusals import CodeChanged, CodeNotKept, NothingToDeploy, PackagesInCode
from deployments.actions.variables import set_variable
from deployments.domain import code_syntax
from deployments.domain.code_errors import CodeRefused
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import CodeManifest, CodeUpload, Deploy, Deployment
from deployments.queries.deploys import OWN_BUNDLES_KEY
from deployments.reconciler import activation, retention
from deployments.reconciler import deploys as moving
from deployments.reconciler.reconcile import reconcile
from deployments.tests.code.archives import DAG, tar_gz, zipped
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

FILES = {"one.py": DAG, "help.py": b"X = 1\n"}
BAD = {"one.py": DAG, "bad.py": b"def f(:\n"}


def run(deployment: Deployment, passes: int = 30) -> Deployment:
    """Passes until nothing is left to do at once."""
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now())
    for _ in range(passes):
        if not reconcile(deployment.pk):
            break
    deployment.refresh_from_db()
    return deployment


def again(deployment: Deployment) -> None:
    """One pass."""
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now())
    reconcile(deployment.pk)


@pytest.fixture
def healthy(deployment) -> Deployment:
    assert run(deployment).status == Status.HEALTHY
    return deployment


@pytest.fixture
def code(driver, healthy):
    """What the scripted data plane has of its code."""
    return driver.code(_Ref(healthy))


class _Ref:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment_id, self.release_name = str(deployment.pk), deployment.release_name


def uploaded(deployment, by, files=FILES, pack=tar_gz) -> CodeUpload:
    data = pack(files)
    return deploying.receive_upload(
        deployment=deployment, by=by, stream=io.BytesIO(data), name="code.tar.gz", size=len(data)
    )


def deployed(deployment, by, files=FILES, *, despite_syntax=False) -> Deploy:
    """Asked for, not yet moved."""
    upload = uploaded(deployment, by, files)
    return deploying.deploy_upload(
        deployment=deployment,
        by=by,
        upload=upload,
        seen=upload.base,
        description="Why",
        despite_syntax=despite_syntax,
    )


def states(deploy: Deploy) -> dict[str, str]:
    return {step.key: step.state for step in deploy.steps.all()}


def test_an_upload_becomes_active_and_is_read(
    healthy, bob, code, enqueued, django_capture_on_commit_callbacks
):
    enqueued.clear()
    with django_capture_on_commit_callbacks(execute=True):
        deploy = deployed(healthy, bob)
    assert enqueued == [healthy.pk]
    assert (deploy.number, deploy.status, deploy.actor, deploy.files) == (1, DeployStatus.RECEIVED, "Bob", 2)
    assert states(deploy)["received"] == StepState.DONE
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED
    assert code.active() == deploy.version == healthy.code_version
    assert states(deploy) == dict.fromkeys(
        ("received", "checked", "built", "activated", "read"), StepState.DONE
    )
    assert healthy.status == Status.HEALTHY
    assert "DAGs folder" not in healthy.plane_details
    assert deploy.steps.get(key="read").sentence == "2 DAGs. Every file imports."
    event = AuditEvent.objects.get(verb="deployed code to")
    assert (event.actor_id, event.new) == (bob.pk, {"deploy": 1, "files": 2})


def test_a_deploy_restarts_nothing(healthy, bob, driver, code):
    before = len(driver.worlds[healthy.release_name].lines["scheduler"])
    changes = healthy.status_changes.count()
    deployed(healthy, bob)
    run(healthy)
    assert len(driver.worlds[healthy.release_name].lines["scheduler"]) == before
    assert healthy.status_changes.count() == changes  # it was Healthy all the time


def test_equal_content_is_nothing_to_do_however_it_is_packed(healthy, bob, code):
    deployed(healthy, bob)
    with pytest.raises(NothingToDeploy, match="deploy 1 already"):  # also while it is on its way
        deployed(healthy, bob)
    run(healthy)
    upload = uploaded(healthy, bob, pack=zipped)
    with pytest.raises(NothingToDeploy):
        deploying.deploy_upload(
            deployment=healthy, by=bob, upload=upload, seen=upload.base, description="", despite_syntax=False
        )
    assert Deploy.objects.count() == 1
    assert CodeManifest.objects.count() == 1


def test_the_same_form_posted_twice_is_one_deploy(healthy, bob, code):
    upload = uploaded(healthy, bob)
    wish = {"deployment": healthy, "by": bob, "upload": upload, "description": "", "despite_syntax": False}
    first = deploying.deploy_upload(**wish, seen="")
    assert deploying.deploy_upload(**wish, seen="") == first
    run(healthy)
    assert deploying.deploy_upload(**wish, seen="") == first
    assert Deploy.objects.count() == 1


def test_of_many_deploys_the_newest_becomes_active_and_the_others_say_so(healthy, bob, code):
    made = [deployed(healthy, bob, {"one.py": DAG + b"# %d\n" % n}) for n in range(20)]
    run(healthy)
    rows = {d.number: d for d in Deploy.objects.all()}
    assert {d.status for n, d in rows.items() if n < 20} == {DeployStatus.SUPERSEDED}
    assert rows[20].status == DeployStatus.DEPLOYED
    assert code.active() == rows[20].version
    assert rows[1].sentence == "Deploy 2 came before it was active."
    assert rows[19].sentence == "Deploy 20 came before it was active."
    assert len(made) == 20


def test_one_that_is_being_activated_is_not_overtaken_but_followed(healthy, bob, driver, code):
    first = deployed(healthy, bob)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "activate", lambda version: False)  # it takes its time
        run(healthy)
        second = deployed(healthy, bob, {"two.py": DAG})
        run(healthy)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (DeployStatus.ACTIVATING, DeployStatus.BUILDING)
    for _ in range(3):
        run(healthy)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (DeployStatus.DEPLOYED, DeployStatus.DEPLOYED)
    assert code.active() == second.version


def test_two_that_wait_cannot_be(healthy, bob):
    deploy = deployed(healthy, bob)
    with pytest.raises(IntegrityError, match="one_deploy_waits"), transaction.atomic():
        Deploy.objects.create(
            deployment=healthy, number=9, idempotency_key=uuid4(), source="upload", files=1, python_files=1, size=1,
            digest=deploy.digest, version="9-x", actor="x",
        )  # fmt: skip


def test_what_does_not_compile_is_told_and_changes_nothing_unless_asked_all_the_same(healthy, bob, code):
    deploy = deployed(healthy, bob, BAD)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.FAILED
    assert deploy.sentence.startswith("1 of 2 Python files does not compile")
    assert deploy.syntax_problems == [{"path": "bad.py", "line": 1, "error": "SyntaxError: invalid syntax"}]
    assert code.active() == healthy.code_version == ""
    assert healthy.status == Status.HEALTHY
    assert AuditEvent.objects.filter(verb="gave up a deploy to").count() == 1
    anyway = deploying.deploy_anyway(deployment=healthy, by=bob, failed=deploy)
    assert deploying.deploy_anyway(deployment=healthy, by=bob, failed=deploy) == anyway
    run(healthy)
    anyway.refresh_from_db()
    assert (anyway.number, anyway.status) == (2, DeployStatus.DEPLOYED)
    assert "all the same" in anyway.steps.get(key="checked").sentence


def test_checking_goes_on_where_a_pass_ended(healthy, bob, code, monkeypatch):
    seen: list[str] = []

    def one(files, read, *, seconds):
        seen.append(files[0].path)
        return 1, ()

    monkeypatch.setattr(code_syntax, "check", one)
    deploy = deployed(healthy, bob, {f"{n}.py": DAG for n in range(4)})
    run(healthy)
    deploy.refresh_from_db()
    assert seen == ["0.py", "1.py", "2.py", "3.py"]
    assert deploy.status == DeployStatus.DEPLOYED


def test_a_step_that_fails_is_tried_again_and_in_the_end_says_why(healthy, bob, code, time_machine):
    code.fail = (
        "The disk of this machine is full. Make room and deploy again; the code that runs is not touched."
    )
    deploy = deployed(healthy, bob)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.BUILDING
    step = deploy.steps.get(key="built")
    assert step.state == StepState.FAILED
    assert "Trying again in 2 s" in step.sentence
    assert run(healthy).status == Status.HEALTHY  # nothing is wrong with what runs
    deploy.refresh_from_db()
    assert deploy.tries == 1  # not before its time
    for _ in range(moving.TRIES - 1):
        Deploy.objects.update(next_try_at=timezone.now())
        run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.FAILED
    assert deploy.sentence == code.fail


def test_a_disk_with_room_again_lets_the_deploy_go_on(healthy, bob, code):
    code.fail = "Full."
    deploy = deployed(healthy, bob)
    run(healthy)
    code.fail = ""
    Deploy.objects.update(next_try_at=timezone.now())
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED


def test_code_that_is_damaged_is_told_at_once(healthy, bob, code):
    deploy = deployed(healthy, bob)
    code.contents.clear()
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.FAILED
    assert "Deploy the code again" in deploy.sentence


@pytest.mark.parametrize(
    "point", ["deploys.after_check", "deploys.after_build", "activation.after_activation"]
)
def test_a_pass_that_dies_anywhere_is_completed_by_the_next(healthy, bob, code, monkeypatch, point):
    deploy = deployed(healthy, bob)
    died: list[str] = []

    def die(name: str) -> None:
        if name == point and not died:
            died.append(name)
            raise KeyboardInterrupt

    monkeypatch.setattr(moving, "failpoint", die)
    monkeypatch.setattr(activation, "failpoint", die)
    with pytest.raises(KeyboardInterrupt):
        run(healthy)
    Deployment.objects.update(lease_until=None)
    run(healthy)
    deploy.refresh_from_db()
    assert died
    assert deploy.status == DeployStatus.DEPLOYED
    assert code.active() == deploy.version


def test_a_pass_that_lost_its_lease_moves_nothing(healthy, bob, code, monkeypatch):
    deploy = deployed(healthy, bob)

    def steal(name: str) -> None:
        if name == "deploys.after_check":
            Deployment.objects.update(lease_epoch=99)

    monkeypatch.setattr(moving, "failpoint", steal)
    again(healthy)
    again(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.CHECKING


def test_while_creating_it_is_refused_and_while_deleting_too(deployment, bob, driver):
    with pytest.raises(NotNow, match="being created"):
        uploaded(deployment, bob)
    run(deployment)
    upload = uploaded(deployment, bob)
    actions.delete_deployment(deployment=deployment, by=bob)
    deployment.refresh_from_db()
    with pytest.raises(NotNow, match="being deleted"):
        deploying.deploy_upload(
            deployment=deployment, by=bob, upload=upload, seen="", description="", despite_syntax=False
        )


def test_one_that_sleeps_has_it_when_it_wakes(healthy, bob, code):
    running.hibernate(deployment=healthy, by=bob)
    run(healthy)
    assert healthy.status == Status.HIBERNATING
    deploy = deployed(healthy, bob)
    run(healthy)
    deploy.refresh_from_db()
    assert healthy.status == Status.HIBERNATING
    assert deploy.status == DeployStatus.DEPLOYED
    assert code.active() == deploy.version
    assert "asleep" in deploy.steps.get(key="read").sentence
    running.wake(deployment=healthy, by=bob)
    run(healthy)
    run(healthy)
    assert healthy.status == Status.HEALTHY
    assert states(deploy)["read"] == StepState.DONE


def test_where_packages_come_with_the_image_code_that_asks_for_some_is_refused_with_the_way_out(
    healthy, bob, code, driver
):
    driver.takes_packages = False
    asks = {**FILES, "requirements.txt": b"# a comment\npandas\n"}
    with pytest.raises(PackagesInCode, match=r"come with the image\. Put them into an image"):
        uploaded(healthy, bob, asks)
    assert not code.manifests
    assert uploaded(healthy, bob, {**asks, ".airdeckignore": b"requirements.txt\n"}).manifest.files
    assert uploaded(healthy, bob, {**FILES, "requirements.txt": b"# nothing yet\n"}).manifest.files


def test_where_code_comes_with_the_image_that_is_said(healthy, bob, driver):
    driver.takes_code = False
    with pytest.raises(NotNow, match="image of the runtime"):
        uploaded(healthy, bob)
    assert run(healthy).status == Status.HEALTHY


def test_bundles_of_ones_own_are_named_before_anything_is_deployed_that_nobody_reads(healthy, bob, code):
    set_variable(deployment=healthy, by=bob, key=OWN_BUNDLES_KEY, value="[]", secret=False, seen=None)
    with pytest.raises(NotNow, match="DAG_BUNDLE_CONFIG_LIST"):
        uploaded(healthy, bob)


def test_a_refused_archive_keeps_nothing(healthy, bob, code):
    with pytest.raises(CodeRefused, match="absolute"):
        uploaded(healthy, bob, {"/etc/x": b"x"})
    assert code.contents == {}
    assert not CodeUpload.objects.exists()


def test_a_version_that_somebody_took_away_is_put_back(healthy, bob, code):
    deploy = deployed(healthy, bob)
    run(healthy)
    code.current = ""
    run(healthy)
    assert code.active() == deploy.version


# -- The folder, and going back --


def test_the_folder_becomes_version_1_with_the_first_deploy(healthy, bob, code):
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


def test_a_folder_that_changed_after_the_difference_was_shown_is_shown_again(healthy, bob, code):
    upload = uploaded(healthy, bob)
    code.loose = {"new.py": b"NEW"}
    with pytest.raises(CodeChanged):
        deploying.deploy_upload(
            deployment=healthy, by=bob, upload=upload, seen=upload.base, description="", despite_syntax=False
        )
    assert not Deploy.objects.exists()


def test_two_people_who_deploy_meet(healthy, alice, bob, code):
    mine, yours = uploaded(healthy, alice), uploaded(healthy, bob, {"other.py": DAG})
    wish = {"deployment": healthy, "description": "", "despite_syntax": False}
    deploying.deploy_upload(**wish, by=alice, upload=mine, seen=mine.base)
    with pytest.raises(CodeChanged):
        deploying.deploy_upload(**wish, by=bob, upload=yours, seen=yours.base)


def test_the_example_is_one_click_and_twice_is_nothing_to_do(healthy, bob, code):
    deploy = deploying.deploy_example(deployment=healthy, by=bob)
    with pytest.raises(NothingToDeploy):
        deploying.deploy_example(deployment=healthy, by=bob)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED
    compile(code.contents[code.versions[deploy.version].files[0].sha256], "hello_airdeck.py", "exec")


# -- What Airflow says --


def test_files_that_do_not_import_are_told_until_they_are_mended(healthy, bob, code):
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


def test_what_airflow_says_of_an_older_version_is_not_said_of_this_one(healthy, bob, code, monkeypatch):
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


def test_the_last_20_or_90_days_and_what_runs_belong_to_are_kept(healthy, bob, code, monkeypatch):
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


def test_an_upload_that_nobody_deployed_is_forgotten_after_an_hour(healthy, bob, code):
    uploaded(healthy, bob, {"never.py": DAG})
    CodeUpload.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    deployed(healthy, bob)
    run(healthy)
    Deploy.objects.update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    assert CodeManifest.objects.count() == 1
    assert len(code.manifests) == 1


def test_deleting_the_deployment_keeps_the_history_and_drops_the_code(healthy, bob, code, driver):
    deployed(healthy, bob)
    run(healthy)
    actions.delete_deployment(deployment=healthy, by=bob)
    run(healthy)
    assert healthy.deleted_at
    assert Deploy.objects.get().manifest is None
    assert not CodeManifest.objects.exists()
    assert driver.codes == {}


def test_one_pass_takes_a_small_deploy_from_its_receipt_to_being_active(healthy, bob, code):
    deploy = deployed(healthy, bob)
    again(healthy)
    deploy.refresh_from_db()
    assert (deploy.status, code.active()) == (DeployStatus.DEPLOYED, deploy.version)
