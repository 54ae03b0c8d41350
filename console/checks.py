"""What must hold of the console's database before anything is done with it (`migrate` asks, and `check --database
default`), and of Redis and of settings that each are sound but together serve no one (`check --deploy`)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core import checks
from django.db import OperationalError, connections
from django.http.request import validate_host

from console.environment import STATEMENT_TIMEOUT_MS
from console.starting import no_connection

POOLER = (
    "A connection pooler answers at DATABASE_URL in place of Postgres, and does not take the limits that Airdeck sets "
    "for each of its connections."
)
HINT = (
    "Give the URL of the Postgres server itself, or of a pooler in session mode that passes the startup parameter "
    "options on. Airdeck pools its own connections (DATABASE_POOL)."
)


@checks.register(checks.Tags.database)
def takes_limits(*, databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Whether the server answers, and takes the settings of our connections."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
                row = cursor.fetchone()
                refused = row is None or row[0] != str(STATEMENT_TIMEOUT_MS)
        except OperationalError as error:
            refused = "unsupported startup parameter" in str(error)
            if not refused:
                found.append(checks.Error(no_connection(error) or str(error), id="console.E004"))
        if refused:
            found.append(checks.Error(POOLER, hint=HINT, id="console.E001"))
    return found


@checks.register(checks.Tags.security, deploy=True)
def redis_answers(**_: Any) -> list[checks.CheckMessage]:
    """Whether Redis answers, and asks others for a password."""
    found: list[checks.CheckMessage] = []
    parts = urlsplit(settings.REDIS_URL)
    if parts.scheme != "unix" and not (parts.password or "password=" in parts.query):
        found.append(
            checks.Warning(
                "REDIS_URL holds no password: who reaches that Redis can read what pages show, and stop the workers.",
                hint="Give Redis a password (requirepass, or an ACL), and put it into REDIS_URL.",
                id="console.W001",
            )
        )
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        found.append(
            checks.Error(
                f"Redis cannot be used (REDIS_URL): {error or type(error).__name__}", id="console.E005"
            )
        )
    return found


@checks.register(checks.Tags.security, deploy=True)
def is_reached(**_: Any) -> list[checks.CheckMessage]:
    """Whether people come further than to a redirect or a refusal."""
    found: list[checks.CheckMessage] = []
    if settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER:
        found.append(
            checks.Error(
                "HTTPS is on and TRUSTED_PROXY_COUNT is 0: every page leads to itself, without end.",
                hint="The console speaks plain HTTP and learns from a proxy in front that the browser used HTTPS. Set "
                "TRUSTED_PROXY_COUNT to the number of proxies.",
                id="console.E002",
            )
        )
    host = urlsplit(settings.BASE_URL).hostname or ""
    if host in {"127.0.0.1", "::1", "localhost"} or not validate_host(host, settings.ALLOWED_HOSTS):
        found.append(
            checks.Error(
                f"BASE_URL is {settings.BASE_URL}, where people do not reach the console: links in mail lead there.",
                hint="Set it to the address at which they do, whose host ALLOWED_HOSTS names.",
                id="console.E003",
            )
        )
    return found
