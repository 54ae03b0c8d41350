"""Celery tasks. Messages are hints: ids only, early acknowledgement; a lost or doubled one changes nothing, because
the row's due time and lease decide, and the sweep finds every due row again."""

import time
from datetime import datetime
from uuid import UUID

from celery import shared_task

from console.kit import hints
from deployments import checking, leases
from deployments.reconcile import reconcile

TASK_BUDGET_SECONDS = 20.0  # one Deployment's passes in a row, before others get their turn
SWEEP_BATCH = 200


@shared_task(name="deployments.tasks.reconcile", ignore_result=True)
def reconcile_task(pk: str) -> None:
    """Run passes over one row for as long as each makes progress, within the budget."""
    deadline = time.monotonic() + TASK_BUDGET_SECONDS
    while reconcile(UUID(pk)):
        if time.monotonic() > deadline:
            hint(UUID(pk))
            return


@shared_task(name="deployments.tasks.sweep", ignore_result=True)
def sweep() -> int:
    """The guarantee: hint every due row that nobody works on, and every cluster that is to be looked at."""
    for pk in checking.due().values_list("pk", flat=True):
        hint_check(pk)
    rows = due_rows()
    for pk, _ in rows:
        hint(pk)
    return len(rows)


def due_rows() -> list[tuple[UUID, datetime]]:
    """Rows that wait for a pass, longest first, each with the moment since which it is due."""
    return list(leases.due().values_list("pk", "due_at")[:SWEEP_BATCH])


def hint(pk: UUID) -> bool:
    """Ask a worker to look at a row now; see `hints.send`."""
    return hints.send(reconcile_task, pk)


@shared_task(name="deployments.tasks.check_cluster", ignore_result=True, time_limit=240, soft_time_limit=230)
def check_cluster_task(pk: str) -> None:
    """Look at a cluster: seconds, and up to three minutes with the test of network isolation."""
    checking.check(UUID(pk))


def hint_check(pk: UUID) -> bool:
    """Ask a worker to look at a cluster now; see `hints.send`."""
    return hints.send(check_cluster_task, pk)
