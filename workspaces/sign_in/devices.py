"""Device codes (RFC 8628): how a program without a browser of its own asks a person to sign it in.

django-allauth makes the codes and keeps them in the cache. Here is what it leaves out: one code is one sign-in, however
many ask at once; a code is found however it is typed; and the person is shown who asks.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from allauth.idp.oidc.internal.oauthlib import device_codes
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from oauthlib.oauth2.rfc8628.errors import AccessDenied

from console.kit.alone import alone
from console.kit.refusals import ActionRefused
from workspaces.models import User
from workspaces.sign_in import ways

CLIENT = "airdeck-cli"  # the one program that signs in like this
DEVICE_LENGTH, NAMELESS = 60, "a-computer"
USED, UNKNOWN = (
    "This code was used already. Run airdeck login again for a new one.",
    "There is no such code, or its time is over. Compare it with your terminal, or run airdeck login again.",
)
SIGNED_OUT = (
    "The person who confirmed this code was signed out afterwards. Run airdeck login again for a new one."
)


@dataclass(frozen=True)
class Asking:
    """Who asks to be signed in. `device` is what the program says of itself; the address is what we saw. `agreed_at` is
    when a person said yes, which the program learns when it asks next, within the life of the code."""

    code: str  # as the terminal shows it
    device: str
    address: str
    since: datetime
    agreed_at: datetime | None = None
    ways: str = ""  # of the person who agreed, at that moment; see `ways.mark`


class NoSuchCode(ActionRefused):
    """The code opens nothing."""

    code, status, field = "no_such_code", 404, "code"


def note(code: str, *, seconds: int, device: str, address: str) -> None:
    """Remember who asked for this code, for as long as it is good. Of what the program calls itself no more is left
    than a host name may have, so that it cannot talk to the person."""
    label = re.sub(r"[^A-Za-z0-9.-]+", "-", device).strip("-")[:DEVICE_LENGTH] or NAMELESS
    cache.set(_key(code), Asking(code, label, address, timezone.now()), timeout=seconds)


def asking(typed: str) -> Asking:
    """Who asks with the code that a person typed: case, blanks and the dash do not matter. Raises NoSuchCode."""
    found, _ = _find(typed)
    return found


def answer(typed: str, *, by: User, allowed: bool) -> Asking:
    """What the person answers to it. Raises NoSuchCode, also when another person answered first."""
    found, device_code = _find(typed)
    marked = ways.mark(by)  # read first
    with alone(device_code):
        _find(typed)
        if not device_codes.confirm_or_deny_device_code(by, device_code, confirm=allowed):
            raise NoSuchCode(UNKNOWN)
        kept = cache.get(device_codes.cache_device_code_key(device_code)) or {}
        agreed = replace(found, agreed_at=timezone.now() if allowed else None, ways=marked)
        cache.set(_key(found.code), agreed, timeout=_left(kept))
    return found


@contextmanager
def redeemed(request: HttpRequest) -> Iterator[tuple[User, Asking] | OAuth2Error]:
    """What the program that polls gets: the person who agreed, or the error of RFC 8628. A yes is used up with the
    block, in one transaction: no other program gets it, and an exception in the block leaves it as it was."""
    device_code = request.POST.get("device_code", "")
    with alone(device_code):
        kept = cache.get(device_codes.cache_device_code_key(device_code)) or {}
        outcome: tuple[User, Asking] | OAuth2Error
        try:
            user, data = device_codes.poll_device_code(request)
        except OAuth2Error as refused:
            outcome = refused
        else:
            code = data["device"]["user_code"]
            outcome = user, cache.get(_key(code)) or Asking(code, NAMELESS, "", timezone.now())
            # Typed again later, it was used.
            cache.set(_key(code), USED, timeout=_left(kept))
            if not ways.still_count(user, outcome[1].ways):
                outcome = AccessDenied(SIGNED_OUT)
        yield outcome


def _find(typed: str) -> tuple[Asking, str]:
    letters = re.sub(r"[^A-Z]", "", typed.upper())
    code = f"{letters[:4]}-{letters[4:]}" if len(letters) == 8 else ""
    found = cache.get(_key(code)) if code else None
    if found == USED:
        raise NoSuchCode(USED)
    device_code = cache.get(device_codes.cache_user_code_key(code)) if code else None
    data = cache.get(device_codes.cache_device_code_key(device_code)) if device_code else None
    if device_code is None or not isinstance(found, Asking) or not data or data["client_id"] != CLIENT:
        raise NoSuchCode(UNKNOWN)
    if data["granted"] is not None:
        raise NoSuchCode(USED)
    return found, device_code


def _left(kept: Mapping[str, float]) -> int:
    """For how many seconds more a code is good, of which allauth keeps this; one at least."""
    return max(1, int(kept.get("expires_at", 0) - timezone.now().timestamp()))


def _key(code: str) -> str:
    return f"device:{code}"
