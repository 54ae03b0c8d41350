"""What requests of people get: their time zone, their address in the log context, an honest 429, and a page in place
of a redirect that their browser would not follow."""

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from django.conf import settings
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from console.kit.http import client_ip
from console.kit.pages_only import PagesOnly
from workspaces.sign_in.onward import onward

LAST_WORKSPACE = "airdeck-workspace"
LOCKED_SECONDS = 300  # the window of five wrong passwords of one account, and of five wrong codes
LOCKED_CODES = ("too_many_login_attempts", "rate_limited")


def _is_locked(form: BaseForm) -> bool:
    """Whether any field says that there were too many tries: of a password, or of a second factor."""
    return any(form.has_error(field, code) for field in form.errors for code in LOCKED_CODES)


class TimeZoneMiddleware(MiddlewareMixin):
    """Activates the user's time zone; binds the address that a request comes from for audit rows."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> None:
        """Runs late, so that requests which need no user load none."""
        structlog.contextvars.bind_contextvars(ip=client_ip(request))
        # Async views (the stream) render no times; loading a user there would block the event loop.
        # Programs have no user, and get times in UTC.
        user = getattr(request, "user", None)
        if getattr(view, "renders_no_times", False) or user is None or not user.is_authenticated:
            timezone.deactivate()
            return
        try:
            timezone.activate(ZoneInfo(user.time_zone))
        except (ZoneInfoNotFoundError, ValueError):
            timezone.deactivate()


class LastWorkspaceMiddleware(PagesOnly):
    """Remembers in a cookie which Workspace was looked at last, so that pages outside of any keep its navigation. The
    cookie proves nothing: it only picks one of the user's own Workspaces."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Writes only when it is another one."""
        workspace = getattr(request, "workspace", None)
        if workspace is not None and request.COOKIES.get(LAST_WORKSPACE) != str(workspace.pk):
            response.set_cookie(
                LAST_WORKSPACE,
                str(workspace.pk),
                max_age=31_536_000,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response


class OnwardMiddleware(PagesOnly):
    """The answer to a form never redirects to a view that leads to another site; see `sign_in.onward`. Who confirms on
    the way to a tool that it is them would stay on that form."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """A page of ours in place of such a redirect."""
        return onward(request, response) if request.method == "POST" else response


class LockedAccountMiddleware(MiddlewareMixin):
    """After too many wrong passwords or codes allauth says so in the form, with status 200. Programs and proxies
    read the status, so it becomes a 429 with a Retry-After; the page stays the same."""

    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Look for that one error."""
        form = (response.context_data or {}).get("form")
        if isinstance(form, BaseForm) and form.is_bound and _is_locked(form):
            response.status_code = 429
            response["Retry-After"] = str(LOCKED_SECONDS)
        return response
