"""Which Deployments a person looked at last, in a cookie of the browser. The cookie proves nothing: who reads it picks
from the person's own Deployments alone. So a GET writes no row."""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from deployments.models import Deployment

COOKIE = "airdeck-looked-at"
MOST = 8
_NAME = re.compile(r"[a-z0-9-]{1,63}")


def release_names(request: HttpRequest) -> list[str]:
    """The release names, the last one first; at most MOST."""
    names = request.COOKIES.get(COOKIE, "").split(".")
    return [name for name in names if _NAME.fullmatch(name)][:MOST]


def remember(request: HttpRequest, response: HttpResponse, deployment: Deployment) -> None:
    """Note on the answer that this one was looked at now. Writes only when it was not the last one."""
    before = release_names(request)
    if before[:1] == [deployment.release_name]:
        return
    names = [deployment.release_name, *(name for name in before if name != deployment.release_name)]
    response.set_cookie(
        COOKIE,
        ".".join(names[:MOST]),
        max_age=31_536_000,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
