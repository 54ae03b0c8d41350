"""Runtimes of a Deployment over time: which newer ones it may get, and how an upgrade ends. The ends are decided by the
reconciler's pass, in the transaction that records it."""

from django.utils import timezone

from console.kit.wording import spelled
from deployments.clusters.options import offered_runtimes, version_key
from deployments.dataplane.contract import UPGRADE_STEP
from deployments.domain.states import Operation, StepState
from deployments.models import Deployment, RuntimeRelease, StepTiming
from deployments.queries import images


def newer(deployment: Deployment) -> list[RuntimeRelease]:
    """The offered releases newer than its own, newest first. One query; the cluster is loaded."""
    own = version_key(deployment.runtime.version)
    offered = offered_runtimes(timezone.now().date(), deployment.cluster.kind)
    return [release for release in offered if version_key(release.version) > own]


def sentence(failed: str, old: str, why: str) -> str:
    """What people read when an upgrade failed."""
    return f"Upgrade to {failed} failed: {why.rstrip('.')}. It runs {old} again with its data as before."


def migrated(deployment: Deployment) -> bool:
    """Whether the upgrade under way has its database at the new runtime already: from there it does not go back by
    itself, so another one may begin. One query."""
    steps = deployment.steps.filter(operation=Operation.CHANGE, generation=deployment.generation)
    return steps.filter(key=UPGRADE_STEP, state=StepState.DONE).exists()


def under_way(deployment: Deployment) -> str:
    """Why no upgrade can be asked for now; "" when one can. At most two queries."""
    if own_image := images.why_no_upgrade(deployment):
        return own_image
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
    return "" if seconds is None else spelled(seconds)
