"""Hibernating, upgrading and transferring in words: the ways to them, and what they do, for the pages that ask."""

from deployments.dataplane.contract import DAGS_FOLDER
from deployments.domain.states import Executor
from deployments.models import Deployment
from workspaces.models import Workspace

CUT_OFF = {
    Executor.CELERY: "Workers get up to 10 minutes to finish running tasks; then they are stopped and marked failed.",
    Executor.KUBERNETES: "Tasks running in pods lose their API server for a while and may fail.",
    Executor.LOCAL: "Tasks run in the scheduler process: running tasks are stopped and marked failed.",
}


def upgrade_consequences(deployment: Deployment, took: str) -> list[str]:
    """What an upgrade does, from what is known of this Deployment. `took` is how long the last one took, or ""."""
    own = deployment.runtime.version
    sentences = [
        "Airflow stops: the UI is unavailable and no task starts until the upgrade is done.",
        CUT_OFF[Executor(deployment.executor)],
        "The metadata database is copied, then migrated. If that fails, the copy is restored and it runs "
        f"{own} again; this page then says why.",
        f"After the upgrade there is no way back to {own}.",
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
        sentences.insert(0, "It is hibernating: all of this happens when it wakes up.")
    return sentences


def hibernate_consequences(deployment: Deployment) -> list[str]:
    """What sleep does."""
    return [
        "Airflow stops. Running tasks are stopped and marked failed.",
        "While it hibernates, nothing is scheduled and the Airflow UI is unavailable.",
        "The database, files, variables and settings stay, and you can still change them.",
        "Waking up takes about as long as starting it.",
    ]


def transfer_consequences(deployment: Deployment, source: Workspace) -> list[str]:
    """What a transfer does, and for whom."""
    return [
        "Nothing restarts and no task is interrupted. Address, database, files and release name stay the same.",
        f"Members of {source.name} who are not members of the other Workspace can no longer see it.",
        "Members of the other Workspace get the access of their role there.",
        f"Past actions stay in the Activity of {source.name}; the transfer is listed in both Workspaces.",
        "Its status changes move with it: the other Workspace sees all of them, with their reasons.",
    ]


def consequences(deployment: Deployment) -> list[str]:
    """What deleting does, from what is known of it."""
    sentences = [
        f"Every process of {deployment.name} is stopped, and so are running tasks.",
        "The metadata database is dropped, with all runs, connections and variables in it.",
    ]
    folder = deployment.plane_details.get(DAGS_FOLDER)
    if folder:
        sentences.append(
            f"All files are removed, including the DAGs in {folder}. Copy them first if you need them."
        )
    sentences.append("Its history in this Workspace stays.")
    return sentences
