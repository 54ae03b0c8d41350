"""Putting a Deployment to sleep and waking it, by hand and by its schedule."""

from datetime import datetime

from django.db.models.functions import Now

from console.kit.database_clock import database_now
from console.kit.refusals import InvalidInput
from deployments.actions.common import changing
from deployments.actions.refusals import EditConflict, NotNow
from deployments.domain import schedules
from deployments.domain.field_values import FieldValues
from deployments.models import Deployment, HibernationSchedule
from workspaces import acting, audit
from workspaces.models import User

ITS_SCHEDULE = "its schedule"

SCHEDULE = ("hibernate_cron", "wake_cron", "time_zone", "enabled")


def hibernate(*, deployment: Deployment, by: User) -> bool:
    """Ask for it to sleep: every process ends, and tasks that run fail. Idempotent: whether it was awake. Raises
    NotNow."""
    with changing(deployment, by=by) as row:
        return _fall_asleep(row, by, acting.named(by.label))


def wake(*, deployment: Deployment, by: User) -> bool:
    """Ask for it to run again. Whether it was asleep. Raises NotNow."""
    with changing(deployment, by=by) as row:
        return _wake_up(row, by)


def set_wakes_on_open(*, deployment: Deployment, by: User, on: bool) -> bool:
    """Whether any member of its Workspace wakes it by opening its Airflow. Returns whether that changed anything.
    Raises NotNow."""
    with changing(deployment, by=by) as row:
        if row.wakes_on_open == on:
            return False
        row.wakes_on_open = on
        row.save(update_fields=["wakes_on_open"])
        words = ("no", "yes")
        audit.record(
            row,
            by,
            "changed the wake setting of",
            old={"wake_when_opened": words[not on]},
            new={"wake_when_opened": words[on]},
        )
    return True


def wake_by_opening(*, deployment: Deployment, by: User) -> bool:
    """Wake it for a member who opened its Airflow. Returns whether it was hibernating. Raises NotNow, also where that
    is not switched on."""
    with changing(deployment, by=by) as row:
        if row.hibernating and not row.wakes_on_open:
            raise NotNow("Opening this Deployment does not wake it up. Ask an Editor to wake it up.")
        return _wake_up(row, by, because="a member opened its Airflow")


def _fall_asleep(row: Deployment, by: User | None, cause: str) -> bool:
    if row.hibernating:
        return False
    row.hibernating, row.hibernation_cause, row.airflow_url = True, cause[:100], ""
    row.save(update_fields=["hibernating", "hibernation_cause", "airflow_url"])
    audit.record(row, by, "hibernated", new={} if by else {"because": "of its schedule"})
    return True


def _wake_up(row: Deployment, by: User | None, because: str = "") -> bool:
    if not row.hibernating:
        return False
    row.hibernating, row.hibernation_cause = False, ""
    row.save(update_fields=["hibernating", "hibernation_cause"])
    because = because or ("" if by else "of its schedule")
    audit.record(row, by, "woke", new={"because": because} if because else {})
    return True


def schedule_settings(schedule: HibernationSchedule | None) -> FieldValues:
    """What the form of a schedule shows; empty without one."""
    return {name: getattr(schedule, name) for name in SCHEDULE} if schedule else {}


def set_schedule(
    *, deployment: Deployment, by: User, shown: FieldValues, desired: FieldValues
) -> HibernationSchedule:
    """When it sleeps and wakes by itself, if that still is as `shown`. Either expression may be
    empty. Nothing happens before the next time. Raises InvalidInput, EditConflict and NotNow."""
    if problems := schedules.problems(desired):
        raise InvalidInput(problems)
    with changing(deployment, by=by) as row:
        held = HibernationSchedule.objects.filter(deployment=row).first()
        old = schedule_settings(held)
        if held is not None and old == desired:
            return held
        if old != shown:
            raise EditConflict(old)
        saved = store_schedule(row, desired)
        Deployment.objects.filter(pk=row.pk).update(updated_at=Now(), updated_by=by)
        changed = {name for name in desired if old.get(name) != desired[name]}
        audit.record(
            row,
            by,
            "changed the hibernation schedule of",
            old={name: old[name] for name in changed if name in old},
            new={name: desired[name] for name in changed},
        )
    return saved


def store_schedule(row: Deployment, desired: FieldValues) -> HibernationSchedule:
    """Write a schedule that was judged, inside the transaction of its change. Its next times count from now."""
    now = database_now()
    zone = str(desired["time_zone"])
    times = {
        "next_hibernate_at": schedules.following(str(desired["hibernate_cron"]), zone, now),
        "next_wake_at": schedules.following(str(desired["wake_cron"]), zone, now),
    }
    saved, _ = HibernationSchedule.objects.update_or_create(
        deployment=row, defaults={**desired, **(times if desired["enabled"] else dict.fromkeys(times))}
    )
    return saved


def due_schedules(now: datetime) -> list[HibernationSchedule]:
    """Schedules of which a time has come, of Deployments that can be changed."""
    rows = HibernationSchedule.objects.filter(
        enabled=True,
        deployment__delete_requested_at__isnull=True,
        deployment__deleted_at__isnull=True,
        deployment__first_healthy_at__isnull=False,
    )
    due = rows.filter(next_hibernate_at__lte=now) | rows.filter(next_wake_at__lte=now)
    return list(due.select_related("deployment").order_by("pk")[:200])


def follow_schedule(schedule: HibernationSchedule, now: datetime) -> bool:
    """Do what a due schedule says, once however many ask at the same time: of times that were missed only the last
    counts, and of a sleep and a wake at the same minute the wake. Whether anything was done. Raises NotNow."""
    zone = schedule.time_zone
    sleeps = _last_due(schedule.hibernate_cron, zone, schedule.next_hibernate_at, now)
    wakes = _last_due(schedule.wake_cron, zone, schedule.next_wake_at, now)
    with changing(schedule.deployment, by=None) as row:
        mine = HibernationSchedule.objects.filter(
            pk=schedule.pk,
            enabled=True,
            hibernate_cron=schedule.hibernate_cron,
            wake_cron=schedule.wake_cron,
            next_hibernate_at=schedule.next_hibernate_at,
            next_wake_at=schedule.next_wake_at,
        ).update(
            next_hibernate_at=schedules.following(schedule.hibernate_cron, schedule.time_zone, now),
            next_wake_at=schedules.following(schedule.wake_cron, schedule.time_zone, now),
        )
        if not mine:
            return False
        if wakes is not None and (sleeps is None or wakes >= sleeps):
            return _wake_up(row, None)
        return _fall_asleep(row, None, ITS_SCHEDULE)


def _last_due(cron: str, zone: str, since: datetime | None, now: datetime) -> datetime | None:
    """The last of its times from `since` to `now`; None when there is none yet."""
    if since is None or since > now:
        return None
    return schedules.latest(cron, zone, since, now)
