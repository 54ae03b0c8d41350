"""Moves deploys on until their code and image are desired, within the passes over their Deployment: checked, built,
made what it is to run. `activation` notes down the rest.

Everything is found again by the next pass, whichever process dies: the row says how far a deploy is, and the data
plane which version is active.
"""

import math
import time
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.failpoints import failpoint
from console.kit.wording import counted
from deployments.dataplane.code import CodeDamaged, CodeStore
from deployments.dataplane.contract import DataPlaneError, Driver
from deployments.dataplane.images import ImageRefused
from deployments.dataplane.packages import PackagesRefused
from deployments.domain import code_syntax
from deployments.domain.deploy_states import (
    ACTIVATED,
    BUILT,
    CHECKED,
    IMAGE,
    PACKAGES,
    WAITING,
    DeployStatus,
)
from deployments.domain.states import StepState
from deployments.models import Deploy
from deployments.reconciler import images, packages, plan
from deployments.reconciler.activation import note_activated
from deployments.reconciler.deploy_rows import desire, fail, move, ref_of, step
from deployments.reconciler.leases import Claim

logger = structlog.get_logger(__name__)

CHECK_SECONDS = 8.0  # of one pass, for compiling; the rest is for what else a pass does
TRIES = 8  # of one step that cannot be taken: about three minutes, then the deploy fails and says why
LOOK_SECONDS = 2.0  # while something is waited for
PROBLEMS_KEPT = 50


def advance(claim: Claim, driver: Driver) -> float:
    """Take the deploy that waits as far as it can be taken now, and put its code into the Deployment's desired state
    once it is built. Seconds until the next look; infinite when nothing waits. Raises nothing that a deploy could
    cause."""
    deployment = claim.deployment
    store = driver.code(ref_of(deployment))
    if store is None:
        return math.inf
    try:
        under_way = note_activated(claim, store)
    except DataPlaneError:  # what is active cannot be read now: the pass itself finds out why, and says it
        return math.inf
    deploy = next((each for each in under_way if each.status in WAITING), None)
    if deploy is None:
        return math.inf
    wait = _seconds_until(deploy.next_try_at)
    if wait:
        return wait
    try:
        return _take_steps(claim, driver, store, deploy)
    except DataPlaneError as error:
        return _failed_step(claim, deploy, error)


def is_lost(claim: Claim, driver: Driver) -> bool:
    """Whether another version is active than the one that is desired: a person took it away."""
    deployment = claim.deployment
    store = driver.code(ref_of(deployment)) if deployment.code_version else None
    return store is not None and store.active() != deployment.code_version


# -- Before it is active --


def _take_steps(claim: Claim, driver: Driver, store: CodeStore, deploy: Deploy) -> float:
    """As many as there is time for: a pass looks at all components too, and a person waits for their code. Each is
    written down when it is done, so the next pass goes on wherever this one is killed."""
    deadline = time.monotonic() + CHECK_SECONDS
    while True:
        before = (deploy.status, deploy.checked_files)
        seconds = _take_step(claim, driver, store, deploy)
        moved = (deploy.status, deploy.checked_files) != before
        if seconds or not moved or deploy.status not in WAITING or time.monotonic() >= deadline:
            return seconds


def _take_step(claim: Claim, driver: Driver, store: CodeStore, deploy: Deploy) -> float:
    match DeployStatus(deploy.status):
        case DeployStatus.RECEIVED:
            move(claim, deploy, status=DeployStatus.CHECKING)
            step(deploy, CHECKED, StepState.RUNNING, "Compiling the Python files.")
            return 0.0
        case DeployStatus.CHECKING:
            return _check(claim, store, deploy)
        case _:
            if _image(claim, driver, deploy):
                return images.LOOK_SECONDS
            waiting = _packages(claim, driver, deploy)
            return packages.LOOK_SECONDS if waiting else _build(claim, store, deploy)


def _check(claim: Claim, store: CodeStore, deploy: Deploy) -> float:
    """Compile some more of the Python files; the next pass goes on where this one ended."""
    manifest = deploy.manifest.opened() if deploy.manifest else None
    if not deploy.digest:
        move(claim, deploy, status=DeployStatus.BUILDING)
        step(
            deploy,
            CHECKED,
            StepState.DONE,
            "There is no code of a deploy: Airflow reads what is in the image.",
        )
        return 0.0
    if manifest is None:
        return fail(claim, deploy, CHECKED, "Its code is no longer kept. Upload it again.")
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
        move(claim, deploy, **values)
        step(deploy, CHECKED, StepState.RUNNING, f"Compiled {checked:,} of {len(files):,} Python files.")
        return 0.0
    if count and not deploy.despite_syntax:
        return fail(claim, deploy, CHECKED, _does_not_compile(count, len(files)), **values)
    if not move(claim, deploy, status=DeployStatus.BUILDING, **values):
        return 0.0
    text = f"{counted(len(files), 'Python file')} compiled."
    step(deploy, CHECKED, StepState.DONE, _deployed_despite(count, len(files)) if count else text)
    step(deploy, BUILT, StepState.RUNNING)
    return 0.0


