"""Home, health and error pages."""

import sys
from typing import Any

import structlog
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import requires_csrf_token
from django.views.decorators.http import require_safe

from console.kit.disk import is_full, shortage
from console.kit.refusals import ActionRefused
from console.kit.turns import TooBusy
from workspaces.access import MissingPermission, WorkspaceSuspended
from workspaces.limits import too_many
from workspaces.middleware import LAST_WORKSPACE
from workspaces.models import User, Workspace


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the Deployments of the first Workspace; strangers to sign-in, or to sign-up on a fresh installation."""
    if not isinstance(request.user, User):
        fresh = settings.EMBEDDED and not User.objects.exists()
        return redirect("account_signup" if fresh else "account_login")
    own = Workspace.objects.filter(memberships__user=request.user)
    last = request.COOKIES.get(LAST_WORKSPACE, "")
    workspace = next((each for each in own if str(each.pk) == last), None) or own.first()
    return redirect(workspace.url if workspace else reverse("workspace_new"))


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """This process answers. No I/O."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether requests can be served: the database answers. Redis may be away: pages work without it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"database": "away"}, status=503)
    return JsonResponse({"database": "ok"})


def _request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, without saying what was wrong with the request."""
    return _static_error("400", 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the role that is needed and who has it."""
    context: dict[str, Any] = {}
    if isinstance(exception, MissingPermission):
        request.workspace = exception.workspace  # type: ignore[attr-defined]
        context = {"needed_role": exception.needed_role.label, "who": exception.who()}
    elif isinstance(exception, WorkspaceSuspended):
        request.workspace = exception.workspace  # type: ignore[attr-defined]
        context = {"suspended": True}
    return _error_page(request, "errors/403.html", 403, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: the same for what does not exist and for what is another person's."""
    return _error_page(request, "errors/404.html", 404, {})


def refused(request: HttpRequest, refusal: ActionRefused) -> HttpResponse:
    """What an action refused that no page showed beside a field. What is gone looks like what never was."""
    if refusal.status == 404:
        return not_found(request, refusal)
    return _error_page(request, "errors/refused.html", refusal.status, {"sentence": refusal.sentence})


def _error_page(request: HttpRequest, template: str, status: int, context: dict[str, Any]) -> HttpResponse:
    """An error page inside the shell. Under ASGI Django renders it in a thread that outlives the request, so the
    connection used here is given back by hand: kept, it would be missing from the pool and go stale."""
    try:
        inside = isinstance(getattr(request, "user", None), User)
        layout = "error_inside.html" if inside else "error.html"
        return render(
            request, template, {**context, "layout": layout, "request_id": _request_id()}, status=status
        )
    finally:
        if not connection.in_atomic_block:
            connection.close()


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 when no turn came, the database did not answer or the disk is full. Asks nothing of the database."""
    error = sys.exc_info()[1]
    if isinstance(error, TooBusy):
        return _come_back("busy")
    silent = isinstance(error, OperationalError | InterfaceError)
    # Without room Postgres may also end, and then be away.
    full = is_full(error) or (silent and settings.EMBEDDED and bool(shortage(settings.STATE_DIR)))
    if silent or full:
        return _come_back("disk_full" if full else "503")
    return _static_error("500", 500)


def _come_back(name: str) -> HttpResponse:
    response = _static_error(name, 503)
    response["Retry-After"] = "5"
    return response


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """429 of allauth's limits. Most of their windows are a minute long."""
    return too_many(request, retry_after=60)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 after a cross-site or an expired form."""
    return _static_error("csrf", 403)


def _static_error(name: str, status: int) -> HttpResponse:
    return HttpResponse(render_to_string(f"errors/{name}.html", {"request_id": _request_id()}), status=status)
