"""Whether a request comes from a person who is signed in, asked before Django sees it."""

from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, connection


async def signed_in(scope: MutableMapping[str, Any]) -> bool:
    """Whether the session that an ASGI request names is a person's. One query. False when it cannot be asked."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        for name, value in scope["headers"]:
            if name == b"cookie":
                cookies.load(value.decode("latin-1"))
    except CookieError:
        return False
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    return key is not None and await sync_to_async(_has_session, thread_sensitive=False)(key.value)


def _has_session(key: str) -> bool:
    try:
        return bool(SessionStore(key).get(SESSION_KEY))
    except DatabaseError:
        return False
    finally:
        connection.close()
