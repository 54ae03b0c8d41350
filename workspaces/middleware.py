"""What every request of a signed-in person gets: their time zone, and their address in the log context."""

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from console.kit.http import client_ip


class TimeZoneMiddleware(MiddlewareMixin):
    """Activates the user's time zone; binds the peer's address for audit rows."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> None:
        """Runs late, so that requests which need no user load none."""
        structlog.contextvars.bind_contextvars(ip=client_ip(request))
        # Async views (the stream) render no times; loading a user there would block the event loop.
        if getattr(view, "renders_no_times", False) or not request.user.is_authenticated:
            timezone.deactivate()
            return
        try:
            timezone.activate(ZoneInfo(request.user.time_zone))
        except (ZoneInfoNotFoundError, ValueError):
            timezone.deactivate()
