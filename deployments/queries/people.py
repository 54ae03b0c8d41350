"""Who may come into an Airflow, and as what: members of its Workspace, with their roles there."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from django.db.models import OuterRef, Subquery

from deployments.models import AirflowSignOut
from workspaces.models import Membership
from workspaces.permissions import Role

# Airflow's roles, each of which may do what the ones before it may. Its USER, who may start runs and not see
# connections, has no match in a Workspace.
AIRFLOW_ROLES = {Role.MEMBER: "VIEWER", Role.EDITOR: "OP", Role.ADMIN: "ADMIN"}

type People = Mapping[
    str, tuple[str, float]
]  # by user id: the role, and before when their sessions have ended

NO_PEOPLE: People = {}


def people_of(workspaces: list[UUID]) -> dict[UUID, People]:
    """Who may come into the Airflows of each Workspace: no one while it is suspended, and no one whose account is
    blocked. One query, however many Workspaces."""
    found: dict[UUID, dict[str, tuple[str, float]]] = defaultdict(dict)
    ended = AirflowSignOut.objects.filter(user=OuterRef("user_id")).values("at")
    members = Membership.objects.filter(
        workspace__in=workspaces, workspace__suspended_at__isnull=True, user__is_active=True
    ).annotate(ended=Subquery(ended))
    for workspace, user, role, at in members.values_list("workspace_id", "user_id", "role", "ended"):
        found[workspace][str(user)] = (AIRFLOW_ROLES[Role(role)], at.timestamp() if at else 0.0)
    return dict(found)


def digest(people: People) -> str:
    """Changes exactly when the list does."""
    return hashlib.sha256(json.dumps(sorted(people.items())).encode()).hexdigest()[:32]
