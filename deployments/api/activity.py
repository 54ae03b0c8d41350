"""What happened: in a Workspace, and to one Deployment. Newest first."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Router, Schema

from console.kit import cursors
from console.kit.refusals import InvalidInput
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.models import Deployment
from deployments.queries import activity
from deployments.queries.activity import ActivityEntry, ActivityFilters
from workspaces.api.auth import ApiRequest, InWorkspace
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.models import Workspace
from workspaces.permissions import Permission

router = Router(tags=["Activity"])
INSTANT = timedelta(microseconds=1)
FARTHEST = 10_000  # events of one and the same instant


class Event(Schema):
    """One event. `old` and `new` hold what changed, and never a secret."""

    at: datetime
    actor: str
    verb: str
    kind: str
    object_id: str
    object: str
    sentence: str
    old: dict[str, Any]
    new: dict[str, Any]


class Events(Schema):
    """A page of a list."""

    items: list[Event]
    next: str | None


def _event(entry: ActivityEntry) -> Event:
    return Event(
        at=entry.at,
        actor=entry.actor,
        verb=entry.act,
        kind=entry.kind,
        object_id=entry.key,
        object=entry.label,
        sentence=entry.sentence,
        old=entry.before,
        new=entry.after,
    )


def _page(workspace: Workspace, deployment: Deployment | None, limit: int, cursor: str) -> Events:
    """A place is a moment, and how many events of that very moment were skipped before it."""
    until, skipped = None, 0
    if cursor:
        text, skipped = cursors.unpack(cursor, str, int)
        try:
            until = datetime.fromisoformat(text)
            filters = ActivityFilters(until=until + INSTANT)
        except (ValueError, OverflowError):
            raise InvalidInput({"cursor": cursors.WRONG}) from None
        if until.tzinfo is None or not 0 <= skipped <= FARTHEST:
            raise InvalidInput({"cursor": cursors.WRONG})
    else:
        filters = ActivityFilters()
    found = activity.entries(workspace, deployment, filters, skip=skipped, most=limit + 1)
    items = found[:limit]
    following = None
    if len(found) > limit:
        last = items[-1].at
        same = sum(each.at == last for each in items) + (skipped if last == until else 0)
        following = cursors.pack(last.isoformat(), same)
    return Events(items=[_event(each) for each in items], next=following)


@router.get(
    "/workspaces/{uuid:workspace_id}/activity",
    auth=InWorkspace(Permission.VIEW),
    response=Events,
    url_name="workspace_activity",
    operation_id="list_activity_of_workspace",
)
def workspace_activity(
    request: ApiRequest, workspace_id: UUID, limit: int = page_limit(), cursor: str = page_cursor()
) -> Events:
    """What happened in the Workspace."""
    return _page(request.membership.workspace, None, limit, cursor)


@router.get(
    "/deployments/{slug:release_name}/activity",
    auth=OnDeployment(Permission.VIEW, alive=False),
    response=Events,
    url_name="activity",
    operation_id="list_activity_of_deployment",
)
def deployment_activity(
    request: DeploymentRequest, release_name: str, limit: int = page_limit(), cursor: str = page_cursor()
) -> Events:
    """What happened to one Deployment, also after it is gone."""
    return _page(request.membership.workspace, request.deployment, limit, cursor)
