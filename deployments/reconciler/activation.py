"""Notes down what becomes of a deploy once its code and image are desired, within the passes over its Deployment:
active, rolled out, read by Airflow."""

import math
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.failpoints import failpoint
from console.kit.wording import counted
from deployments.dataplane.code import CodeStore
from deployments.dataplane.contract import DataPlaneError, Driver
from deployments.domain.deploy_states import ACTIVATED, READ, UNDER_WAY, DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import Deploy, Deployment
from deployments.reconciler import images, retention
from deployments.reconciler.deploy_rows import desire, fail, move, ref_of, step
from deployments.reconciler.leases import Claim
from deployments.reconciler.plan import Verdict

logger = structlog.get_logger(__name__)

WATCH = timedelta(seconds=60)  # how long Airflow is watched for files that do not import
LOOK_SECONDS = 2.0  # while something is waited for
PROBLEMS_KEPT = 50


def settle(claim: Claim, driver: Driver, verdict: Verdict) -> float:
    """After the Release was applied: note down what is active, and what Airflow says of it. Seconds until the next
    look; infinite when there is nothing to look for."""
    deployment = claim.deployment
    healthy, asleep = (verdict.status is each for each in (Status.HEALTHY, Status.HIBERNATING))
    store = driver.code(ref_of(deployment))
    if store is None:
        return math.inf
    try:
        under_way = note_activated(claim, store, rolled_out=healthy or asleep, reason=verdict.reason)
    except DataPlaneError:  # what is active cannot be read now; the verdict says what is known
        return math.inf
    activating = any(each.status == DeployStatus.ACTIVATING for each in under_way)
    deploy = _to_watch(deployment) if deployment.code_version else None
    if deploy is None:
        return LOOK_SECONDS if activating else math.inf
    if not healthy:  # asleep, or its DAG processor may not run: the watch begins when it does
        return math.inf
    try:
        return _watch(claim, driver, store, deploy)
    except DataPlaneError:
        return LOOK_SECONDS if not deploy.watched else math.inf


def note_activated(
    claim: Claim, store: CodeStore, *, rolled_out: bool = False, reason: str = ""
) -> list[Deploy]:
    """What the data plane says is active is deployed; with another image, once every component runs with it
    (`rolled_out`; else `reason` says why not). The deploys that are still under way. One query."""
    words = [each.value for each in UNDER_WAY]
    rows = Deploy.objects.filter(deployment=claim.deployment, status__in=words).select_related("manifest")
    under_way = list(rows.order_by("number"))
    deploy = next((each for each in under_way if each.status == DeployStatus.ACTIVATING), None)
    if deploy is None or (deploy.version and store.active() != deploy.version):
        return under_way
    if deploy.changes_image and not rolled_out:
        if reason and images.is_late(deploy):
            _give_back(claim, deploy, reason)
        elif reason:
            step(deploy, ACTIVATED, StepState.RUNNING, reason)
        return under_way
    failpoint("activation.after_activation")
    with transaction.atomic():  # a reader sees the deploy and its steps as of one moment
        if move(claim, deploy, status=DeployStatus.DEPLOYED, activated_at=Now(), finished_at=Now()):
            _note_steps(deploy, asleep=claim.deployment.hibernating)
    return [each for each in under_way if each is not deploy]


def _note_steps(deploy: Deploy, *, asleep: bool) -> None:
    step(deploy, ACTIVATED, StepState.DONE, _active_sentence(deploy))
    step(
        deploy,
        READ,
        StepState.PENDING,
        "Airflow is hibernating and reads it when it wakes up." if asleep else "",
    )
    if not deploy.version:
        step(deploy, READ, StepState.DONE, "Airflow reads the DAGs in the image.")
    logger.info("deployed", deploy=deploy.number, version=deploy.version)


def _active_sentence(deploy: Deploy) -> str:
    image = " Every component runs with the image." if deploy.changes_image else ""
    return f"Version {deploy.version} is active.{image}" if deploy.version else image.strip()


def _give_back(claim: Claim, deploy: Deploy, reason: str) -> None:
    """Its image does not come up: what ran before is desired again."""
    earlier = images.before(deploy)
    with transaction.atomic():
        fail(claim, deploy, ACTIVATED, images.given_up(earlier, reason))
        if deploy.status != DeployStatus.FAILED:
            return
        desire(claim, earlier)
    Deployment.objects.filter(pk=claim.deployment.pk).update(due_at=Now())


def _to_watch(deployment: Deployment) -> Deploy | None:
    """The active deploy, while there is something to look for: the first minute, and until all its files import."""
    deploy = Deploy.objects.filter(
        deployment=deployment, number=deployment.deploy_number or 0, status=DeployStatus.DEPLOYED
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
    move(claim, deploy, **values)
    if first_minute:
        step(deploy, READ, *_read_so_far(deploy, is_read=is_read, dags=report.dags, over=over))
    if over and first_minute:
        retention.prune(claim.deployment, store, report.pinned)
        retention.prune_packages(claim.deployment, driver.packages(ref_of(claim.deployment)))
    return (
        LOOK_SECONDS if not over else math.inf
    )  # what is known not to import is looked at in every later pass


def _read_so_far(deploy: Deploy, *, is_read: bool, dags: int, over: bool) -> tuple[StepState, str]:
    if not is_read:
        text = "Airflow has not read it within a minute. See the log of the DAG processor."
        return (StepState.FAILED, text) if over else (StepState.RUNNING, "Waiting for Airflow to read it.")
    found = f"{counted(dags, 'DAG')}."
    text = f"{found} {deploy.problem_sentence}" if deploy.problem_count else f"{found} Every file imports."
    return (StepState.DONE if over or dags or deploy.problem_count else StepState.RUNNING), text
