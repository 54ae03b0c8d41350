"""Rate limits of our own forms. Those of sign-in, sign-up and reset are allauth's; all answer the same page."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from allauth.account.adapter import get_adapter
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from console.kit import limits
from console.kit.wording import spelled

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def too_many(request: HttpRequest, retry_after: int) -> HttpResponse:
    """429 with the sentence and the header that say when."""
    response = render(request, "429.html", {"wait": spelled(retry_after)}, status=429)
    response["Retry-After"] = str(retry_after)
    return response


def limited[**P](action: str, *, limit: int, seconds: int) -> Callable[[View[P]], View[P]]:
    """At most `limit` POSTs of `action` per person (signed out: per network address) in `seconds`."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method == "POST":
                who = request.user.pk or get_adapter().get_client_ip(request)
                retry_after = limits.hit(action, who, limit=limit, seconds=seconds)
                if retry_after:
                    return too_many(request, retry_after)
            return view(request, *args, **kwargs)

        return wrapper  # type: ignore[return-value]  # the view's own arguments pass through

    return decorate
