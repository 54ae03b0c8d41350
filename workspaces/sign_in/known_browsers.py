"""Browsers in which a person has signed in before. What strangers try with an account does not lock its owner out of
one of these."""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from workspaces.email_addresses import normalize_email
from workspaces.models import User

COOKIE = "__Host-airdeck-known" if settings.HTTPS else "airdeck-known"
SECONDS = 180 * 86_400
ACCOUNTS = 5  # that one browser is known to; beyond it the oldest is forgotten
_SALT = "workspaces.sign_in.known_browsers"


def _known(request: HttpRequest) -> dict[str, str]:
    """Account id -> a random name of this browser."""
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        return {}
    return found if isinstance(found, dict) else {}


def name_for(request: HttpRequest, email: str) -> str:
    """What this browser is called among those in which the account of that address signed in; "" when it is none."""
    if not (known := _known(request)):
        return ""
    user_id = User.objects.filter(email=normalize_email(email)).values_list("pk", flat=True).first()
    return str(known.get(str(user_id), ""))


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Know this browser the next time."""
    known = _known(request)
    name = known.pop(str(user.pk), "") or secrets.token_urlsafe(12)
    kept = dict([*known.items(), (str(user.pk), name)][-ACCOUNTS:])
    response.set_cookie(
        COOKIE,
        signing.dumps(kept, salt=_SALT),
        max_age=SECONDS,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
