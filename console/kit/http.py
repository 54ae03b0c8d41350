"""HTTP helpers that know no app."""

import re
import secrets
from collections.abc import Awaitable, Callable

import brotli
from allauth.account.adapter import get_adapter
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase, HttpResponseRedirectBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

# Second factors, recovery codes, links that sign in or join.
HOLD_SECRETS = ("/accounts/", "/join/", "/mail/")
TAKES_BROTLI = re.compile(r"\bbr\b")
QUALITY = 5  # half a millisecond for a page, and a tenth smaller than gzip


class HtmxHttpRequest(HttpRequest):
    """A request after django-htmx's middleware, for type checkers."""

    htmx: HtmxDetails


class HybridMiddleware:
    """A middleware for requests of both kinds. `is_async` says whether what it calls is a coroutine function."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        raise NotImplementedError


class AnswerMiddleware(HybridMiddleware):
    """A middleware that looks at answers alone: each goes through `answer`."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._async(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - the sync branch
        return self.answer(request, response)

    async def _async(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        assert not isinstance(response, HttpResponseBase)  # noqa: S101 - the async branch
        return self.answer(request, await response)

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """What is answered in place of this. Without I/O: it also runs in the event loop."""
        raise NotImplementedError


class PrivatePagesMiddleware(AnswerMiddleware):
    """Keep private pages out of caches, and keep htmx fragments apart from the pages of the same URL."""

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The same, with the headers that say so."""
        response.headers.setdefault("Cache-Control", "no-store, private")
        vary = response.headers.get("Vary", "")
        if "HX-Request" not in vary:
            response.headers["Vary"] = f"{vary}, HX-Request" if vary else "HX-Request"
        return response


class SignedOutPartsMiddleware(AnswerMiddleware):
    """401 in place of the way to the sign-in page, where htmx asks for a part of a page whose reader has signed out. It
    would follow, and put the sign-in form into the part; what is shown stays, and app.js says why."""

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The same, unless it leads to the sign-in page."""
        if "HX-Request" not in request.headers or not isinstance(response, HttpResponseRedirectBase):
            return response
        leads_out = response.url.partition("?")[0] == resolve_url(settings.LOGIN_URL)
        return HttpResponse(status=401) if leads_out else response


class NoNulMiddleware(HybridMiddleware):
    """400 for a NUL character in an address. Postgres takes none in a text, so each filter would fail by itself."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        query = request.META.get("QUERY_STRING", "")
        if "\0" in request.path_info or "%00" in query or "\0" in query:
            raise BadRequest("The address holds a NUL character.")
        return self.get_response(request)


def client_ip(request: HttpRequest) -> str:
    """Where the request comes from: the peer's address, or behind proxies that are trusted (TRUSTED_PROXY_COUNT) what
    the first of those saw. Forwarded headers are read by allauth alone, which knows how many there are."""
    try:
        found = get_adapter(request).get_client_ip(request)
    except (
        ImproperlyConfigured,
        PermissionDenied,
    ):  # it names fewer than there are: it came past them; or none at all
        found = None
    return str(found or request.META.get("REMOTE_ADDR", ""))[:45]


class HttpResponseSeeOther(HttpResponseRedirect):
    """303: the browser gets what the POST led to, and reloading repeats nothing."""

    status_code = 303


def see_other(url: str) -> HttpResponse:
    """The answer to a POST that worked."""
    return HttpResponseSeeOther(url)


def this_url(request: HttpRequest, **changes: str) -> str:
    """This page's URL with some of its query changed; an empty value leaves the key out."""
    query = request.GET.copy()
    for key, value in changes.items():
        if value:
            query[key] = value
        else:
            query.pop(key, None)
    return f"{request.path}?{query.urlencode()}" if query else request.path


def posted(request: HttpRequest) -> QueryDict | None:
    """What was posted, for a form: also when that is nothing at all (an empty POST is still a POST)."""
    return request.POST if request.method == "POST" else None


class CompressPagesMiddleware(GZipMiddleware):
    """Compresses pages, with random padding: in the body of gzip, as Django has it; of brotli in a header, which hides
    the length only where headers and body are not seen apart. Never a stream (an event would wait for the next one),
    never the answer to a POST or a page of an account (they may hold a secret), and never an answer to a query: what a
    stranger can choose must not be compressed together with what a stranger must not know (BREACH): docs/adr/0023."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The answer, smaller where that is safe."""
        plain = response.headers.get("Content-Type", "").startswith("text/html")
        asked = request.method not in {"GET", "HEAD"} or bool(request.META.get("QUERY_STRING"))
        if (
            not isinstance(response, HttpResponse)
            or not plain
            or asked
            or request.path.startswith(HOLD_SECRETS)
        ):
            return response
        small, takes = len(response.content) < 200, request.META.get("HTTP_ACCEPT_ENCODING", "")
        if small or response.has_header("Content-Encoding") or not TAKES_BROTLI.search(takes):
            return super().process_response(request, response)
        patch_vary_headers(response, ("Accept-Encoding",))
        response.content = brotli.compress(response.content, mode=brotli.MODE_TEXT, quality=QUALITY)
        response.headers["Content-Encoding"] = "br"
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["X-Padding"] = "0" * secrets.randbelow(self.max_random_bytes)
        return response
