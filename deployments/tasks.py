"""Celery tasks. Messages are hints: ids only, early acknowledgement; a lost or doubled one changes nothing, because
the row's due time and lease decide, and the sweep finds every due row again."""

import time
from uuid import UUID

import structlog
from celery import shared_task

from console.kit.database_clock import database_now
from deployments import enqueue
from deployments.actions import hibernation
from deployments.actions.refusals import NotNow
from deployments.clusters import checks
from deployments.reconciler import alert_delivery, alert_outbox, alerts, git_sources, people, turns
from deployments.reconciler.leases import due_rows
from deployments.reconciler.reconcile import reconcile

logger = structlog.get_logger(__name__)

TURN_TRIES = 3  # rows that another worker may take first, before a message is given up
TASK_BUDGET_SECONDS = 20.0  # one Deployment's passes in a row, before others get their turn


@shared_task(name="deployments.tasks.reconcile", ignore_result=True)
def reconcile_task(pk: str) -> None:
    """Run passes over one row for as long as each makes progress, the budget lasts and no other Workspace has the turn.
    It need not be the row of the message (`turns`)."""
    deadline = time.monotonic() + TASK_BUDGET_SECONDS
    row = _first_pass(UUID(pk))
    while row is not None:
        if time.monotonic() > deadline or turns.next_row(row) != row:
            enqueue.reconcile(row)
            return
        row = row if reconcile(row) else None


def _first_pass(hinted: UUID) -> UUID | None:
    """One pass over the row whose turn it is; that row if another is worth running at once. Where another worker was
    given the same row and took it, the turn is good for the next one."""
    for _ in range(TURN_TRIES):
        row = turns.next_row(hinted)
        if row is None:
            return None
        again = reconcile(row)
        if again is not None:
            return row if again else None
    return None


@shared_task(name="deployments.tasks.sweep", ignore_result=True)
def sweep() -> int:
    """The guarantee: hint the due rows that no pass works on, and every cluster that is to be looked at."""
    people.mark_changed()
    for pk in checks.due().values_list("pk", flat=True):
        enqueue.check_cluster(pk)
    for key in git_sources.due_keys():
        enqueue.check_git(key)
    return enqueue.reconcile_first([pk for pk, _ in due_rows()])


@shared_task(name="deployments.tasks.check_cluster", ignore_result=True, time_limit=240, soft_time_limit=230)
def check_cluster_task(pk: str) -> None:
    """Look at a cluster: seconds, and up to three minutes with the test of network isolation."""
    checks.check(UUID(pk))


@shared_task(name="deployments.tasks.check_git", ignore_result=True, time_limit=200, soft_time_limit=190)
def check_git_task(pk: str) -> None:
    """Look at a Git repository: a second, and up to two and a half minutes when there is much to fetch."""
    git_sources.check(UUID(pk))


@shared_task(name="deployments.schedule_tasks.follow_schedules", ignore_result=True)
def follow_schedules() -> int:
    """Act on every schedule of which a time has come; how many Deployments fell asleep or woke. What fails for one
    Deployment is logged and tried again by the next tick; the others go on."""
    now = database_now()
    acted = 0
    for schedule in hibernation.due_schedules(now):
        with structlog.contextvars.bound_contextvars(deployment=str(schedule.deployment_id)):
            try:
                acted += hibernation.follow_schedule(schedule, now)
            except NotNow:
                continue
            except Exception:
                logger.exception("schedule_failed")
    return acted


@shared_task(name="deployments.tasks.follow_alerts", ignore_result=True)
def follow_alerts() -> int:
    """See what rules of alerts are about, and hint every message that is due; how many moves."""
    moves = alerts.follow()
    alert_outbox.make_digests()
    alert_outbox.hint_due()
    return moves


@shared_task(name="deployments.tasks.prune_alerts", ignore_result=True)
def prune_alerts() -> int:
    """Drop old alerts and messages; how many rows."""
    return alert_outbox.prune()


@shared_task(name="deployments.tasks.send_alert", ignore_result=True)
def send_alert_task(pk: str) -> None:
    """Send one message of an alert."""
    alert_delivery.send(UUID(pk))
