"""Health for a monitor that watches the web process: answered before anything else looks at the request."""

from collections.abc import Awaitable, Callable

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from console import views
from console.kit.http import HybridMiddleware

PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/-/live/": views.live, "/-/ready/": views.ready}


class HealthMiddleware(HybridMiddleware):
    """The first one. A probe asks by address, over plain HTTP, and maybe with a person's cookie: neither host nor
    scheme nor session decides about the answer, and only `ready` asks the database."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        probe = PROBES.get(request.path_info) if request.method in {"GET", "HEAD"} else None
        if probe is None:
            return self.get_response(request)
        return self._answer(probe, request) if self.is_async else probe(request)

    @staticmethod
    async def _answer(probe: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
        if probe is views.live:
            return probe(request)
        return await sync_to_async(probe)(request)
