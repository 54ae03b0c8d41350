"""Moves deploys on, within the passes over their Deployment: checked, built, activated, read by Airflow.

Everything is found again by the next pass, whichever process dies: the row says how far a deploy is, and the data
plane which version is active. Each move is one conditional UPDATE, fenced by the lease, on the status that was seen;
so one that was superseded in the meantime is moved no more.
"""

import math
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.failpoints import failpoint
from deployments.audit import record_deployment
from deployments.dataplane.code import CodeDamaged, CodeStore
from deployments.dataplane.contract import DataPlaneError, Driver, Ref
from deployments.dataplane.packages import PackagesRefused
from deployments.domain import code_syntax
from deployments.domain.code_project import plugins_digest
from deployments.domain.deploy_states import (
    ACTIVATED,
    BUILT,
    CHECKED,
    PACKAGES,
    READ,
    UNDER_WAY,
    WAITING,
    DeployStatus,
)
from deployments.domain.states import StepState
from deployments.models import Deploy, Deployment, DeployStep
from deployments.reconciler import packages, plan, recording, retention
from deployments.reconciler.leases import Claim

logger = structlog.get_logger(__name__)

CHECK_SECONDS = 8.0  # of one pass, for compiling; the rest is for what else a pass does
TRIES = 8  # of one step that cannot be taken: about three minutes, then the deploy fails and says why
WATCH = timedelta(seconds=60)  # how long Airflow is watched for files that do not import
LOOK_SECONDS = 2.0  # while something is waited for
PROBLEMS_KEPT = 50


def _ref(deployment: Deployment) -> Ref:
    return Ref(str(deployment.pk), deployment.release_name)


def advance(claim: Claim, driver: Driver) -> float:
    """Take the deploy that waits as far as it can be taken now, and put its code into the Deployment's desired state
    once it is built. Seconds until the next look; infinite when nothing waits. Raises nothing that a deploy could
    cause."""
    deployment = claim.deployment
    store = driver.code(_ref(deployment))
    if store is None:
        return math.inf
    under_way = _note_activated(claim, store)
    deploy = next((each for each in under_way if each.status in WAITING), None)
    if deploy is None:
        return math.inf
    wait = _seconds_until(deploy.next_try_at)
    if wait:
        return wait
    try:
        return _take_step(claim, driver, store, deploy)
    except DataPlaneError as error:
        return _failed_step(claim, deploy, error)


def is_lost(claim: Claim, driver: Driver) -> bool:
    """Whether another version is active than the one that is desired: a person took it away."""
    deployment = claim.deployment
    store = driver.code(_ref(deployment)) if deployment.code_version else None
    return store is not None and store.active() != deployment.code_version


def settle(claim: Claim, driver: Driver, *, healthy: bool) -> float:
    """After the Release was applied: note down what is active, and what Airflow says of it. Seconds until the next
    look; infinite when there is nothing to look for."""
    deployment = claim.deployment
    store = driver.code(_ref(deployment))
    if store is None:
        return math.inf
    activating = any(each.status == DeployStatus.ACTIVATING for each in _note_activated(claim, store))
    deploy = _to_watch(deployment) if deployment.code_version else None
    if deploy is None:
        return LOOK_SECONDS if activating else math.inf
    if not healthy:  # asleep, or its DAG processor may not run: the watch begins when it does
        return math.inf
    try:
        return _watch(claim, driver, store, deploy)
    except DataPlaneError:
        return LOOK_SECONDS if not deploy.watched else math.inf


# -- Before it is active --


def _take_step(claim: Claim, driver: Driver, store: CodeStore, deploy: Deploy) -> float:
    match DeployStatus(deploy.status):
        case DeployStatus.RECEIVED:
            _move(claim, deploy, status=DeployStatus.CHECKING)
            _step(deploy, CHECKED, StepState.RUNNING, "Compiling the Python files.")
            return 0.0
        case DeployStatus.CHECKING:
            return _check(claim, store, deploy)
        case _:
            waiting = _packages(claim, driver, deploy)
            return packages.LOOK_SECONDS if waiting else _build(claim, store, deploy)


