"""What the pages of deploys show of packages, and what changing them does. Nothing here depends on a role."""

from dataclasses import replace
from typing import Any

from deployments.domain.code_manifest import CodeVersion, Manifest
from deployments.domain.code_packages import PackageDifference
from deployments.domain.code_project import plugins_digest
from deployments.domain.deploy_states import PackagesState
from deployments.models import Deploy, Deployment
from deployments.presenters.impact import impact, queues_of
from deployments.queries.packages import Upcoming, changed_by
from deployments.queries.releases import release_of

RESTARTS = (
    "The old code stays active until everything is ready. A run that is under way finishes on the code with which "
    "it began; its tasks that start later have the new packages and plugins."
)
NOT_KNOWN = (
    "The packages that it needs are being resolved. If they differ from those of now, every component of Airflow "
    "restarts once they are installed, and workers finish their tasks first; otherwise nothing restarts."
)
NOTHING = "Nothing restarts. A run that is under way finishes on the code with which it began."


def groups(change: PackageDifference | None) -> list[dict[str, Any]]:
    """What is added, changed and removed."""
    if change is None:
        return []
    parts = [
        ("Added", "plus", [f"{name} {version}" for name, version in change.added]),
        ("Changed", "pencil", [f"{name} {old} → {new}" for name, old, new in change.changed]),
        ("Removed", "trash-2", [f"{name} {version}" for name, version in change.removed]),
    ]
    return [{"title": title, "icon": icon, "names": names} for title, icon, names in parts if names]


def coming(upcoming: Upcoming) -> dict[str, Any]:
    """The context of deployments/deploys/_packages.html: what deploying does to the packages."""
    return {
        "shown": upcoming.state is not None,
        "waits": upcoming.state is PackagesState.RESOLVING,
        "refused": upcoming.state is PackagesState.REFUSED,
        "sentence": upcoming.change.sentence if upcoming.change else upcoming.sentence,
        "groups": groups(upcoming.change),
    }


def of_deploy(deploy: Deploy, before: Deploy | None) -> dict[str, Any]:
    """The same for a deploy: what it did to the packages of the one before, and all that it has."""
    change = changed_by(deploy, before)
    return {
        "shown": bool(deploy.packages) or change is not None,
        "sentence": change.sentence if change else "The packages of the deploy before are not known.",
        "groups": groups(change),
        "all": sorted((deploy.packages or {}).items()),
    }


def consequences(deployment: Deployment, upcoming: Upcoming, code: Manifest | None) -> list[str]:
    """What it does to what runs, with this code, as a sentence to read before. None: the code is not known."""
    if upcoming.state in {PackagesState.RESOLVING, PackagesState.REFUSED}:
        return [NOT_KNOWN]
    queues = queues_of(deployment)
    now = release_of(deployment, queues)
    was = now.code or CodeVersion("", "")
    will = replace(was, plugins=plugins_digest(code)) if code is not None else was
    if (now.packages, was.plugins) == (upcoming.digest, will.plugins):
        return [NOTHING]
    parts = impact(deployment, queues, replace(now, packages=upcoming.digest, code=will)).sentences
    return [*parts, RESTARTS]
