"""The one way to a Deployment: by its release name, for members of its Workspace. Stranger 404, no right 403."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

import structlog
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from deployments.models import Deployment
from workspaces.access import MemberRequest, View, attach, require
from workspaces.models import Membership, User
from workspaces.permissions import Permission


def deployment_for(user: User, release_name: str) -> tuple[Deployment, Membership]:
    """The Deployment, and the user's membership in its Workspace, in one query each. Raises Http404."""
    try:
        deployment = Deployment.objects.select_related("workspace", "cluster", "runtime", "updated_by").get(
            release_name=release_name, workspace__memberships__user=user
        )
    except Deployment.DoesNotExist:
        raise Http404 from None
    membership = Membership.objects.select_related("workspace").get(
        workspace_id=deployment.workspace_id, user_id=user.pk
    )
    return deployment, membership


def deployment_view[**P](
    permission: Permission, *, alive: bool = False
) -> Callable[[View[Concatenate[MemberRequest, Deployment, P]]], View[Concatenate[HttpRequest, str, P]]]:
    """A view of one Deployment, named by `release_name` in its URL. With `alive` a deleted one is a 404."""

    def decorate(
        view: View[Concatenate[MemberRequest, Deployment, P]],
    ) -> View[Concatenate[HttpRequest, str, P]]:
        @login_required
        @wraps(view)
        def wrapper(request: HttpRequest, release_name: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            assert isinstance(request.user, User)  # noqa: S101 - login_required
            deployment, membership = deployment_for(request.user, release_name)
            require(membership, permission)
            structlog.contextvars.bind_contextvars(deployment=str(deployment.pk))
            if alive and deployment.deleted_at is not None:
                raise Http404
            return view(attach(request, membership), deployment, *args, **kwargs)

        wrapper.permission = permission  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]  # the arguments after the loaded object pass through

    return decorate
