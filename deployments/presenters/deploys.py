"""What the pages of deploys show, as plain values for the templates. Nothing here depends on a role."""

from typing import Any

from deployments.domain import code_ignore
from deployments.domain.code_limits import LIMITS, nothing_in, too_large, too_many
from deployments.domain.code_manifest import CodeDifference
from deployments.domain.code_project import BESIDE
from deployments.domain.deploy_states import DEPLOY_APPEARANCE
from deployments.domain.states import StepState
from deployments.models import Cluster, CodeUpload, Deploy, Deployment
from deployments.presenters import images, packages
from deployments.presenters.git_sources import facts
from deployments.queries.packages import Upcoming

PATHS_SHOWN = 200  # of one list on a page
FILES_SHOWN = 500


def row(deploy: Deploy, deployment: Deployment) -> dict[str, Any]:
    """One deploy as the list shows it."""
    appearance = DEPLOY_APPEARANCE[deploy.state]
    return {
        "deploy": deploy,
        "tone": appearance.tone,
        "icon": appearance.icon,
        "turns": appearance.icon == "loader-circle",
        "label": deploy.state.label,
        "git": facts(deploy.git),
        "image": images.facts(deploy),
        "current": deploy.number == deployment.deploy_number,
    }


def steps(deploy: Deploy) -> list[dict[str, Any]]:
    """Its steps as the templates want them. One query."""
    return [
        {
            "title": step.title,
            "state": StepState(step.state),
            "sentence": step.sentence,
            "result": True,  # what a step of a deploy found is worth reading afterwards
            "started_at": step.started_at,
            "finished_at": step.finished_at,
        }
        for step in deploy.steps.all()
    ]


def folder() -> dict[str, object]:
    """What static/js/folder.js needs to know to pack a folder as the command line does, and to say what is wrong in the
    words in which the server would."""
    return {
        "leave-out": " ".join(code_ignore.ALWAYS),
        "beside": " ".join(BESIDE),
        "packed": LIMITS.packed,
        "most": LIMITS.entries,
        "too-large": too_large(LIMITS),
        "too-many": too_many(LIMITS),
        "empty": nothing_in(LIMITS),
    }


def groups(change: CodeDifference | None) -> list[dict[str, Any]]:
    """What is added, changed and removed, each with at most PATHS_SHOWN paths."""
    if change is None:
        return []
    parts = [
        ("Added", "plus", "ok", change.added),
        ("Changed", "pencil", "busy", change.changed),
        ("Removed", "trash-2", "bad", change.removed),
    ]
    return [
        {
            "title": title,
            "icon": icon,
            "tone": tone,
            "count": len(paths),
            "paths": paths[:PATHS_SHOWN],
            "more": max(0, len(paths) - PATHS_SHOWN),
        }
        for title, icon, tone, paths in parts
        if paths
    ]


# Of the first deploy, by whether it is on Kubernetes.
FIRST = {
    False: "From now on code comes from deploys: what is put into the DAGs folder afterwards is no longer read. A "
    "run that is under way now goes on with the new code, because the folder has no versions.",
    True: "From now on code comes from deploys: the DAGs in the image of the runtime are no longer read, and there "
    "is no deploy to go back to them. A run that is under way now goes on with the new code, because the image has no "
    "versions. A Deployment that was last changed before deploys came to Kubernetes restarts once.",
}


def consequences(deployment: Deployment, upload: CodeUpload, upcoming: Upcoming) -> list[str]:
    """What deploying does; shown before anybody does it."""
    sentences = packages.consequences(deployment, upcoming, upload.manifest.opened())
    if not deployment.code_version:
        sentences.append(FIRST[deployment.cluster.kind == Cluster.Kind.KUBERNETES])
        if upload.base:
            sentences.append("What the DAGs folder holds now is kept as deploy 1, and you can go back to it.")
    if deployment.hibernating:
        sentences.append(f"{deployment.name} is hibernating. It runs the new code when it wakes.")
    return sentences


def going_back(deployment: Deployment, deploy: Deploy, upcoming: Upcoming) -> list[str]:
    """What going back to older code does, and what it does not change."""
    brought = ", packages and the image" if deploy.image or deployment.image else " and packages"
    changes = [*_code_back(deployment, deploy, upcoming), *images.going_back(deployment, deploy)]
    return [
        *dict.fromkeys(
            changes
        ),  # other packages or plugins and another image restart the same components, once
        f"Only code{brought} go back: variables, worker queues, sizes and the runtime stay as they are.",
        "What tasks have written, and Airflow's own history, stay as they are.",
        "To run a task again on other code than that of its run, clear it with “run on latest version” in Airflow.",
    ]


def _code_back(deployment: Deployment, deploy: Deploy, upcoming: Upcoming) -> list[str]:
    if not deploy.digest:
        return ["It had no code but the DAGs in its image, so the code that is deployed now stays."]
    code = deploy.manifest.opened() if deploy.manifest else None
    sentences = packages.consequences(deployment, upcoming, code)
    if deploy.image_pinned != deployment.image:
        return [each for each in sentences if each != packages.NOTHING]
    return sentences