def _check(claim: Claim, store: CodeStore, deploy: Deploy) -> float:
    """Compile some more of the Python files; the next pass goes on where this one ended."""
    manifest = deploy.manifest.opened() if deploy.manifest else None
    if manifest is None:
        return _fail(claim, deploy, CHECKED, "Its code is not kept any more. Upload it again.")
    files = [file for file in manifest.files if file.is_python]
    rest = files[deploy.checked_files :]
    done, found = code_syntax.check(rest, store.read, seconds=CHECK_SECONDS) if rest else (0, ())
    failpoint("deploys.after_check")
    rows = [{"path": p.path, "line": p.line, "error": p.error} for p in found]
    checked = deploy.checked_files + done
    count = deploy.syntax_count + len(found)
    values = {
        "checked_files": checked,
        "syntax_count": count,
        "syntax_problems": [*deploy.syntax_problems, *rows][:PROBLEMS_KEPT],
        "tries": 0,
    }
    if checked < len(files):
        _move(claim, deploy, **values)
        _step(deploy, CHECKED, StepState.RUNNING, f"Compiled {checked:,} of {len(files):,} Python files.")
        return 0.0
    if count and not deploy.despite_syntax:
        return _fail(claim, deploy, CHECKED, _does_not_compile(count, len(files)), **values)
    if not _move(claim, deploy, status=DeployStatus.BUILDING, **values):
        return 0.0
    text = f"{len(files):,} Python file{'' if len(files) == 1 else 's'} compiled."
    _step(deploy, CHECKED, StepState.DONE, _deployed_despite(count, len(files)) if count else text)
    _step(deploy, BUILT, StepState.RUNNING)
    return 0.0


def _does_not_compile(count: int, files: int) -> str:
    verb = "does" if count == 1 else "do"
    return (
        f"{count} of {files} Python files {verb} not compile, so nothing was changed. Mend and deploy again, or deploy "
        "all the same."
    )


def _deployed_despite(count: int, files: int) -> str:
    return f"{count} of {files} Python files do not compile; deployed all the same, as asked."


def _packages(claim: Claim, driver: Driver, deploy: Deploy) -> str:
    """Have its packages resolved and installed, beside what runs. What is waited for; "" when they are ready."""
    if not deploy.requirements:
        _move(claim, deploy, packages={})
        return ""
    store = driver.packages(_ref(claim.deployment))
    if store is None:
        raise PackagesRefused(
            "On this cluster packages come with the image of the runtime. Remove requirements.txt."
        )
    found, waiting = packages.prepare(claim.deployment, store, deploy.requirements, install=True)
    if waiting:
        _step(deploy, PACKAGES, StepState.RUNNING, waiting)
        return waiting
    _move(claim, deploy, packages=found.packages)
    count = len(found.packages)
    found_text = f"{count} package{'' if count == 1 else 's'} beyond those of runtime {found.runtime}."
    _step(
        deploy, PACKAGES, StepState.DONE, found_text if count else f"Runtime {found.runtime} has all of them."
    )
    return ""


def _build(claim: Claim, store: CodeStore, deploy: Deploy) -> float:
    if Deploy.objects.filter(deployment=claim.deployment, status=DeployStatus.ACTIVATING).exists():
        return LOOK_SECONDS  # one is activated at a time
    store.build(deploy.code)
    failpoint("deploys.after_build")
    with transaction.atomic():
        values = {
            "code_version": deploy.version,
            "code_manifest": deploy.digest,
            "code_requirements": deploy.requirements,
            "code_plugins": plugins_digest(deploy.manifest.opened()) if deploy.manifest else "",
        }
        held = Deployment.objects.filter(pk=claim.deployment.pk, lease_epoch=claim.epoch)
        if not _move(claim, deploy, status=DeployStatus.ACTIVATING, tries=0, next_try_at=None):
            return 0.0
        held.update(**values)
        _step(
            deploy,
            BUILT,
            StepState.DONE,
            f"{deploy.files:,} file{'' if deploy.files == 1 else 's'} in place.",
        )
        _step(deploy, ACTIVATED, StepState.RUNNING)
    for name, value in values.items():
        setattr(claim.deployment, name, value)  # this very pass applies it
    return 0.0


def _failed_step(claim: Claim, deploy: Deploy, error: DataPlaneError) -> float:
    """Try again later and later; give up on what trying does not help, and after TRIES."""
    key = BUILT if deploy.status == DeployStatus.BUILDING else CHECKED
    if deploy.requirements and deploy.packages is None and key == BUILT:
        key = PACKAGES
    tries = deploy.tries + 1
    if isinstance(error, CodeDamaged | PackagesRefused) or tries >= TRIES:
        return _fail(claim, deploy, key, str(error))
    seconds = plan.backoff(tries)
    _move(claim, deploy, tries=tries, next_try_at=timezone.now() + timedelta(seconds=seconds))
    _step(deploy, key, StepState.FAILED, f"{str(error).rstrip('.')}. Trying again in {seconds:.0f} s.")
    return seconds


def _fail(claim: Claim, deploy: Deploy, key: str, sentence: str, **values: Any) -> float:
    """It does not become active; what runs goes on."""
    text = sentence[:1000]
    if _move(claim, deploy, status=DeployStatus.FAILED, sentence=text, finished_at=Now(), **values):
        _step(deploy, key, StepState.FAILED, text)
        record_deployment(
            claim.deployment, None, "gave up a deploy to", new={"deploy": deploy.number, "reason": text}
        )
        logger.info("deploy_failed", deploy=deploy.number)
    return 0.0


