"""Questions about the packages of a Deployment."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.domain.code_packages import PackageDifference, compare
from deployments.domain.deploy_states import PackagesState
from deployments.models import CodeUpload, Deploy, Deployment, PackageSet
from deployments.queries.deploys import desired_deploy


def set_of(deployment: Deployment, requirements: str) -> PackageSet | None:
    """What these requirements come to on its runtime, as far as known; None for no requirements. One query, or none."""
    if not requirements:
        return None
    rows = PackageSet.objects.filter(deployment=deployment, requirements=requirements)
    return rows.filter(runtime=deployment.runtime.version).first()


def digest_of(deployment: Deployment, requirements: str) -> str:
    """The digest of the packages that these requirements come to; "" for none, and while they are not known."""
    found = set_of(deployment, requirements)
    return found.digest if found is not None else ""


@dataclass(frozen=True)
class Upcoming:
    """What deploying something does to the packages: `state` RESOLVING with what is waited for, REFUSED with why, or
    RESOLVED with the difference; None for no packages, before and after."""

    state: PackagesState | None
    sentence: str = ""
    change: PackageDifference | None = None
    digest: str = ""


def upcoming(deployment: Deployment, requirements: str) -> Upcoming:
    """Of code with these requirements, against the deploy that runs or will run."""
    newest = desired_deploy(deployment)
    before = set_of(deployment, newest.requirements) if newest is not None else None
    old: Mapping[str, str] = before.packages if before is not None else {}
    after = set_of(deployment, requirements)
    if requirements and after is None:  # of another runtime: resolved when it is deployed
        return Upcoming(PackagesState.RESOLVING, "The packages are resolved again for this runtime.")
    if after is None:
        return Upcoming(PackagesState.RESOLVED, change=compare(old, {})) if old else Upcoming(None)
    if not after.is_resolved:
        return Upcoming(PackagesState(after.state), after.sentence)
    return Upcoming(PackagesState.RESOLVED, "", compare(old, after.packages), after.digest)


def changed_by(deploy: Deploy, before: Deploy | None) -> PackageDifference | None:
    """What a deploy did to the packages of the one before; None when there were none, or it is not known."""
    old = before.packages if before is not None else {}
    if deploy.packages is None or old is None or not (old or deploy.packages):
        return None
    return compare(old, deploy.packages)


def uploads_that_wait(deployment: Deployment) -> list[PackageSet]:
    """The sets of uploads whose packages are not known yet. One query."""
    rows = PackageSet.objects.filter(deployment=deployment, state=PackagesState.RESOLVING)
    asked = CodeUpload.objects.filter(deployment=deployment).exclude(requirements="").values("requirements")
    return list(rows.filter(requirements__in=asked, runtime=deployment.runtime.version))