def _does_not_compile(count: int, files: int) -> str:
    verb, what = ("does", "it") if count == 1 else ("do", "them")
    return (
        f"{count} of {files} Python files {verb} not compile, so nothing was changed. Fix {what} and deploy "
        "again, or choose Deploy anyway."
    )


def _deployed_despite(count: int, files: int) -> str:
    return f"{count} of {files} Python files do not compile; deployed anyway, as asked."


def _image(claim: Claim, driver: Driver, deploy: Deploy) -> str:
    """Have its image looked at, beside what runs. What is waited for; "" when it is known to be fit."""
    if not deploy.changes_image or deploy.image_pinned:
        return ""
    if not deploy.image:
        step(deploy, IMAGE, StepState.DONE, "The image of the runtime.")
        return ""
    found = images.look(claim.deployment, driver, deploy)
    if found.waiting:
        step(deploy, IMAGE, StepState.RUNNING, found.waiting)
        return found.waiting
    if move(claim, deploy, image_pinned=found.pinned):
        step(deploy, IMAGE, StepState.DONE, images.found_sentence(claim.deployment, deploy, found))
    return ""


def _packages(claim: Claim, driver: Driver, deploy: Deploy) -> str:
    """Have its packages resolved and installed, beside what runs. What is waited for; "" when they are ready."""
    if not deploy.requirements:
        move(claim, deploy, packages={})
        return ""
    store = driver.packages(ref_of(claim.deployment))
    if store is None:
        raise PackagesRefused(
            "On this cluster packages come with the image of the runtime. Remove requirements.txt."
        )
    found, waiting = packages.prepare(claim.deployment, store, deploy.requirements, install=True)
    if waiting:
        step(deploy, PACKAGES, StepState.RUNNING, waiting)
        return waiting
    move(claim, deploy, packages=found.packages)
    count = len(found.packages)
    found_text = f"{counted(count, 'package')} beyond those of runtime {found.runtime}."
    step(
        deploy, PACKAGES, StepState.DONE, found_text if count else f"Runtime {found.runtime} has all of them."
    )
    return ""


def _build(claim: Claim, store: CodeStore, deploy: Deploy) -> float:
    if not _make_way(claim, store, deploy):
        return LOOK_SECONDS  # one is activated at a time
    if deploy.digest:
        store.build(deploy.code)
    failpoint("deploys.after_build")
    with transaction.atomic():
        until = timezone.now() + images.ROLLOUT if deploy.changes_image else None
        values = {"tries": 0, "next_try_at": None, "rollout_until": until}
        if not move(claim, deploy, status=DeployStatus.ACTIVATING, **values):
            return 0.0
        desire(claim, deploy)
        count = f"{counted(deploy.files, 'file')} in place."
        step(deploy, BUILT, StepState.DONE, count if deploy.digest else "There are no files to put in place.")
        step(deploy, ACTIVATED, StepState.RUNNING)
    return 0.0


def _make_way(claim: Claim, store: CodeStore, deploy: Deploy) -> bool:
    """Whether this deploy may be activated now. One before it whose code is active, while components still change to
    its image, makes way: the way back from an image that does not come up must be open."""
    other = Deploy.objects.filter(deployment=claim.deployment, status=DeployStatus.ACTIVATING).first()
    if other is None:
        return True
    if not other.changes_image or (other.version and store.active() != other.version):
        return False
    text = f"Deploy {deploy.number} came before all components ran with its image."
    moved = move(claim, other, status=DeployStatus.SUPERSEDED, sentence=text, finished_at=Now())
    step(other, ACTIVATED, StepState.FAILED, text)
    return moved


def _step_of(deploy: Deploy) -> str:
    """The step at which it is."""
    if deploy.status != DeployStatus.BUILDING:
        return CHECKED
    if deploy.changes_image and deploy.image and not deploy.image_pinned:
        return IMAGE
    return PACKAGES if deploy.requirements and deploy.packages is None else BUILT


def _failed_step(claim: Claim, deploy: Deploy, error: DataPlaneError) -> float:
    """Try again later and later; give up on what trying does not help, and after TRIES."""
    key = _step_of(deploy)
    tries = deploy.tries + 1
    if isinstance(error, CodeDamaged | ImageRefused | PackagesRefused) or tries >= TRIES:
        return fail(claim, deploy, key, str(error))
    seconds = plan.backoff(tries)
    move(claim, deploy, tries=tries, next_try_at=timezone.now() + timedelta(seconds=seconds))
    step(deploy, key, StepState.FAILED, f"{str(error).rstrip('.')}. Trying again in {seconds:.0f} s.")
    return seconds


def _seconds_until(moment: datetime | None) -> float:
    return max(0.0, (moment - timezone.now()).total_seconds()) if moment else 0.0
