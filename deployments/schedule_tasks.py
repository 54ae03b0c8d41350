"""Celery tasks that act in nobody's name: Deployments that sleep and wake by their schedules."""

import structlog
from celery import shared_task

from deployments.actions import running
from deployments.actions.common import NotNow

logger = structlog.get_logger(__name__)


@shared_task(name="deployments.schedule_tasks.follow_schedules", ignore_result=True)
def follow_schedules() -> int:
    """Act on every schedule of which a time has come; how many Deployments fell asleep or woke. What fails for one
    Deployment is logged and tried again by the next tick; the others go on."""
    now = running.database_now()
    acted = 0
    for schedule in running.due_schedules(now):
        with structlog.contextvars.bound_contextvars(deployment=str(schedule.deployment_id)):
            try:
                acted += running.follow_schedule(schedule, now)
            except NotNow:
                continue
            except Exception:
                logger.exception("schedule_failed")
    return acted