# -- Once it is active --


def _note_activated(claim: Claim, store: CodeStore) -> list[Deploy]:
    """What the data plane says is active is deployed. The deploys that are still under way. One query."""
    words = [each.value for each in UNDER_WAY]
    rows = Deploy.objects.filter(deployment=claim.deployment, status__in=words).select_related("manifest")
    under_way = list(rows.order_by("number"))
    deploy = next((each for each in under_way if each.status == DeployStatus.ACTIVATING), None)
    if deploy is None or store.active() != deploy.version:
        return under_way
    failpoint("deploys.after_activation")
    if _move(claim, deploy, status=DeployStatus.DEPLOYED, activated_at=Now(), finished_at=Now()):
        _step(deploy, ACTIVATED, StepState.DONE, f"Version {deploy.version} is active.")
        asleep = claim.deployment.hibernating
        _step(
            deploy, READ, StepState.PENDING, "Airflow is asleep and reads it when it wakes." if asleep else ""
        )
        logger.info("deployed", deploy=deploy.number, version=deploy.version)
    return [each for each in under_way if each is not deploy]


def _to_watch(deployment: Deployment) -> Deploy | None:
    """The active deploy, while there is something to look for: the first minute, and until all its files import."""
    deploy = Deploy.objects.filter(
        deployment=deployment, version=deployment.code_version, status=DeployStatus.DEPLOYED
    ).first()
    return deploy if deploy is not None and (not deploy.watched or deploy.problem_count) else None


def _watch(claim: Claim, driver: Driver, store: CodeStore, deploy: Deploy) -> float:
    now = timezone.now()
    until, first_minute = deploy.watch_until or now + WATCH, not deploy.watched
    report = store.report()
    is_read = report.version == deploy.version
    values: dict[str, Any] = {"watch_until": until}
    if is_read:
        rows = [{"path": p.path, "line": p.line} for p in report.problems][:PROBLEMS_KEPT]
        values |= {"problem_count": report.problem_count, "problems": rows}
    over = now >= until
    if over:
        values["watched"] = True
    _move(claim, deploy, **values)
    if first_minute:
        _step(deploy, READ, *_read_so_far(deploy, is_read=is_read, dags=report.dags, over=over))
    if over and first_minute:
        retention.prune(claim.deployment, store, report.pinned)
        retention.prune_packages(claim.deployment, driver.packages(_ref(claim.deployment)))
    return (
        LOOK_SECONDS if not over else math.inf
    )  # what is known not to import is looked at in every later pass


def _read_so_far(deploy: Deploy, *, is_read: bool, dags: int, over: bool) -> tuple[StepState, str]:
    if not is_read:
        text = "Airflow has not read it within a minute. See the log of the DAG processor."
        return (StepState.FAILED, text) if over else (StepState.RUNNING, "Waiting for Airflow to read it.")
    found = f"{dags:,} DAG{'' if dags == 1 else 's'}."
    text = f"{found} {deploy.problem_sentence}" if deploy.problem_count else f"{found} Every file imports."
    return (StepState.DONE if over or dags or deploy.problem_count else StepState.RUNNING), text


# -- Writing --


def _move(claim: Claim, deploy: Deploy, **values: Any) -> bool:
    """Change the row, if it is as it was seen and the lease is ours; whether it was. Open pages are updated."""
    changed = {name: value for name, value in values.items() if getattr(deploy, name) != value}
    if not changed:
        return True
    moved = Deploy.objects.filter(
        pk=deploy.pk, status=deploy.status, deployment__lease_epoch=claim.epoch
    ).update(**changed)
    if moved:
        for name, value in changed.items():
            setattr(deploy, name, timezone.now() if isinstance(value, Now) else value)
        transaction.on_commit(lambda: recording.publish(claim.deployment.pk), robust=True)
    return bool(moved)


def _step(deploy: Deploy, key: str, state: StepState, sentence: str = "") -> None:
    """Write one step, with the times at which it began and ended."""
    row = DeployStep.objects.filter(deploy=deploy, key=key).first()
    if row is None or (row.state == state and row.sentence == sentence):
        return
    now = timezone.now()
    row.state, row.sentence = state, sentence[:1000]
    if state is not StepState.PENDING:
        row.started_at = row.started_at or now
    row.finished_at = now if state in {StepState.DONE, StepState.FAILED} else None
    row.save(update_fields=["state", "sentence", "started_at", "finished_at"])
    transaction.on_commit(lambda: recording.publish(deploy.deployment_id), robust=True)


def _seconds_until(moment: datetime | None) -> float:
    return max(0.0, (moment - timezone.now()).total_seconds()) if moment else 0.0
