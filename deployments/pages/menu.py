"""The menu of what can be done to a whole Deployment."""

from dataclasses import dataclass

from deployments.models import Deployment
from deployments.queries import upgrades
from deployments.queries.listing import transfer_targets
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
    is_token: bool = False  # makes something for programs, and does nothing to the Deployment


def menu(request: MemberRequest, deployment: Deployment) -> list[MenuItem]:
    """What this member may do to the whole Deployment now. Deleting stands apart, on the Settings page."""
    if deployment.is_deleting or deployment.first_healthy_at is None:
        return []

    url = deployment.url_for
    items = []
    if request.can(Permission.EDIT_DEPLOYMENT):
        runs = f"Runtime {deployment.runtime}."
        if deployment.upgrade_error:
            message = "The last upgrade failed. The Activity keeps the reason."
            items.append(
                MenuItem("Dismiss failed upgrade", message, "check", url("upgrade_dismiss"), post=True)
            )
        if upgrades.newer(deployment):
            items.append(MenuItem("Upgrade…", runs, "arrow-up", url("upgrade")))
        if deployment.hibernating:
            message = "This Deployment is hibernating."
            items.append(MenuItem("Wake up", message, "play", url("wake"), post=True, primary=True))
        else:
            message = "Hibernating frees everything except the database."
            items.append(MenuItem("Hibernate…", message, "moon", url("hibernate")))
        message = "Hibernate automatically at night and on weekends."
        items.append(MenuItem("Hibernation schedule", message, "clock", url("schedule")))
    if request.can(Permission.OPEN_AIRFLOW) and deployment.airflow_url:
        message = "For scripts that call the Airflow API, with your role."
        items.append(MenuItem("Airflow token…", message, "key-round", url("token"), is_token=True))
    if request.can(Permission.MANAGE_TOKENS):
        message = "For programs that deploy here."
        items.append(MenuItem("API tokens", message, "key-round", url("api_tokens"), is_token=True))
    if request.can(Permission.TRANSFER_DEPLOYMENT) and transfer_targets(request.user, deployment):
        message = f"In Workspace {deployment.workspace.name}."
        items.append(MenuItem("Transfer…", message, "layers", url("transfer")))
    return items


def wake_setting(deployment: Deployment) -> MenuItem:
    """Whether opening its Airflow wakes it, and switching that; for the Settings page alone."""
    if deployment.wakes_on_open:
        label, setting = "Stop waking when opened", "off"
        message = "While it hibernates, any member who opens its Airflow wakes it up."
    else:
        label, setting = "Wake when opened", "on"
        message = "While it hibernates, opening its Airflow does not wake it up."
    where = deployment.url_for("opening_wakes", setting)
    return MenuItem(label, message, "external-link", where, post=True)
