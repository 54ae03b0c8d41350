"""Runtimes of a Deployment over time: which newer ones it may get, and how an upgrade ends. The ends are decided by the
reconciler's pass, in the transaction that records it."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from deployments.audit import record_deployment
from deployments.dataplane.base import UPGRADE_STEP
from deployments.models import Deployment, RuntimeRelease, StepTiming
from deployments.options import offered_runtimes, version_key
from deployments.states import Operation, StepState


def newer(deployment: Deployment) -> list[RuntimeRelease]:
    """The offered releases newer than its own, newest first. One query; the cluster is loaded."""
    own = version_key(deployment.runtime.version)
    offered = offered_runtimes(timezone.now().date(), deployment.cluster.kind)
    return [release for release in offered if version_key(release.version) > own]


def give_up(row: Deployment, why: str) -> None:
    """The migration failed, and the database is as before: what is wanted is the earlier runtime again, as one change
    by Airdeck itself. The sentence stays on the page until somebody dismisses it or asks for the next upgrade. Inside
    the pass's transaction."""
    failed, old = row.runtime.version, row.upgrade_from
    assert old is not None  # noqa: S101 - only an upgrade can be given up
    Deployment.objects.filter(pk=row.pk).update(
        runtime=old,
        upgrade_from=None,
        upgrade_trouble=sentence(failed, old.version, why)[:1000],
        generation=F("generation") + 1,
        updated_at=Now(),
    )
    values: dict[str, Any] = {
        "old": {"runtime": failed},
        "new": {"runtime": old.version, "reason": why[:500]},
    }
    record_deployment(row, None, "gave up the upgrade of", **values)


def completed(row: Deployment) -> None:
    """Everything answers on the new runtime: there is no way back any more, and none is needed."""
    Deployment.objects.filter(pk=row.pk).update(upgrade_from=None)
    record_deployment(row, None, "upgraded", new={"runtime": row.runtime.version})


def sentence(failed: str, old: str, why: str) -> str:
    """What people read when an upgrade failed."""
    return f"Upgrade to {failed} failed: {why.rstrip('.')}. It runs {old} again with its data as before."


def migrated(deployment: Deployment) -> bool:
    """Whether the upgrade under way has its database at the new runtime already: from there it does not go back by
    itself, so another one may begin. One query."""
    steps = deployment.steps.filter(operation=Operation.CHANGE, generation=deployment.generation)
    return steps.filter(key=UPGRADE_STEP, state=StepState.DONE).exists()


def under_way(deployment: Deployment) -> str:
    """Why no other upgrade can be asked for now; "" when one can. At most one query."""
    if deployment.upgrade_from_id is None or migrated(deployment):
        return ""
    version = deployment.runtime.version
    if deployment.hibernating:
        return f"The upgrade to {version} begins when it wakes. Another one can be asked for after that."
    return f"An upgrade to {version} is under way. Another one can be asked for once it has ended."


def last_duration(deployment: Deployment) -> str:
    """How long the last upgrade's step took on this cluster, for people; "" when none is known. One query."""
    rows = StepTiming.objects.filter(
        cluster=deployment.cluster_id, operation=Operation.CHANGE, key=UPGRADE_STEP
    )
    seconds = rows.order_by("-at").values_list("seconds", flat=True).first()
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{max(1, round(seconds))} seconds"
