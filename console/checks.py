"""What must hold of the console's database before anything is done with it. `migrate` asks, and `check --database
default`."""

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import OperationalError, connections

from console.environment import STATEMENT_TIMEOUT_MS

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
    """Whether the server takes the settings of our connections. This reports nothing of one that does not answer: the
    caller that needs it says so."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
                row = cursor.fetchone()
                refused = row is None or row[0] != str(STATEMENT_TIMEOUT_MS)
        except OperationalError as error:
            refused = "unsupported startup parameter" in str(error)
        if refused:
            found.append(checks.Error(POOLER, hint=HINT, id="console.E001"))
    return found
