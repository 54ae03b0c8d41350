"""The reconciler: one pass over one row. Level-triggered and idempotent, so it may run at any time, any number of
times, and die at any instant.

A pass is: claim -> observe -> plan -> one step -> observe -> record. Everything it needs to know is in the row
and in the data plane; nothing is remembered between passes.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.utils import timezone

from console.kit.failpoints import failpoint
from deployments.clusters import connections
from deployments.dataplane.contract import (
    DataPlaneError,
    DataPlaneUnreachable,
    Driver,
    Observation,
    Outcome,
    Progress,
    Ref,
    StepName,
    UpgradeFailed,
)
from deployments.domain.spec import Release
from deployments.domain.states import Operation, Status
from deployments.models import Deployment, WorkerQueue
from deployments.queries.releases import queue_spec, release_of
from deployments.reconciler import (
    activation,
    circuit_breaker,
    deploys,
    failures,
    leases,
    measures,
    packages,
    people,
    plan,
    recording,
)
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.failures import Attempt
from deployments.reconciler.leases import Claim
from deployments.reconciler.measures import Measure
from deployments.reconciler.plan import Verdict
from deployments.reconciler.recording import LeaseLost, QueueRecord, Record
from deployments.secrets import vault

logger = structlog.get_logger(__name__)

SILENT_AFTER = timedelta(seconds=60)
TRIED_BY_ANOTHER = "The cluster did not answer just now; it is being tried again."


def reconcile(pk: UUID) -> bool | None:
    """Run one pass over the row if it is due and free; whether it is worth running another at once. None when it was
    not: it is not due, gone, or another worker has just taken it."""
    claim = leases.claim(pk)
    if claim is None:
        return None
    with structlog.contextvars.bound_contextvars(deployment=str(pk), lease_epoch=claim.epoch):
        try:
            with measures.of_pass(_purpose(claim.deployment)) as measured:
                return _guarded_pass(claim, measured)
        finally:
            leases.release(claim)


def _purpose(deployment: Deployment) -> str:
    """What a pass over it is for: create, change, delete, or keep it running."""
    return Operation.DELETE if deployment.is_deleting else _operation(deployment) or measures.KEEP


def _guarded_pass(claim: Claim, measured: Measure) -> bool:
    try:
        failpoint("reconcile.after_claim")
        entry = _pass(claim)
        measured.outcome = measures.outcome_of(entry)
        failpoint("reconcile.before_record")
        recording.record(claim, entry)
        failpoint("reconcile.after_record")
    except LeaseLost:
        measured.outcome = measures.LEASE_LOST
        logger.warning("lease_lost")
        return False
    except Exception as error:
        measured.outcome = measures.ERROR
        failures.unexpected(claim, error)
        raise
    return entry.next_look == 0.0


def _pass(claim: Claim) -> Record:
    """What there is to record. A cluster that does not answer is hardly asked, so that it does not hold up those of
    other clusters."""
    deployment = claim.deployment
    if silence := _known_silence(deployment):
        return failures.failed(claim, DataPlaneUnreachable(silence))
    cluster = deployment.cluster
    if not circuit_breaker.begin(cluster):
        return failures.failed(claim, DataPlaneUnreachable(TRIED_BY_ANOTHER))
    answered = cluster.breaker_retry_at is None  # a bug says nothing about the cluster
    try:
        entry = _delete_pass(claim) if deployment.is_deleting else _apply_pass(claim)
        answered = entry.observed
    finally:
        circuit_breaker.end(cluster, answered=answered)
    return entry


def _known_silence(deployment: Deployment) -> str:
    """Why the cluster need not even be asked: an observer that lives got no answer from it for a minute."""
    cluster, now = deployment.cluster, timezone.now()
    if not cluster.unreachable_reason or cluster.last_seen_at is None or cluster.observer_until is None:
        return ""
    known = cluster.observer_until > now and now - cluster.last_seen_at > SILENT_AFTER
    return cluster.unreachable_reason if known else ""


def _delete_pass(claim: Claim) -> Record:
    driver = connections.driver_of(claim.deployment.cluster)
    steps = driver.delete_steps()
    ref = ref_of(claim.deployment)
    if not claim.deployment.steps.filter(operation=Operation.DELETE).exists():
        try:
            return _inventory(driver.observe(ref), steps)
        except DataPlaneError as error:
            return failures.failed(claim, error)  # without steps: the inventory is still to be made
    try:
        progress = driver.destroy(ref)
        failpoint("reconcile.after_apply")
    except DataPlaneError as error:
        return failures.failed(claim, error, Attempt(Operation.DELETE, steps))
    gone = progress.outcome is Outcome.FINISHED
    verdict = Verdict(Status.DELETED, "") if gone else Verdict(Status.DELETING, progress.sentence)
    return Record(
        verdict,
        plan.next_delay(
            Status.DELETING, None if gone else progress, healthy=driver.healthy_rest, scaled=False
        ),
        operation=Operation.DELETE,
        step_names=steps,
        progress=progress,
        components=() if gone else None,
        columns={"airflow_url": ""},
        gone=gone,
    )


def _inventory(observation: Observation, steps: tuple[StepName, ...]) -> Record:
    """The first pass of a delete removes nothing: it writes down what there is. That is the receipt, whichever process
    dies while it is removed."""
    found = ", ".join(item.text for item in observation.leftovers) or "nothing"
    sentence = f"Found {found}."
    return Record(
        Verdict(Status.DELETING, sentence),
        0.0,
        operation=Operation.DELETE,
        step_names=steps,
        progress=Progress(steps[0].key, Outcome.PROGRESSED, sentence),
        inventory=observation.leftovers,
        columns={"airflow_url": ""},
    )


def _apply_pass(claim: Claim) -> Record:
    deployment = claim.deployment
    driver = connections.driver_of(deployment.cluster)
    queues = list(deployment.queues.select_related("worker_type"))
    soon = min(deploys.advance(claim, driver), packages.look_ahead(claim, driver))
    release = release_of(deployment, queues)
    workers = {q.name: q.desired_workers for q in queues}
    ref = ref_of(deployment)
    steps = driver.create_steps(release)
    attempt = Attempt(_operation(deployment), steps)
    seen = None
    try:
        waiting = packages.follow(claim, driver)
        if deployment.code_requirements:
            release = release_of(deployment, queues)  # with packages that were resolved just now
        seen = _observed(driver, ref)
        wait = Progress(steps[0].key, Outcome.WAITING, waiting) if waiting else None
        progress, observation = (wait, seen) if wait else _step(claim, driver, ref, release, workers, seen)
        if observation.signs_in:
            people.write(claim, driver, ref)
    except DataPlaneError as error:
        people.write_all_the_same(claim, driver, ref, error)
        return _failed(claim, driver, error, attempt, queues, seen)
    verdict = plan.verdict(
        release=release,
        observation=observation,
        progress=progress,
        was_healthy=deployment.first_healthy_at is not None,
    )
    driver.upkeep(ref)
    soon = min(soon, activation.settle(claim, driver, verdict))
    scaled = _scale(queues, observation)
    return Record(
        verdict,
        min(soon, _next_look(driver, release, observation, verdict, progress, scaled, workers)),
        operation=attempt.operation,
        step_names=steps,
        progress=None if observation.unreachable_reason else _shown_progress(progress, steps, verdict),
        notices=progress.notices if progress else (),
        components=observation.components,
        queues=scaled,
        columns=_observed_columns(driver, ref, release, observation, verdict),
        signs_in=observation.signs_in,
    )


def _step(
    claim: Claim,
    driver: Driver,
    ref: Ref,
    release: Release,
    workers: Mapping[str, int],
    seen: Observation,
) -> tuple[Progress | None, Observation]:
    """One step towards the Release where what was `seen` differs, and what is observed then. Raises DataPlaneError."""
    if not plan.needs_apply(release, seen, workers) and not deploys.is_lost(claim, driver):
        return None, seen
    progress = driver.apply(ref, release, vault.read(claim.deployment), workers)
    failpoint("reconcile.after_apply")
    return progress, driver.observe(ref)


def _failed(
    claim: Claim,
    driver: Driver,
    error: DataPlaneError,
    attempt: Attempt,
    queues: list[WorkerQueue],
    seen: Observation | None,
) -> Record:
    """What to record of a step that failed, with what was `seen` before it. A step may be refused for days. What runs
    goes on: it is shown as it was seen, and a deploy whose image never comes up is given back all the same."""
    if isinstance(error, UpgradeFailed):
        return failures.upgrade_failed(claim, error, attempt)
    entry = failures.failed(claim, error, attempt)
    if seen is None or not entry.observed:
        return entry
    activation.settle(claim, driver, entry.verdict)
    return replace(entry, components=seen.components, queues=_scale(queues, seen))


def _observed(driver: Driver, ref: Ref) -> Observation:
    observation = driver.observe(ref)
    failpoint("reconcile.after_observe")
    return observation


def _next_look(
    driver: Driver,
    release: Release,
    observation: Observation,
    verdict: Verdict,
    progress: Progress | None,
    scaled: tuple[QueueRecord, ...],
    workers: Mapping[str, int],
) -> float:
    """In how many seconds to look again. `workers` are those of each queue that this pass asked for."""
    if observation.unreachable_reason:
        return plan.REST_UNREACHABLE
    more = any(record.desired_workers != workers.get(record.name) for record in scaled)
    if more:
        return 0.0
    seconds = _rest(driver, release, verdict, progress, scaled, editable=observation.ready)
    return seconds if observation.changes_in is None else min(seconds, observation.changes_in)


def _rest(
    driver: Driver,
    release: Release,
    verdict: Verdict,
    progress: Progress | None,
    scaled: tuple[QueueRecord, ...],
    *,
    editable: bool,
) -> float:
    """When to look next if no change arrives before: also when a queue may have fewer workers, which no watch
    reports."""
    seconds = plan.next_delay(
        verdict.status,
        progress,
        healthy=driver.healthy_rest,
        scaled=bool(release.queues) and not driver.load_wakes,
        watched=driver.load_wakes,
        editable=editable,
    )
    return min(seconds, plan.until_fewer((queue.scale_down_since for queue in scaled), timezone.now()))


def _shown_progress(progress: Progress | None, steps: tuple[StepName, ...], verdict: Verdict) -> Progress:
    """Where the steps stand: all done once it is Healthy, whatever the last call still did."""
    last = steps[-1].key
    if progress is None or (verdict.status is Status.HEALTHY and progress.step != last):
        return Progress(last, Outcome.FINISHED, "")
    return replace(progress, outcome=Outcome.FINISHED) if verdict.status is Status.HEALTHY else progress


def _operation(deployment: Deployment) -> Operation | None:
    """Whose steps this pass moves: none while it only keeps running what was applied."""
    if deployment.first_healthy_at is None:
        return Operation.CREATE
    return Operation.CHANGE if deployment.observed_generation != deployment.generation else None


def _observed_columns(
    driver: Driver, ref: Ref, release: Release, observation: Observation, verdict: Verdict
) -> dict[str, object]:
    """What else the page shows. Airflow can be opened once it was Healthy and while its API server answers."""
    columns: dict[str, object] = {"plane_details": driver.details(ref)}
    open_to_people = verdict.status is not Status.CREATING and not release.hibernating
    columns["airflow_url"] = (driver.endpoint(ref) or "") if open_to_people else ""
    if observation.digest == release.digest:
        columns["observed_generation"] = release.generation
    return columns


def _scale(queues: list[WorkerQueue], observation: Observation) -> tuple[QueueRecord, ...]:
    """Decide the desired workers of every queue that was observed."""
    now: datetime = timezone.now()
    loads = {load.name: load for load in observation.queues}
    records = []
    for queue in queues:
        load = loads.get(queue.name)
        if load is None:
            continue
        desired, scale_down_since = plan.scale(
            queue_spec(queue),
            desired=queue.desired_workers,
            queued=load.queued,
            running=load.running,
            scale_down_since=queue.scale_down_since,
            now=now,
        )
        seen = (load.queued, load.running, load.workers, load.draining)
        records.append(QueueRecord(queue.name, desired, scale_down_since, *seen))
    return tuple(records)
