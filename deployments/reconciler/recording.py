"""The only writer of observed state. Each record is one transaction, fenced by the lease: a pass that lost its
lease writes nothing. What changed is pushed as rendered fragments once it is committed."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from console.kit import events
from deployments.dataplane.contract import Component, Leftover, Progress, StepName
from deployments.domain.states import Operation, Status
from deployments.models import Cluster, ComponentStatus, Deployment, GitSource, StatusChange, WorkerQueue
from deployments.presenters import fragments
from deployments.reconciler import reading_records, steps, upgrades
from deployments.reconciler.leases import Claim, next_due
from deployments.reconciler.plan import Verdict
from deployments.secrets import vault
from workspaces import audit

logger = structlog.get_logger(__name__)


SIGN_IN_TAKEN_OVER = (
    "Open Airflow signs people in as themselves from now on, with the role that they have in the Workspace."
)
MOST_ROUNDS = 5  # of one publish, of a row that others change all the while; then pages have their poll


class LeaseLost(Exception):
    """Another pass claimed the row in the meantime: what this one knows is stale and is not written."""


@dataclass(frozen=True)
class QueueRecord:
    """What the scaler saw and decided for one queue."""

    name: str
    desired_workers: int
    scale_down_since: datetime | None
    queued: int
    running: int
    workers: int
    draining: int


@dataclass(frozen=True)
class Record:
    """All that one pass learned. None means "nothing new about this"."""

    verdict: Verdict
    next_look: float  # seconds; ignored when the row was made due during the pass
    operation: Operation | None = None  # whose steps `progress` or `error` belongs to
    step_names: tuple[StepName, ...] = ()
    progress: Progress | None = None
    error: str = ""
    inventory: tuple[Leftover, ...] = ()  # what a delete is about to remove: its receipt
    components: tuple[Component, ...] | None = None
    queues: tuple[QueueRecord, ...] = ()
    notices: tuple[str, ...] = ()  # what was put right, for the Activity
    columns: dict[str, Any] = field(default_factory=dict)  # airflow_url, plane_details, observed_generation
    signs_in: bool | None = None  # whether its API server takes people from the console
    observed: bool = True  # whether the data plane answered
    failures: int = 0
    upgrade_failed: str = ""  # why: the earlier runtime is desired again
    gone: bool = False  # nothing is left of it


def record(claim: Claim, entry: Record) -> bool:
    """Write what a pass learned; True when a person would see a difference. Raises LeaseLost."""
    with transaction.atomic():
        row = Deployment.objects.select_for_update(of=("self",)).get(pk=claim.deployment.pk)
        if row.lease_epoch != claim.epoch:
            raise LeaseLost(str(row.pk))
        now = timezone.now()
        writes: dict[str, Any] = {"due_at": next_due(claim, entry.next_look)}
        if entry.signs_in is not None:
            writes["signs_in"] = entry.signs_in
        if entry.observed:
            writes["observed_at"] = Now()
        # A person may have asked for something else during this pass. What it saw is so; what it says of the wish
        # before that one, and how often that failed, is no longer asked.
        current = row.generation == claim.deployment.generation
        changed = False
        if current:
            writes["failures"] = entry.failures
            changed = _write_steps(row, entry, now) | _write_verdict(row, entry, now, writes)
        if not row.is_deleting or claim.deployment.is_deleting:
            changed |= _write_parts(row, entry)
            _end_upgrade(claim, row, entry)
            _reset_queue_counters(row, entry)
        if changed:
            writes["changed_at"] = Now()
            transaction.on_commit(partial(publish, row.pk), robust=True)
        Deployment.objects.filter(pk=row.pk).update(**writes)
    return changed


@transaction.atomic
def mark_all_restarted(cluster: Cluster) -> int:
    """Every process of the embedded default ended, and with them every Airflow on this machine: say so, and make
    all its rows due. No lease outlives its worker. How many Deployments are started again. For `up`, before any
    worker runs."""
    rows = Deployment.objects.filter(cluster=cluster, deleted_at__isnull=True)
    rows.update(lease_until=None, due_at=Now(), failures=0)
    rows = rows.filter(hibernating=False)  # the others sleep on
    ran = rows.filter(status__in=[Status.HEALTHY, Status.UNHEALTHY, Status.DEPLOYING, Status.UNKNOWN])
    reason = "Airdeck was started again, and starts this Airflow again."
    StatusChange.objects.bulk_create(
        StatusChange(deployment=row, old=row.status, new=Status.UNHEALTHY, reason=reason)
        for row in ran.exclude(status=Status.UNHEALTHY)
    )
    ComponentStatus.objects.filter(deployment__in=ran).delete()
    return ran.update(
        status=Status.UNHEALTHY,
        status_reason=reason,
        status_since=Now(),
        changed_at=Now(),
        observed_at=Now(),
        airflow_url="",
    )


def _reset_queue_counters(row: Deployment, entry: Record) -> None:
    """Reset the counters of its queues when a Deployment starts hibernating."""
    if entry.verdict.status is Status.HIBERNATING and row.status != Status.HIBERNATING:
        row.queues.update(queued=0, running=0, live_workers=0, draining=0, scale_down_since=None)


def _end_upgrade(claim: Claim, row: Deployment, entry: Record) -> None:
    """Settle the upgrade that this pass was about; a person may have asked for something else in the meantime."""
    if row.upgrade_from_id is None or row.runtime_id != claim.deployment.runtime_id:
        return
    if entry.upgrade_failed:
        upgrades.give_up(row, entry.upgrade_failed)
    elif entry.verdict.status is Status.HEALTHY:
        upgrades.completed(row)


def publish_badges(cluster_id: UUID) -> None:
    """Show on every open page that a cluster fell silent, or answers again: nothing of its Deployments changed, and
    what their pages say is worth less or more. A row that changes while this is sent is published again."""
    rows = Deployment.objects.select_related("cluster", "runtime").filter(
        cluster_id=cluster_id, deleted_at__isnull=True
    )
    shown: dict[UUID, datetime] = {}
    for workspace_id, members in groupby(rows.order_by("workspace_id"), key=lambda row: row.workspace_id):
        badges = list(members)
        if events.publish(f"w:{workspace_id}", fragments.badge_frames(badges)):
            shown |= {row.pk: row.changed_at for row in badges}
    again = Deployment.objects.filter(pk__in=shown)
    for pk, changed_at in again.values_list("pk", "changed_at"):
        if changed_at != shown[pk]:
            publish(pk)


def publish(pk: UUID) -> None:
    """Render badge and live region once, for every open page of the Workspace. Another process may have changed the row
    since it was read, and published that first: then it is read and published once more, so that the frame that arrives
    last says what is so. One query more than what is rendered takes."""
    rows = Deployment.objects.filter(pk=pk)
    for _ in range(MOST_ROUNDS):
        row = rows.select_related("cluster", "runtime", "workspace").first()
        if row is None or not events.publish(f"w:{row.workspace_id}", fragments.frames(row)):
            return  # what was dropped is made up for by a resync
        if not rows.exclude(changed_at=row.changed_at).exists():
            return


def _write_steps(row: Deployment, entry: Record, now: datetime) -> bool:
    if entry.operation is None or not entry.step_names:
        return False
    return steps.write(
        row,
        entry.operation,
        entry.step_names,
        progress=entry.progress,
        error=entry.error,
        now=now,
        inventory=entry.inventory,
    )


def _write_parts(row: Deployment, entry: Record) -> bool:
    """What was seen and put right, whatever was desired."""
    changed = False
    if entry.components is not None:
        changed |= _write_components(row, entry.components)
    for queue in entry.queues:
        _write_queue(row, queue)
    if entry.signs_in and not row.signs_in and row.first_healthy_at is not None:
        audit.record(row, None, "took over the sign-in of", new={"sign-in": SIGN_IN_TAKEN_OVER})
    for notice in entry.notices:
        audit.record(row, None, "repaired", new={"repair": notice[:1000]})
    if entry.gone:
        vault.forget(row)
        GitSource.objects.filter(deployment=row).delete()
        row.code_manifests.all().delete()  # with its uploads; the deploys stay as history
        row.package_sets.all().delete()
        reading_records.forget(row)
    return changed


def _write_verdict(row: Deployment, entry: Record, now: datetime, writes: dict[str, Any]) -> bool:
    """Add to `writes` what differs; report to the log and the time line a change of status."""
    desired: dict[str, Any] = {
        "status": entry.verdict.status.value,
        "status_reason": entry.verdict.reason[:1000],
        **entry.columns,
    }
    differing = {name: value for name, value in desired.items() if getattr(row, name) != value}
    writes.update(differing)
    if entry.gone:
        writes["deleted_at"] = now
    if entry.verdict.status is Status.HEALTHY and row.first_healthy_at is None:
        writes["first_healthy_at"] = now
    if "status" in differing:
        writes["status_since"] = now
        StatusChange.objects.create(
            deployment=row, old=row.status, new=desired["status"], reason=desired["status_reason"]
        )
        logger.info("status_changed", deployment=str(row.pk), old=row.status, new=desired["status"])
    return bool(differing) or entry.gone


def _write_components(row: Deployment, components: tuple[Component, ...]) -> bool:
    """Make the component rows equal to what was observed; True when one differed."""
    existing = {c.name: c for c in row.components.all()}
    differing: list[ComponentStatus] = []
    for position, component in enumerate(components):
        values = {
            "position": position,
            "state": component.state.value,
            "ready": component.ready,
            "desired": component.desired,
            "reason": component.reason[:1000],
            "last_line": component.last_line[:1000],
            "restarts": component.restarts,
        }
        known = existing.pop(component.name, None)
        if known is None or any(getattr(known, name) != value for name, value in values.items()):
            differing.append(ComponentStatus(deployment=row, name=component.name, **values))
    if differing:
        ComponentStatus.objects.bulk_create(
            differing,
            update_conflicts=True,
            unique_fields=("deployment", "name"),
            update_fields=("position", "state", "ready", "desired", "reason", "last_line", "restarts"),
        )
    if existing:
        ComponentStatus.objects.filter(pk__in=[c.pk for c in existing.values()]).delete()
    return bool(differing or existing)


def _write_queue(row: Deployment, queue: QueueRecord) -> None:
    WorkerQueue.objects.filter(deployment=row, name=queue.name).update(
        desired_workers=queue.desired_workers,
        scale_down_since=queue.scale_down_since,
        queued=queue.queued,
        running=queue.running,
        live_workers=queue.workers,
        draining=queue.draining,
    )
