"""Who may do what. Permissions are the only thing that views and templates ask about; roles are data."""

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """One thing that a role in a Workspace may allow."""

    VIEW = "view"
    OPEN_AIRFLOW = "open_airflow"
    CREATE_DEPLOYMENT = "create_deployment"
    EDIT_DEPLOYMENT = "edit_deployment"
    DELETE_DEPLOYMENT = "delete_deployment"
    DEPLOY_CODE = "deploy_code"
    REVEAL_CREDENTIAL = "reveal_credential"
    TRANSFER_DEPLOYMENT = "transfer_deployment"
    EDIT_WORKSPACE = "edit_workspace"
    DELETE_WORKSPACE = "delete_workspace"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_TOKENS = "manage_tokens"


class Role(StrEnum):
    """A member's role in one Workspace: Member < Editor < Admin."""

    MEMBER = "member"
    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def label(self) -> str:
        """The word on the page."""
        return self.value.capitalize()


@dataclass(frozen=True)
class RoleDescription:
    """What a role means, for people and for the machine."""

    sentence: str
    permissions: frozenset[Permission]


_MEMBER = frozenset({Permission.VIEW, Permission.OPEN_AIRFLOW})
_EDITOR = _MEMBER | {
    Permission.CREATE_DEPLOYMENT,
    Permission.EDIT_DEPLOYMENT,
    Permission.DELETE_DEPLOYMENT,
    Permission.DEPLOY_CODE,
    Permission.REVEAL_CREDENTIAL,
}

ROLES: dict[Role, RoleDescription] = {
    Role.MEMBER: RoleDescription("Sees everything in the Workspace except secret values.", _MEMBER),
    Role.EDITOR: RoleDescription(
        "Also creates, edits and deletes Deployments, and deploys code to them.", _EDITOR
    ),
    Role.ADMIN: RoleDescription(
        "Also manages members, API tokens and the Workspace itself.", frozenset(Permission)
    ),
}


# What stays allowed while an operator has suspended the Workspace: people see everything, and change nothing. Airflow
# is closed to them too, since nothing there would keep them from changing it.
WHILE_SUSPENDED = frozenset({Permission.VIEW, Permission.REVEAL_CREDENTIAL})


# What no API token may do, whatever its role and kind: who may come in, and what cannot be taken back.
NEVER_BY_TOKEN = frozenset(
    {
        Permission.MANAGE_MEMBERS,
        Permission.TRANSFER_DEPLOYMENT,
        Permission.DELETE_WORKSPACE,
        Permission.REVEAL_CREDENTIAL,
    }
)
# What no API token may do by itself either. The sign-in of a command line may, for the five minutes after its person
# said yes in the browser with their password: the person is there, as on the page (ADR 33).
ONLY_WITH_ITS_PERSON = frozenset({Permission.MANAGE_TOKENS})


def least(one: str, other: str) -> Role:
    """The smaller one of two roles."""
    order = list(Role)
    return min(Role(one), Role(other), key=order.index)


def role_allows(role: str, permission: Permission) -> bool:
    """Whether `role` holds `permission`. An unknown role holds none."""
    return role in ROLES and permission in ROLES[Role(role)].permissions


def roles_with(permission: Permission) -> list[Role]:
    """The roles that hold `permission`, least first."""
    return [role for role in Role if permission in ROLES[role].permissions]
