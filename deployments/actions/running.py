"""What a whole Deployment is asked to do: another runtime, sleep, a schedule, another Workspace."""

from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from console.kit import events
from deployments import clusters, schedules, upgrades
from deployments.actions.common import NotNow, changing
from deployments.actions.editing import ChangedMeanwhile, Settings
from deployments.actions.lifecycle import ClusterClosed, NameTaken, WorkspaceGone
from deployments.audit import record_deployment
from deployments.models import Cluster, Deployment, HibernationSchedule, RuntimeRelease
from workspaces.access import may
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Permission

ITS_SCHEDULE = "its schedule"
SCHEDULE = ("hibernate_cron", "wake_cron", "time_zone", "enabled")


class RuntimeNotOffered(Exception):
    """The runtime is not newer than the Deployment's own, or an operator took it out of the offer meanwhile."""


class NotOpenToYou(Exception):
    """The actor may not create Deployments in the target Workspace."""


def upgrade_runtime(*, deployment: Deployment, by: User, to: RuntimeRelease) -> bool:
    """Ask for a newer runtime; whether that differs from what is asked already. The metadata database is migrated, and
    when that fails the reconciler goes back: to the runtime that the database is at now, also when that one never
    became Healthy. Raises RuntimeNotOffered and NotNow."""
    with changing(deployment, by=by) as row:
        if row.runtime_id == to.pk:
            return False
        if said := upgrades.under_way(row):
            raise NotNow(said)
        if to not in upgrades.newer(row):
            raise RuntimeNotOffered(to.version)
        old = row.runtime
        row.runtime, row.upgrade_from, row.upgrade_trouble = to, old, ""
        row.save(update_fields=["runtime", "upgrade_from", "upgrade_trouble"])
        values = {"old": {"runtime": old.version}, "new": {"runtime": to.version}}
        record_deployment(row, by, "asked to upgrade", **values)
    return True


def dismiss_failed_upgrade(*, deployment: Deployment, by: User) -> bool:
    """Take what is said about the last upgrade off its page; the Activity keeps it. Whether there was something. Raises
    NotNow."""
    with changing(deployment, by=by) as row:
        if not row.upgrade_trouble:
            return False
        record_deployment(
            row, by, "dismissed the failed upgrade of", old={"reason": row.upgrade_trouble[:500]}
        )
        row.upgrade_trouble = ""
        row.save(update_fields=["upgrade_trouble"])
        transaction.on_commit(lambda: _show_anew(row.workspace), robust=True)
    return True


def hibernate(*, deployment: Deployment, by: User) -> bool:
    """Ask for it to sleep: every process ends, and tasks that run fail. Twice is once: whether it was awake. Raises
    NotNow."""
    with changing(deployment, by=by) as row:
        return _fall_asleep(row, by, by.label)


def wake(*, deployment: Deployment, by: User) -> bool:
    """Ask for it to run again. Whether it was asleep. Raises NotNow."""
    with changing(deployment, by=by) as row:
        return _wake_up(row, by)


def _fall_asleep(row: Deployment, by: User | None, cause: str) -> bool:
    if row.hibernating:
        return False
    row.hibernating, row.hibernation_cause, row.airflow_url = True, cause[:100], ""
    row.save(update_fields=["hibernating", "hibernation_cause", "airflow_url"])
    record_deployment(row, by, "hibernated", new={} if by else {"because": "of its schedule"})
    return True


def _wake_up(row: Deployment, by: User | None) -> bool:
    if not row.hibernating:
        return False
    row.hibernating, row.hibernation_cause = False, ""
    row.save(update_fields=["hibernating", "hibernation_cause"])
    record_deployment(row, by, "woke", new={} if by else {"because": "of its schedule"})
    return True


def schedule_settings(schedule: HibernationSchedule | None) -> Settings:
    """What the form of a schedule shows; empty without one."""
    return {name: getattr(schedule, name) for name in SCHEDULE} if schedule else {}


def set_schedule(
    *, deployment: Deployment, by: User, shown: Settings, wanted: Settings
) -> HibernationSchedule:
    """When it sleeps and wakes by itself, if that still is as `shown`. Expressions come from `schedules.clean_cron`;
    either may be empty. Nothing happens before the next time. Raises ChangedMeanwhile and NotNow."""
    with changing(deployment, by=by) as row:
        held = HibernationSchedule.objects.filter(deployment=row).first()
        old = schedule_settings(held)
        if held is not None and old == wanted:
            return held
        if old != shown:
            raise ChangedMeanwhile(old)
        now = database_now()
        zone = str(wanted["time_zone"])
        times = {
            "next_hibernate_at": schedules.following(str(wanted["hibernate_cron"]), zone, now),
            "next_wake_at": schedules.following(str(wanted["wake_cron"]), zone, now),
        }
        saved, _ = HibernationSchedule.objects.update_or_create(
            deployment=row, defaults={**wanted, **(times if wanted["enabled"] else dict.fromkeys(times))}
        )
        Deployment.objects.filter(pk=row.pk).update(updated_at=Now(), updated_by=by)
        changed = {name for name in wanted if old.get(name) != wanted[name]}
        record_deployment(
            row,
            by,
            "changed the hibernation schedule of",
            old={name: old[name] for name in changed if name in old},
            new={name: wanted[name] for name in changed},
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
    sleeps, wakes = (
        schedules.latest(cron, schedule.time_zone, at, now) if at is not None and at <= now else None
        for cron, at in (
            (schedule.hibernate_cron, schedule.next_hibernate_at),
            (schedule.wake_cron, schedule.next_wake_at),
        )
    )
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


def database_now() -> datetime:
    """The database's clock: machines that evaluate schedules may disagree, it does not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def transfer_deployment(*, deployment: Deployment, by: User, to: Workspace) -> Deployment:
    """Move it to another Workspace, in which the actor may create Deployments and to which its cluster is open. Nothing
    restarts. Raises NotOpenToYou, ClusterClosed, NameTaken, WorkspaceGone and NotNow."""
    try:
        with changing(deployment, by=by) as row:
            source = row.workspace
            if source.pk == to.pk:
                return row
            membership = Membership.objects.select_related("workspace").filter(workspace=to, user=by).first()
            if membership is None or not may(membership, Permission.CREATE_DEPLOYMENT):
                raise NotOpenToYou(to.name)
            clusters.hold(row.cluster)
            open_to = Q(restricted=False) | Q(workspaces=to)
            if not Cluster.objects.filter(open_to, pk=row.cluster_id).exists():
                raise ClusterClosed(row.cluster.name)
            values = {"old": {"workspace": source.name}, "new": {"workspace": to.name}}
            record_deployment(row, by, "transferred", **values)
            row.workspace = to
            Deployment.objects.filter(pk=row.pk).update(
                workspace=to, updated_at=Now(), updated_by=by, changed_at=Now()
            )
            record_deployment(row, by, "transferred", **values)
            transaction.on_commit(lambda: _show_anew(source, to), robust=True)
    except IntegrityError as error:
        if "deployment_name_once_per_workspace" in str(error):
            raise NameTaken(deployment.name) from error
        if not Workspace.objects.filter(pk=to.pk).exists():
            raise WorkspaceGone(str(to.pk)) from error
        raise
    deployment.refresh_from_db()
    return deployment


def _show_anew(*workspaces: Workspace) -> None:
    """Open pages of these Workspaces fetch what they show again."""
    for workspace in workspaces:
        events.publish(f"w:{workspace.pk}", [events.Frame("resync")])
