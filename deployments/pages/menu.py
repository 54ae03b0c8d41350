"""The menu of what can be done to a whole Deployment."""

from dataclasses import dataclass

from django.urls import reverse

from deployments.models import Deployment
from workspaces.access import MemberRequest
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
        if deployment.upgrade_error:
            message = "Its last upgrade failed, and its page says why. The Activity keeps it."
            items.append(
                MenuItem("Dismiss failed upgrade", message, "check", url("upgrade_dismiss"), post=True)
            )
        items.append(MenuItem("Upgrade…", runs, "arrow-up", url("upgrade")))
        if deployment.hibernating:
            message = "It sleeps, and nothing of it runs."
            items.append(MenuItem("Wake up", message, "play", url("wake"), post=True, primary=True))
        else:
            message = "Asleep it costs nothing but its database."
            items.append(MenuItem("Hibernate…", message, "moon", url("hibernate")))
        message = "It can sleep at night and at weekends by itself."
        items.append(MenuItem("Hibernation schedule", message, "clock", url("schedule")))
    if request.can(Permission.TRANSFER_DEPLOYMENT):
        message = f"It belongs to the Workspace {deployment.workspace.name}."
        items.append(MenuItem("Transfer…", message, "layers", url("transfer")))
    return items
