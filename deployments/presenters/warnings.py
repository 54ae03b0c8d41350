"""Hibernating, upgrading and transferring in words: the ways to them, and what they do, for the pages that ask."""

from deployments.dataplane.contract import DAGS_FOLDER
from deployments.domain.states import Executor
from deployments.models import Deployment
from workspaces.models import Workspace

CUT_OFF = {
    Executor.CELERY: "Workers finish the tasks that run, for at most 10 minutes; then they are cut off, and fail.",
    Executor.KUBERNETES: "Tasks that run in pods lose their API server for a while, and may fail.",
    Executor.LOCAL: "Tasks run inside the scheduler: those that run now are cut off, and fail.",
}


def upgrade_consequences(deployment: Deployment, took: str) -> list[str]:
    """What an upgrade does, from what is known of this Deployment. `took` is how long the last one took, or ""."""
    own = deployment.runtime.version
    sentences = [
        "Airflow stops: the UI is away and no task starts until it answers again.",
        CUT_OFF[Executor(deployment.executor)],
        "Its metadata database is copied, then migrated. When that fails, the copy is put back and it runs "
        f"{own} again by itself; you see why.",
        f"Once it is upgraded there is no way back to {own}.",
        "DAGs, connections, variables and runs stay. DAGs that use what the new Airflow removed stop working: read its "
        "release notes first.",
    ]
    if took:
        sentences.append(f"The last upgrade on this cluster took {took} for its database.")
    if deployment.upgrade_from is not None:
        sentences.insert(
            0,
            f"The upgrade to {own} migrated its database, but it is not Healthy yet. This one begins there; the copy "
            f"from {deployment.upgrade_from.version} is dropped.",
        )
    if deployment.hibernating:
        sentences.insert(0, "It sleeps: all of this happens when it wakes.")
    return sentences


def hibernate_consequences(deployment: Deployment) -> list[str]:
    """What sleep does."""
    return [
        "Every process of its Airflow ends. Tasks that run are cut off, and fail.",
        "Nothing is scheduled while it sleeps, and the Airflow UI is away.",
        "Its database, files, variables and settings stay. You can change them meanwhile.",
        "Waking it takes about as long as its start, without making anything anew.",
    ]


def transfer_consequences(deployment: Deployment, source: Workspace) -> list[str]:
    """What a transfer does, and for whom."""
    return [
        "Nothing restarts, and no task is interrupted. Its address, database, files and release name stay.",
        f"Members of {source.name} who are not members of the other Workspace cannot see it any more.",
        "Members of the other Workspace get the access of their role there.",
        f"What people did to it so far stays in the Activity of {source.name}; the transfer stands in both.",
        "Its changes of status go with it: the other Workspace sees all of them, with their reasons.",
    ]


def consequences(deployment: Deployment) -> list[str]:
    """What deleting does, from what is known of it."""
    sentences = [
        f"Every process of {deployment.name} is stopped; tasks that run now are cut off.",
        "Its metadata database is dropped, with all runs, connections and variables in it.",
    ]
    folder = deployment.plane_details.get(DAGS_FOLDER)
    if folder:
        sentences.append(
            f"Its files are removed, the DAGs in {folder} included. Copy them first if you need them."
        )
    sentences.append("This cannot be undone. Its history in this Workspace stays.")
    return sentences
