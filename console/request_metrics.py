"""Requests as Prometheus sees them: by kind and class of status, and those to the API by endpoint."""

import time
from collections.abc import Awaitable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.health import PROBES
from console.kit import metrics
from console.kit.http import HybridMiddleware
from console.kit.long_requests import is_long
from console.kit.problems import API

CLOSED = 499  # the browser went away before there was an answer


class RequestMetricsMiddleware(HybridMiddleware):
    """The outermost one. A stream counts until its first byte."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if metrics.REQUESTS.real is None:
            return self.get_response(request)
        if self.is_async:
            return self._async(request)
        began = time.monotonic()
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - the sync branch
        _count(request, response.status_code, began)
        return response

    async def _async(self, request: HttpRequest) -> HttpResponseBase:
        began, status = time.monotonic(), CLOSED
        try:
            response = self.get_response(request)
            assert not isinstance(response, HttpResponseBase)  # noqa: S101 - the async branch
            answer = await response
            status = answer.status_code
            return answer
        except Exception:
            status = 500
            raise
        finally:
            _count(request, status, began)


def _count(request: HttpRequest, status: int, began: float) -> None:
    kind = kind_of(request)
    metrics.REQUESTS.observe(time.monotonic() - began, kind, f"{status // 100}xx")
    if kind == "api":
        match = request.resolver_match
        endpoint = match.view_name if match else "unknown"
        method = request.method if request.method in {"GET", "POST", "PUT", "PATCH", "DELETE"} else "other"
        metrics.API_REQUESTS.add(endpoint, str(method), str(status))


def kind_of(request: HttpRequest) -> str:
    """One word, of nine."""
    path = request.path_info
    if path in PROBES:
        return "probe"
    if path.startswith(API):
        return "api"
    if is_long(path):
        return "stream"
    for prefix, kind in (("/static/", "static"), ("/accounts/", "account"), ("/admin/", "admin")):
        if path.startswith(prefix):
            return kind
    if request.method not in {"GET", "HEAD"}:
        return "action"
    return "fragment" if request.headers.get("HX-Request") else "page"
