"""Middleware for people's pages that requests to the JSON API pass by: programs have neither session nor cookie, so
there is nothing to load, to check or to keep. Under ASGI each of these costs a request one or two changes of thread,
and together about half of what the API takes for a short answer."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseForbidden
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin

from console.kit.problems import API


class PagesOnly(MiddlewareMixin):
    """Mixed in before a middleware of Django's kind. `process_view` is the only hook that must look for itself."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Straight on for programs."""
        if request.path_info.startswith(API):
            return self.get_response(request)
        return super().__call__(request)


class PageSessionMiddleware(PagesOnly, SessionMiddleware):
    """Sessions, on pages only."""


class PageAuthenticationMiddleware(PagesOnly, AuthenticationMiddleware):
    """Who is signed in, on pages only."""


class PageMessageMiddleware(PagesOnly, MessageMiddleware):
    """Sentences for the next page."""


class PageCsrfMiddleware(PagesOnly, CsrfViewMiddleware):
    """Other sites must not post in a person's name: where no cookie counts, none can."""

    def process_view(
        self, request: HttpRequest, callback: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseForbidden | None:
        """Nothing to check for programs."""
        if request.path_info.startswith(API):
            return None
        return super().process_view(request, callback, args, kwargs)
