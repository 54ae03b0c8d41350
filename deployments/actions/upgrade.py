"""What a whole Deployment is asked to do: another runtime, sleep, a schedule, another Workspace."""

from django.db import transaction

from deployments.actions.common import changing, show_again
from deployments.actions.refusals import NotNow, RuntimeNotOffered
from deployments.models import Deployment, RuntimeRelease
from deployments.queries import upgrades
from workspaces import audit
from workspaces.models import User


def upgrade_runtime(*, deployment: Deployment, by: User, to: RuntimeRelease) -> bool:
    """Ask for a newer runtime; whether that differs from what is asked already. The metadata database is migrated, and
    when that fails the reconciler goes back: to the runtime that the database is at now, also when that one never
    became Healthy. Raises RuntimeNotOffered and NotNow."""
    with changing(deployment, by=by) as row:
        if row.runtime_id == to.pk:
            return False
        if message := upgrades.under_way(row):
            raise NotNow(message)
        if to not in upgrades.newer(row):
            raise RuntimeNotOffered
        old = row.runtime
        row.runtime, row.upgrade_from, row.upgrade_error = to, old, ""
        row.save(update_fields=["runtime", "upgrade_from", "upgrade_error"])
        values = {"old": {"runtime": old.version}, "new": {"runtime": to.version}}
        audit.record(row, by, "asked to upgrade", **values)
    return True


def dismiss_failed_upgrade(*, deployment: Deployment, by: User) -> bool:
    """Take what is shown about the last upgrade off its page; the Activity keeps it. Whether there was something.
    Raises NotNow."""
    with changing(deployment, by=by) as row:
        if not row.upgrade_error:
            return False
        audit.record(row, by, "dismissed the failed upgrade of", old={"reason": row.upgrade_error[:500]})
        row.upgrade_error = ""
        row.save(update_fields=["upgrade_error"])
        transaction.on_commit(lambda: show_again(row.workspace), robust=True)
    return True
