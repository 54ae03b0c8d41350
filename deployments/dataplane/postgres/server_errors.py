"""What an error of the database server means, in one sentence that a person can act on, and whether the server is away
or has answered: one that refuses a statement is there for all other Deployments. Pure."""

import psycopg

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.postgres.server_url import POOLER

# How a server says, while one connects, that it has no connection left: for anyone, for its own administrator, for a
# role or a database. An error of that moment has no code by which to recognise it.
FULL_UP = ("too many clients already", "remaining connection slots are reserved", "too many connections for")
# The server ended the connection, or comes up or down: by itself, by its administrator, after a crash.
ENDED = frozenset(("57P01", "57P02", "57P03", "57P04", "57P05"))
SLOW, DISK_FULL, LOCKED = "57014", "53100", "55P03"


def not_connected(error: psycopg.Error) -> DataPlaneError:
    """For a server to which there is no connection."""
    if "unsupported startup parameter" in str(error):  # of a PgBouncer: a server takes our settings
        return DataPlaneError(POOLER)
    reason = reason_of(error)
    if any(words in str(error) for words in FULL_UP):
        return DataPlaneUnreachable(
            f"The database server has no connection left: {reason}. End what holds them, or let it take more."
        )
    return DataPlaneUnreachable(
        f"The database server does not answer: {reason}. Is it running, and is the URL right?"
    )


def not_done(error: psycopg.Error) -> DataPlaneError:
    """For a statement that came to nothing."""
    reason, code = reason_of(error), error.sqlstate or ""
    if code == DISK_FULL:
        return DataPlaneError(f"The disk of the database server is full: {reason}. Make room there.")
    if code == LOCKED:
        return DataPlaneError("The database server is still busy with an earlier step of the same database.")
    lost = not code or code == SLOW or code in ENDED or code.startswith("08")
    if isinstance(error, psycopg.OperationalError) and lost:
        return DataPlaneUnreachable(f"The database server did not finish: {reason}.")
    return DataPlaneError(f"The database server refused: {reason}.")


def reason_of(error: psycopg.Error) -> str:
    """What the server answered, or why it could not be asked: host, port and cause, without libpq's advice in the lines
    after it. Never the statement: it may hold a verifier."""
    text = error.diag.message_primary or str(error)
    first = (text.strip().splitlines() or ["no reason given"])[0].strip()
    return first.removeprefix("connection failed: ").removeprefix("connection is bad: ")[:300].rstrip(".")
