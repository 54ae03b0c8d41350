"""What operators do to Deployments, clusters and runtimes. Atomic, explicit actor, audit event in the same
transaction; each returns the sentence that says what happened, and raises ActionRefused with the reason."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.refusals import ActionRefused
from deployments import enqueue
from deployments.models import Cluster, Deployment, RuntimeRelease
from workspaces import audit
from workspaces.models import User, Workspace

NAMED = 5  # Workspaces that a refusal names


@transaction.atomic
def reconcile_now(*, deployment: Deployment, by: User) -> str:
    """Make the row due now and forget its back-off. Raises ActionRefused when it is gone."""
    _wake(deployment, failures=0)
    audit.record(deployment, by, "reconciled")
    return f"{deployment.name} is looked at now."


@transaction.atomic
def release_lease(*, deployment: Deployment, by: User) -> str:
    """Take the row from a pass that hangs: its lease ends, what it still wants to record is refused (a new epoch),
    and another pass may start. Raises ActionRefused when the Deployment is gone or no pass holds a lease."""
    if not Deployment.objects.filter(pk=deployment.pk, lease_until__gt=Now()).exists():
        raise ActionRefused(
            f"No pass works on {deployment.name} now. Use Reconcile now to have it looked at."
        )
    _wake(deployment, lease_until=None, lease_epoch=F("lease_epoch") + 1)
    audit.record(deployment, by, "released the lease of")
    return f"The lease of {deployment.name} is released, and it is looked at now."


def _wake(deployment: Deployment, **changes: Any) -> None:
    rows = Deployment.objects.filter(pk=deployment.pk, deleted_at__isnull=True)
    if not rows.update(due_at=Now(), **changes):
        raise ActionRefused(f"{deployment.name} is deleted. There is nothing to reconcile.")
    transaction.on_commit(partial(enqueue.reconcile, deployment.pk), robust=True)


@transaction.atomic
def set_yanked(*, runtime: RuntimeRelease, by: User, yanked: bool) -> str:
    """A yanked runtime is no longer offered; Deployments that have it keep it. Idempotent."""
    if not RuntimeRelease.objects.filter(pk=runtime.pk, yanked=not yanked).update(yanked=yanked):
        return f"Runtime {runtime.version} was {'yanked' if yanked else 'not yanked'} already."
    audit.record(runtime, by, "yanked" if yanked else "restored")
    return f"Runtime {runtime.version} is {'yanked' if yanked else 'no longer yanked'}."


@transaction.atomic
def deprecate(*, runtime: RuntimeRelease, by: User) -> str:
    """End a runtime's maintenance: it was maintained until yesterday. Back is `maintain` with a later day."""
    today = timezone.now().date()
    if runtime.maintained_until < today:
        return f"Runtime {runtime.version} was deprecated already."
    maintain(runtime=runtime, by=by, until=today - timedelta(days=1))
    return f"Runtime {runtime.version} is deprecated. A later day in Maintained until takes that back."


@transaction.atomic
def maintain(*, runtime: RuntimeRelease, by: User, until: date) -> None:
    """Set the last day of a runtime's maintenance. Saying the same again writes nothing."""
    locked = RuntimeRelease.objects.select_for_update().get(pk=runtime.pk)
    if locked.maintained_until == until:
        return
    old, locked.maintained_until = locked.maintained_until, until
    locked.save(update_fields=["maintained_until"])
    audit.record(
        locked,
        by,
        "changed the end of maintenance of",
        old={"maintained_until": old.isoformat()},
        new={"maintained_until": until.isoformat()},
    )


@transaction.atomic
def set_access(*, cluster: Cluster, by: User, restricted: bool, workspaces: Iterable[Workspace]) -> None:
    """Open a cluster to all Workspaces, or to the given ones alone. Saying the same again writes nothing. Raises
    Refused while another Workspace has Deployments on it.

    The row is locked against `create_deployment`, which holds it (`clusters.hold`) and then looks whether it is open.
    """
    locked = Cluster.objects.select_for_update().get(pk=cluster.pk)
    desired = {workspace.pk: workspace.name for workspace in workspaces}
    if restricted and (reason := refusal(locked, desired)):
        raise ActionRefused(reason)
    had = {workspace.pk: workspace.name for workspace in locked.workspaces.all()}
    if locked.restricted == restricted and had.keys() == desired.keys():
        return
    old: dict[str, object] = {"restricted": locked.restricted, "workspaces": sorted(had.values())}
    locked.restricted = restricted
    locked.save(update_fields=["restricted"])
    locked.workspaces.set(Workspace.objects.filter(pk__in=desired))
    audit.record(
        locked,
        by,
        "changed who may use",
        old=old,
        new={"restricted": restricted, "workspaces": sorted(desired.values())},
    )


def refusal(cluster: Cluster, allowed: Iterable[UUID]) -> str:
    """Why the cluster cannot be restricted to these Workspaces: a sentence, or nothing."""
    others = (
        Deployment.objects.filter(cluster=cluster, deleted_at__isnull=True)
        .exclude(workspace_id__in=list(allowed))
        .values_list("workspace__name", flat=True)
    )
    names: Sequence[str] = sorted(set(others))
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (
        f"Deployments of {', '.join(names[:NAMED])}{more} are on {cluster.name}. Allow these Workspaces too, or "
        "delete those Deployments first."
    )
