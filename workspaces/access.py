"""The one way to a Workspace: loaders and view decorators that authorise. Stranger 404, missing right 403."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from console.kit.http import HtmxHttpRequest
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import WHILE_SUSPENDED, Permission, Role, role_allows, roles_with


class MissingPermission(PermissionDenied):
    """A member without the right. Carries what the 403 page says: the role needed and the people who have it."""

    def __init__(self, workspace: Workspace, permission: Permission) -> None:
        super().__init__(permission)
        self.workspace = workspace
        self.permission = permission

    @property
    def needed_role(self) -> Role:
        """The least role that would do."""
        return roles_with(self.permission)[0]

    def who(self) -> list[str]:
        """At most five members who may."""
        return who_can(self.workspace, self.permission)


class WorkspaceSuspended(PermissionDenied):
    """The role would do, but an operator suspended the Workspace; the 403 page says so."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.workspace = workspace


class MemberRequest(HtmxHttpRequest):
    """A request of a signed-in member of `workspace`."""

    user: User
    workspace: Workspace
    membership: Membership

    def can(self, permission: Permission) -> bool:
        """For type checkers; see `attach`."""
        raise NotImplementedError


def who_can(workspace: Workspace, permission: Permission) -> list[str]:
    """The names of at most five members who hold `permission`."""
    holders = Membership.objects.filter(
        workspace=workspace, role__in=roles_with(permission), user__is_active=True
    )
    return [m.user.label for m in holders.select_related("user").order_by("created_at")[:5]]


def membership_of(user: User, workspace_id: UUID) -> Membership:
    """The user's membership with its Workspace loaded. Raises Http404 for strangers and for what does not exist."""
    try:
        return Membership.objects.select_related("workspace").get(workspace_id=workspace_id, user_id=user.pk)
    except Membership.DoesNotExist:
        raise Http404 from None


def require(membership: Membership, permission: Permission) -> None:
    """Raises MissingPermission when the membership's role does not hold `permission`, and WorkspaceSuspended when
    it does but the Workspace is suspended and `permission` would change something."""
    if not role_allows(membership.role, permission):
        raise MissingPermission(membership.workspace, permission)
    if not may(membership, permission):
        raise WorkspaceSuspended(membership.workspace)


def may(membership: Membership, permission: Permission) -> bool:
    """What `require` would let pass."""
    suspended = membership.workspace.suspended_at is not None and permission not in WHILE_SUSPENDED
    return role_allows(membership.role, permission) and not suspended


def attach(request: HttpRequest, membership: Membership) -> MemberRequest:
    """Put what was authorised on the request, where views, templates and the shell read it."""
    request.workspace = membership.workspace  # type: ignore[attr-defined]
    request.membership = membership  # type: ignore[attr-defined]
    request.can = lambda permission: may(membership, permission)  # type: ignore[attr-defined]
    return request  # type: ignore[return-value]


type View[**P] = Callable[P, HttpResponseBase]


def workspace_view[**P](
    permission: Permission,
) -> Callable[[View[Concatenate[MemberRequest, P]]], View[Concatenate[HttpRequest, UUID, P]]]:
    """A view of one Workspace, named by `workspace_id` in its URL. The view gets a MemberRequest."""

    def decorate(view: View[Concatenate[MemberRequest, P]]) -> View[Concatenate[HttpRequest, UUID, P]]:
        @login_required
        @wraps(view)
        def wrapper(request: HttpRequest, workspace_id: UUID, *args: Any, **kwargs: Any) -> HttpResponseBase:
            assert isinstance(request.user, User)  # noqa: S101 - login_required
            membership = membership_of(request.user, workspace_id)
            require(membership, permission)
            return view(attach(request, membership), *args, **kwargs)

        wrapper.permission = permission  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]  # the arguments after the loaded object pass through

    return decorate
