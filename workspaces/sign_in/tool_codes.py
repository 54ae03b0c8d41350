"""Authorization codes: what a browser takes to another tool, which exchanges it for tokens within a minute.

django-allauth makes the codes and keeps them in the cache. Here is what it leaves out: one code is one exchange,
however many ask at once, and it ends with the person's other ways in.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from allauth.idp.oidc import app_settings
from django.core.cache import cache

from console.kit.alone import alone
from workspaces.models import User
from workspaces.sign_in import ways

SIGNED_OUT = "The person was signed out since this code was made. Send them to sign in again."


def note(leads_to: str, *, by: User, marked: str) -> None:
    """Remember whose code the address holds to which the browser is sent, if it holds one; `marked` as `ways.mark` was
    before it was made."""
    parts = urlsplit(leads_to)
    given = parse_qs(parts.query) | parse_qs(parts.fragment)  # a tool may ask for either
    for code in given.get("code", []):
        cache.set(_key(code), (by.pk, marked), timeout=app_settings.AUTHORIZATION_CODE_EXPIRES_IN)


@contextmanager
def exchanged(code: str) -> Iterator[bool]:
    """Whether the code is still worth something, for as long as it is exchanged; in one transaction."""
    with alone(code):
        pk, marked = cache.get(_key(code)) or (None, "")
        user = User.objects.filter(pk=pk).first() if pk is not None else None
        yield user is not None and ways.still_count(user, marked)


def _key(code: str) -> str:
    return f"tool:code:{hashlib.sha256(code.encode()).hexdigest()}"
