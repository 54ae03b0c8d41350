"""Who may call an endpoint: declared where the endpoint is, checked before anything of the request is looked at.

Each object here is the `auth` of an endpoint. It finds the caller by the bearer token, loads what the address names,
and asks for the permission; the endpoint finds all that on its request. A stranger gets 404, a member without the right
403.
"""

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import Http404, HttpRequest
from ninja.security import HttpBearer

from console.kit.http import client_ip
from console.kit.rates import Buckets, Rate
from console.kit.refusals import ActionRefused
from workspaces import acting
from workspaces.models import Membership
from workspaces.permissions import Permission
from workspaces.token_access import (
    Caller,
    NotAuthenticated,
    NotByToken,
    authenticate,
    content_gone,
    is_content_there,
    note_use,
)

READ, WRITE, DELETE = Rate(25, 50), Rate(10, 20), Rate(5, 10)
RATES = {"GET": READ, "HEAD": READ, "DELETE": DELETE}
buckets = Buckets()


class TooManyRequests(ActionRefused):
    """This token asks too often."""

    code, status = "too_many_requests", 429

    def __init__(self, seconds: float) -> None:
        self.retry_after = max(1, -int(-seconds // 1))
        super().__init__(f"This API token asks too often. Try again in {self.retry_after} s.")


class ApiRequest(HttpRequest):
    """A request of a program, for type checkers."""

    caller: Caller
    membership: Membership


def token_in(request: HttpRequest) -> str:
    """The bearer token of a request. Raises NotAuthenticated."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise NotAuthenticated("token_missing", "Send an API token: Authorization: Bearer adk_….")
    return value.strip()


def admit(request: HttpRequest) -> Caller:
    """Who calls, within the rate of the token. From here on what happens is done with that token."""
    caller = authenticate(token_in(request))
    method = request.method or "GET"
    rate = RATES.get(method, WRITE)
    if wait := buckets.take((caller.token.pk, rate), rate):
        raise TooManyRequests(wait)
    note_use(caller, client_ip(request))
    acting.begin(caller.acting)
    request.caller = caller  # type: ignore[attr-defined]
    return caller


class Anyone(HttpBearer):
    """Any valid token."""

    permission: Permission | None = None

    def __init__(self, *, is_async: bool = False) -> None:
        super().__init__()
        self.is_async = is_async

    def __call__(self, request: HttpRequest) -> Any:
        """True, or a refusal is raised. For an async endpoint an awaitable of that."""
        return self._in_thread(request) if self.is_async else self._check(request)

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        """Not used: `__call__` reads the header itself, to say what is wrong with it."""
        raise NotImplementedError

    def _in_thread(self, request: HttpRequest) -> Awaitable[bool]:
        return sync_to_async(self._check_and_close)(request)

    def _check_and_close(self, request: HttpRequest) -> bool:
        try:
            return self._check(request)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    def _check(self, request: HttpRequest) -> bool:
        caller = admit(request)
        self.load(request, caller)
        return True

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """Load what the address names, and authorise. Raises a refusal or Http404."""
        if not is_content_there(caller.token):
            raise content_gone(caller.token)


class InWorkspace(Anyone):
    """One Workspace, named by `workspace_id` in the address. A token that is limited to one content of it is let in
    only with `limited`."""

    def __init__(self, permission: Permission, *, limited: bool = False, is_async: bool = False) -> None:
        super().__init__(is_async=is_async)
        self.permission = permission
        self.limited = limited

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """The membership."""
        membership = caller.membership_in(_uuid(path_argument(request, "workspace_id")))
        super().load(request, caller)
        assert self.permission is not None  # noqa: S101 - given by __init__
        caller.require(membership, self.permission)
        if caller.content_id is not None and not self.limited:
            raise limited()
        request.membership = membership  # type: ignore[attr-defined]


def limited() -> NotByToken:
    """Why a token of one content cannot do what concerns the whole Workspace."""
    return NotByToken(
        "token_limited",
        "This API token is limited to one thing in the Workspace. Use a token of the Workspace for this.",
    )


def path_argument(request: HttpRequest, name: str) -> str:
    """A part of the address, as routed."""
    match = request.resolver_match
    return str(match.kwargs.get(name, "")) if match else ""


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None
