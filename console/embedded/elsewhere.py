"""Variables by which a person means another console than that of `make run`. Imports little: manage.py asks first."""

from collections.abc import Iterable

# Set by a person who runs the console in production: `up` would use another database than they meant.
PRODUCTION_ONLY = (
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "KUBERNETES_SERVICE_HOST",
)
# One who sets one of these means another console.
CONFIGURED = (
    *PRODUCTION_ONLY,
    "SECRET_KEY",
    "SECRET_KEY_FILE",
    "ENCRYPTION_KEYS",
    "ENCRYPTION_KEYS_FILE",
)


def of_another_postgres(names: Iterable[str]) -> set[str]:
    """Which of these variables are libpq's (PGPORT, PGHOSTADDR, PGSERVICE and their like): a person who works with
    Postgres has some in the shell, and each would send a connection meant for ours elsewhere, for its URL names no
    port. Those of TLS do not: ours is reached by a socket, and servers of registered clusters may need them."""
    return {name for name in names if name.startswith("PG") and not name.startswith("PGSSL")}
