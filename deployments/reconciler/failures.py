"""What is recorded when a pass could not take its step."""

from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from console.kit import disk
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, StepName, UpgradeFailed
from deployments.domain.states import Operation, Status
from deployments.models import UNKNOWN_AFTER, Deployment
from deployments.queries import upgrades
from deployments.reconciler import leases, plan, recording
from deployments.reconciler.leases import Claim
from deployments.reconciler.plan import Verdict
from deployments.reconciler.recording import Record


def status_under_error(deployment: Deployment) -> Status:
    """What the badge says while a step cannot be taken."""
    if deployment.is_deleting:
        return Status.DELETING
    return Status.CREATING if deployment.first_healthy_at is None else Status.UNHEALTHY


@dataclass(frozen=True)
class Attempt:
    """Whose steps a failed pass was at; none while only the inventory of a delete is made."""

    operation: Operation | None = None
    step_names: tuple[StepName, ...] = ()


def failed(claim: Claim, error: DataPlaneError, attempt: Attempt = Attempt()) -> Record:
    """A step that could not be taken: say why, and try again later and later."""
    deployment = claim.deployment
    failures = deployment.failures + 1
    seconds = plan.backoff(failures)
    if isinstance(error, DataPlaneUnreachable):
        return _unreachable(deployment, error, seconds, failures)
    sentence = f"{str(error).rstrip('.')}. Trying again in {seconds:.0f} s."
    return Record(
        Verdict(status_under_error(deployment), sentence),
        seconds,
        error=sentence,
        failures=failures,
        operation=attempt.operation,
        step_names=attempt.step_names,
    )


def upgrade_failed(claim: Claim, error: UpgradeFailed, attempt: Attempt) -> Record:
    """The database is as before the upgrade; the next pass, at once, goes on with the earlier runtime."""
    deployment = claim.deployment
    if deployment.upgrade_from is None:  # no way back is known: an error like any other
        return failed(claim, error, attempt)
    message = upgrades.sentence(deployment.runtime.version, deployment.upgrade_from.version, str(error))
    return Record(
        Verdict(Status.DEPLOYING, message),
        0.0,
        error=message,
        upgrade_failed=str(error),
        operation=attempt.operation,
        step_names=attempt.step_names,
    )


def _unreachable(deployment: Deployment, error: DataPlaneError, seconds: float, failures: int) -> Record:
    """Nothing is known. The last status is kept for two minutes, and is Unknown after that."""
    watched_at = deployment.fresh_at  # the observer's word counts: a quiet Deployment is hardly looked at
    silent = timezone.now() - watched_at
    verdict = Verdict(Status(deployment.status), deployment.status_reason)
    if silent > UNKNOWN_AFTER and not deployment.is_deleting:
        verdict = Verdict(Status.UNKNOWN, f"{error} Last answer {watched_at:%H:%M:%S} UTC.")
    elif deployment.is_deleting or deployment.first_healthy_at is None:
        verdict = Verdict(status_under_error(deployment), str(error))
    return Record(verdict, min(seconds, 10.0), observed=False, failures=failures)


def unexpected(claim: Claim, error: Exception) -> None:
    """Record a bug or an unforeseen fault: put the row off first, then say so on the page. That Airdeck's own database
    was lost for a moment says nothing about the Deployment: its status stays."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # else the lease, too, would be held until it ends
    count = claim.deployment.failures + 1
    seconds = plan.backoff(count)
    leases.postpone(claim, seconds, failures=count)
    if disk.is_full(error):
        sentence = disk.FULL
    elif isinstance(error, InterfaceError | OperationalError):
        return
    else:
        sentence = (
            f"An unexpected {type(error).__name__} stopped this pass. It is tried again by itself; "
            "if it goes on, an operator finds the details in the worker's log."
        )
    verdict = Verdict(status_under_error(claim.deployment), sentence)
    recording.record(claim, Record(verdict, seconds, observed=False, failures=count))
