"""Who may call an endpoint of one Deployment: see `workspaces.api.auth`."""

import structlog
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from deployments.models import Deployment
from workspaces.api.auth import Anyone, ApiRequest, path_argument
from workspaces.permissions import Permission
from workspaces.token_access import Caller, content_gone, is_content_there


class DeploymentRequest(ApiRequest):
    """A request about one Deployment, for type checkers."""

    deployment: Deployment


def deployment_of(
    caller: Caller, release_name: str, *, alive: bool, rows: QuerySet[Deployment] | None = None
) -> Deployment:
    """The Deployment, as far as this token may reach it, with what documents show of it or as `rows` loads it. Raises
    Http404."""
    if rows is None:
        rows = Deployment.objects.select_related(
            "workspace", "cluster", "runtime", "created_by", "updated_by"
        )
    rows = rows.filter(release_name=release_name)
    if caller.token.workspace_id is not None:
        rows = rows.filter(workspace=caller.token.workspace_id)
    else:
        rows = rows.filter(workspace__memberships__user=caller.user)
    if caller.content_id is not None:
        rows = rows.filter(pk=caller.content_id)
    found = rows.first()
    is_gone = found is not None and found.deleted_at is not None
    if found is None or (is_gone and (alive or caller.content_id is not None)):
        if not is_content_there(caller.token):
            raise content_gone(caller.token)
        raise Http404
    return found


class OnDeployment(Anyone):
    """One Deployment, named by `release_name` in the address. With `alive` a deleted one is a 404."""

    def __init__(self, permission: Permission, *, alive: bool = True, is_async: bool = False) -> None:
        super().__init__(is_async=is_async)
        self.permission = permission
        self.alive = alive

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """The Deployment and the membership in its Workspace."""
        deployment = deployment_of(caller, path_argument(request, "release_name"), alive=self.alive)
        structlog.contextvars.bind_contextvars(deployment=str(deployment.pk))
        membership = caller.membership_in(deployment.workspace_id)
        assert self.permission is not None  # noqa: S101 - given by __init__
        caller.require(membership, self.permission)
        request.membership = membership  # type: ignore[attr-defined]
        request.deployment = deployment  # type: ignore[attr-defined]
