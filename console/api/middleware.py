"""What all requests to the JSON API have in common, also those that never reach an endpoint."""

from collections.abc import Awaitable
from urllib.parse import unquote_plus

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from console.kit.http import AnswerMiddleware, HybridMiddleware
from console.kit.problems import API, CONTENT_TYPE, problem
from workspaces import acting, token_values
from workspaces.actions.tokens import revoke_exposed

KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
EXPOSED = (
    "An API token stood in the address, where logs and histories keep it, so it is revoked. Make a new one, and send "
    "it in the header Authorization."
)


class ProblemMiddleware(AnswerMiddleware):
    """The outermost one: whatever refuses a request of a program, it gets a problem document."""

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The problem document in place of a page; any other answer as it is."""
        if not request.path_info.startswith(API) or response.status_code < 400 or response.streaming:
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        headers["Cache-Control"] = "no-store, private"
        if request_id := response.headers.get("X-Request-ID"):
            headers["X-Request-ID"] = request_id
        return problem(response.status_code, headers=headers)


class ApiMiddleware(HybridMiddleware):
    """Inside what gives each request its id: refuses a token in an address, answers with the id, and ends what a
    token began."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if not request.path_info.startswith(API):
            return self.get_response(request)
        if self.is_async:
            return self._async(request)
        exposed = _exposed(request)
        if exposed:
            return _identified(_revoke(exposed))
        acting.end()
        try:
            response = self.get_response(request)
            assert isinstance(response, HttpResponseBase)  # noqa: S101 - the sync branch
            return _identified(response)
        finally:
            acting.end()

    async def _async(self, request: HttpRequest) -> HttpResponseBase:
        exposed = _exposed(request)
        if exposed:
            return _identified(await sync_to_async(_revoke)(exposed))
        response = self.get_response(request)  # in a context of its own: nothing to end
        assert not isinstance(response, HttpResponseBase)  # noqa: S101 - the async branch
        return _identified(await response)


def _exposed(request: HttpRequest) -> list[str]:
    query = request.META.get("QUERY_STRING", "")
    return (
        token_values.found_in(f"{query} {unquote_plus(query)}")
        if token_values.PREFIX in unquote_plus(query)
        else []
    )


def _revoke(values: list[str]) -> HttpResponse:
    for value in set(values):
        revoke_exposed(value)
    return problem(400, code="token_in_address", detail=EXPOSED)


def _identified(response: HttpResponseBase) -> HttpResponseBase:
    response.headers["Airdeck-Version"] = settings.VERSION  # the command line says when the console is older
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        response.headers["X-Request-ID"] = str(request_id)
    return response
