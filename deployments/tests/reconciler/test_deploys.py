"""A deploy on its way: what each pass does, what takes whose place, and what faults do."""

import io
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from deployments.actions import deploys as deploying
from deployments.actions.refusals import NothingToDeploy
from deployments.domain import code_syntax
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import CodeManifest, CodeUpload, Deploy, Deployment
from deployments.reconciler import activation
from deployments.reconciler import deploys as moving
from deployments.reconciler.reconcile import reconcile
from deployments.tests.archives import DAG, tar_gz, zipped
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


def uploaded(deployment, by, files=FILES, pack=tar_gz, key=None) -> CodeUpload:
    data = pack(files)
    return deploying.receive_upload(
        deployment=deployment, by=by, stream=io.BytesIO(data), name="code.tar.gz", size=len(data), key=key
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


def test_two_tries_with_one_key_that_are_received_at_the_same_moment_are_one_upload(
    healthy, bob, code, monkeypatch
):
    key, keep, others = uuid4(), deploying.kept, []

    def keep_while_the_other_is_received(deployment, manifest):
        if not others:
            others.append(None)
            others[0] = uploaded(deployment, bob, key=key)
        return keep(deployment, manifest)

    monkeypatch.setattr(deploying, "kept", keep_while_the_other_is_received)
    mine = uploaded(healthy, bob, key=key)
    assert others == [mine]
    assert CodeUpload.objects.get() == mine


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
    assert "deployed anyway" in anyway.steps.get(key="checked").sentence


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


def test_a_version_that_somebody_took_away_is_put_back(healthy, bob, code):
    deploy = deployed(healthy, bob)
    run(healthy)
    code.current = ""
    run(healthy)
    assert code.active() == deploy.version


def test_one_pass_takes_a_small_deploy_from_its_receipt_to_being_active(healthy, bob, code):
    deploy = deployed(healthy, bob)
    again(healthy)
    deploy.refresh_from_db()
    assert (deploy.status, code.active()) == (DeployStatus.DEPLOYED, deploy.version)
