"""Hibernating, upgrading and transferring in words: the ways to them, and what they do, for the pages that ask."""

from dataclasses import dataclass

from django.urls import reverse

from deployments.models import Deployment
from deployments.states import Executor
from workspaces.access import MemberRequest
from workspaces.models import Workspace
from workspaces.permissions import Permission


@dataclass(frozen=True)
class MenuItem:
    """One thing that is done to a Deployment as a whole: where, or at once by a POST."""

    label: str
    sentence: str
    icon: str
    url: str
    post: bool = False
    primary: bool = False  # what a person most likely came for


def menu(request: MemberRequest, deployment: Deployment) -> list[MenuItem]:
    """What this member may do to the whole Deployment now. Deleting stands apart, on the Settings page."""
    if deployment.is_deleting or deployment.first_healthy_at is None:
        return []

    def url(name: str) -> str:
        return reverse(f"deployments:{name}", args=[deployment.release_name])

    items = []
    if request.can(Permission.EDIT_DEPLOYMENT):
        runs = f"It runs {deployment.runtime}."
        if deployment.upgrade_trouble:
            said = "Its last upgrade failed, and its page says why. The Activity keeps it."
            items.append(MenuItem("Dismiss failed upgrade", said, "check", url("upgrade_dismiss"), post=True))
        items.append(MenuItem("Upgrade…", runs, "arrow-up", url("upgrade")))
        if deployment.hibernating:
            said = "It sleeps, and nothing of it runs."
            items.append(MenuItem("Wake up", said, "play", url("wake"), post=True, primary=True))
        else:
            said = "Asleep it costs nothing but its database."
            items.append(MenuItem("Hibernate…", said, "moon", url("hibernate")))
        said = "It can sleep at night and at weekends by itself."
        items.append(MenuItem("Hibernation schedule", said, "clock", url("schedule")))
    if request.can(Permission.TRANSFER_DEPLOYMENT):
        said = f"It belongs to the Workspace {deployment.workspace.name}."
        items.append(MenuItem("Transfer…", said, "layers", url("transfer")))
    return items


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
