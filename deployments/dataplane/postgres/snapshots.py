"""A copy of a Deployment's metadata database from before an upgrade, and putting it back.

The copy is a database beside the live one, owned by the same role; the comments on both say which runtime their tables
are of. Every function may be killed at any instant and called again: the two comments and the two names are all that
is remembered. The caller of these has stopped the Deployment's Airflow before.

    live (3.2-1)  --take-->  live (3.2-1) + copy (3.2-1)  --migrate, mark-->  live (3.3-1) + copy (3.2-1)  --drop-->
                                                          --restore-->        live (3.2-1), which was the copy
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql
from psycopg.pq import ExecStatus

from deployments.dataplane.contract import DataPlaneError, UpgradeFailed
from deployments.dataplane.postgres.databases import (
    Connection,
    connect,
    database_name,
    end_connections,
    find_by,
    lock_key,
    locked,
    mark,
    remove,
    run,
    snapshot_name,
)

COPY_TRIES = 2  # one that fails may have filled the disk that all databases of the server share
COPY_SECONDS = 8.0  # how long one call waits for a copy; the server goes on with it by itself


def take(
    admin_url: str, release_name: str, deployment_id: str, *, runtime: str, wait: float = COPY_SECONDS
) -> bool:
    """Copy the Deployment's database, whose tables are those of `runtime`. True once the copy is whole; False while
    the server still copies: call again. A copy of another runtime is older than this upgrade, and replaced. Raises
    UpgradeFailed when the server cannot copy it: nothing has been changed then."""
    live, copy = sql.Identifier(database_name(release_name)), sql.Identifier(snapshot_name(release_name))
    with connect(admin_url) as admin, _locked_at_once(admin, release_name) as alone:
        if not alone:
            return False  # the copy that an earlier call began
        found = find_by(admin, release_name, deployment_id)
        if found.snapshot == runtime:
            _open(admin, live)
            return True
        if not found.ready:
            raise DataPlaneError("The metadata database to be upgraded is not there.")
        if found.snapshot:
            remove(admin, snapshot_name(release_name))
        if found.snapshot != "":  # "" is one that was copied to the end, but not yet marked
            # While the server copies no one may be connected, and no one may come back.
            _close(admin, release_name, live)
            end_connections(admin, database_name(release_name))
            if not _copy(admin, release_name, wait):
                return False
        message = sql.Literal(mark(deployment_id, runtime))
        run(admin, "COMMENT ON DATABASE {} IS {}", copy, message)
        _open(admin, live)
    return True


def mark_runtime(admin_url: str, release_name: str, deployment_id: str, runtime: str) -> None:
    """Write down that the Deployment's database was migrated to `runtime`."""
    message = sql.Literal(mark(deployment_id, runtime))
    with connect(admin_url) as admin, locked(admin, database_name(release_name)):
        if find_by(admin, release_name, deployment_id).ready:
            run(admin, "COMMENT ON DATABASE {} IS {}", sql.Identifier(database_name(release_name)), message)


def restore(admin_url: str, release_name: str, deployment_id: str) -> bool:
    """Put the copy in the place of the live database, which is dropped. Returns whether there was a whole copy."""
    live, copy = sql.Identifier(database_name(release_name)), sql.Identifier(snapshot_name(release_name))
    with connect(admin_url) as admin, locked(admin, database_name(release_name)):
        found = find_by(admin, release_name, deployment_id)
        if not found.snapshot:
            return False
        if found.database:
            remove(admin, database_name(release_name))
        run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", copy)
        run(admin, "ALTER DATABASE {} RENAME TO {}", copy, live)  # its comment goes with it
    return True


def drop(admin_url: str, release_name: str, deployment_id: str) -> bool:
    """Drop the copy: the upgrade has succeeded. Returns whether there was one. Never while it is all there is."""
    with connect(admin_url) as admin, locked(admin, database_name(release_name)):
        found = find_by(admin, release_name, deployment_id)
        if found.snapshot is None or not found.ready:
            return False
        remove(admin, snapshot_name(release_name))
    return True


@contextmanager
def _locked_at_once(admin: Connection, release_name: str) -> Iterator[bool]:
    """Whether the lock of `databases.locked` is ours; not while another connection has it. It ends with this block, or
    for a copy that goes on without us with the copy."""
    key = lock_key(database_name(release_name))
    row = admin.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
    alone = row is not None and bool(row[0])
    try:
        yield alone
    finally:
        if alone and not admin.closed and not admin.broken:
            admin.execute("SELECT pg_advisory_unlock(%s)", (key,))


def _close(admin: Connection, release_name: str, live: sql.Identifier) -> None:
    """Let no one into the live database, and count that a copy is begun. A server that goes on with a copy by itself
    tells no one that it failed; what remains is a closed database without a copy. How often that happened is its
    connection limit, which counts for nothing while it is closed. Raises UpgradeFailed after COPY_TRIES."""
    row = admin.execute(
        "SELECT datconnlimit FROM pg_database WHERE datname = %s AND NOT datallowconn AND datconnlimit > 0",
        (database_name(release_name),),
    ).fetchone()
    tries = row[0] if row else 0
    if tries >= COPY_TRIES:
        _open(admin, live)
        raise UpgradeFailed(
            f"its metadata database could not be copied: the server gave up {tries} times. Most often its disk has no "
            "room for a second one; its log says why"
        )
    run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS false CONNECTION LIMIT {}", live, sql.Literal(tries + 1))


def _open(admin: Connection, live: sql.Identifier) -> None:
    run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS true CONNECTION LIMIT -1", live)


def _copy(admin: Connection, release_name: str, wait: float) -> bool:
    """CREATE DATABASE … TEMPLATE. A large one takes longer than a call may: then the connection is left, and the
    server, which looks for its client only when it has something to say, finishes on its own. Until it has, no one
    else sees the new database, so what is seen is whole."""
    admin.execute("SET statement_timeout = 0")
    names = [sql.Identifier(name(release_name)) for name in (snapshot_name, database_name)]
    statement = sql.SQL("CREATE DATABASE {0} TEMPLATE {1} OWNER {1}").format(*names)
    connection, deadline = admin.pgconn, time.monotonic() + wait
    connection.send_query(statement.as_bytes(admin))
    while connection.is_busy():
        if time.monotonic() > deadline:
            connection.finish()
            return False
        time.sleep(0.01)
        connection.consume_input()
    result = connection.get_result()
    connection.get_result()  # None: the statement is over
    if result is None or result.status != ExecStatus.COMMAND_OK:
        _open(admin, names[1])
        message = (result.error_message.decode(errors="replace") if result else "no answer").strip()
        raise UpgradeFailed(f"its metadata database could not be copied: {message.splitlines()[0][:300]}")
    return True
