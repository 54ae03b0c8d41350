"""The pages and actions that a person may reach: what the navigation leads to, findable by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from console.docs import DOCS
from workspaces.access import may
from workspaces.models import Membership, User
from workspaces.permissions import Permission


@dataclass(frozen=True)
class Place:
    """One page or action; `name` and `args` are those of its address. `more` holds other words by which people look for
    it."""

    title: str
    name: str
    icon: str
    note: str = ""
    more: str = ""
    args: tuple[object, ...] = ()

    @property
    def url(self) -> str:
        """Its address: made for those that are shown, not for all that are searched."""
        return reverse(self.name, args=self.args)

    def holds(self, words: Sequence[str]) -> bool:
        """Whether every word, in small letters, is in its texts."""
        text = f"{self.title} {self.note} {self.more}".lower()
        return all(word in text for word in words)


@dataclass(frozen=True)
class DeploymentPage:
    """A page that each Deployment has."""

    title: str
    name: str  # of its address
    words: tuple[str, ...]
    needs: Permission = Permission.VIEW


OF_A_DEPLOYMENT = (
    DeploymentPage("Open Airflow", "open", ("open", "airflow"), Permission.OPEN_AIRFLOW),
    DeploymentPage("DAGs", "dags", ("dags",)),
    DeploymentPage("Deploys", "deploys", ("deploys", "code", "rollback")),
    DeploymentPage("Worker queues", "queues", ("worker", "queues")),
    DeploymentPage("Variables", "variables", ("variables", "environment", "secrets")),
    DeploymentPage("Logs", "logs", ("logs",)),
    DeploymentPage("Alerts", "alerts", ("alerts", "rules", "silence")),
    DeploymentPage("Activity", "deployment_activity", ("activity", "history")),
    DeploymentPage("Settings", "settings", ("settings", "edit"), Permission.EDIT_DEPLOYMENT),
)
_WORKSPACE_PAGES = (
    ("Home", "deployments:home", "house", "attention overview runs", Permission.VIEW),
    ("Deployments", "deployments:list", "layers", "list", Permission.VIEW),
    ("DAGs", "deployments:workspace_dags", "workflow", "runs schedules", Permission.VIEW),
    ("Alerts", "deployments:workspace_alerts", "bell", "open incidents", Permission.VIEW),
    ("Alert rules", "deployments:alert_rules", "bell", "notify mail", Permission.VIEW),
    ("Alert channels", "deployments:alert_channels", "bell", "slack webhook mail", Permission.VIEW),
    ("Activity", "deployments:activity", "history", "audit events who did what", Permission.VIEW),
    ("Members", "members", "users", "people roles team invitations", Permission.VIEW),
    ("API tokens", "workspace_tokens", "key-round", "access keys programs", Permission.VIEW),
    ("Workspace settings", "workspace_settings", "settings", "rename name", Permission.EDIT_WORKSPACE),
)
_WORKSPACE_ACTIONS = (
    ("Create Deployment", "deployments:new", "plus", "new add airflow", Permission.CREATE_DEPLOYMENT),
    ("Invite people", "members_invite", "mail", "new add member", Permission.MANAGE_MEMBERS),
    ("Create an API token", "workspace_token_new", "key-round", "new make add", Permission.MANAGE_TOKENS),
    ("Delete Workspace", "workspace_delete", "trash-2", "remove", Permission.DELETE_WORKSPACE),
    ("Leave Workspace", "workspace_leave", "log-out", "quit", Permission.VIEW),
)
_OWN_PAGES = (
    ("Your account", "account", "user", "name theme dark light time zone email"),
    ("Your API tokens", "own_tokens", "key-round", "personal access"),
    ("Second factor", "mfa_index", "lock", "two-factor passkey totp security"),
    ("Sessions", "usersessions_list", "lock", "signed in browsers devices"),
    ("Invitations to you", "invitations", "mail", "join"),
    ("Keyboard shortcuts", "search_keys", "search", "keys help"),
)
_OWN_ACTIONS = (
    ("New Workspace", "workspace_new", "plus", "create team add"),
    ("Change password", "account_change_password", "lock", "new"),
    ("Sign out", "account_logout", "log-out", "log out leave"),
)


def _of_workspaces(
    memberships: Sequence[Membership], table: Sequence[tuple[str, str, str, str, Permission]]
) -> list[Place]:
    return [
        Place(title, name, icon, each.workspace.name, more, (each.workspace.pk,))
        for each in memberships
        for title, name, icon, more, permission in table
        if may(each, permission)
    ]


def pages(user: User, memberships: Sequence[Membership]) -> list[Place]:
    """Every page of these Workspaces that the role opens, the person's own pages, and the docs."""
    own = [Place(title, name, icon, "", more) for title, name, icon, more in _OWN_PAGES]
    if user.is_staff:
        own.append(Place("Site administration", "admin:index", "key-round", "", "operator admin"))
    docs = [Place(title, "docs_page", "book-open", "Docs", about, (name,)) for name, _, title, about in DOCS]
    reference = Place("API reference", "api_reference", "book-open", "Docs", "openapi")
    return [*_of_workspaces(memberships, _WORKSPACE_PAGES), *own, *docs, reference]


def actions(memberships: Sequence[Membership]) -> list[Place]:
    """Every action of these Workspaces that the role allows, and the person's own."""
    own = [Place(title, name, icon, "", more) for title, name, icon, more in _OWN_ACTIONS]
    return [*_of_workspaces(memberships, _WORKSPACE_ACTIONS), *own]
