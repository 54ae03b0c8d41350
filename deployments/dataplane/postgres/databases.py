"""One role and one database per Deployment in a cluster's primary Postgres, and the connections to them.

Everything made here is tagged by a comment on its role, and a database is ours when its owner is. What is not
tagged is never adopted and never dropped. Works as a superuser, and as a role with CREATEDB and CREATEROLE.
Passwords reach the server as SCRAM verifiers computed here, so that no server log can hold one in the clear.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.postgres.server_errors import not_connected, not_done
from deployments.dataplane.postgres.server_url import ServerUrl, UnusableUrl
from deployments.domain.spec import Release

CONNECT_SECONDS = 3
STATEMENT_MS, LOCK_MS = 10_000, 5_000
VISITOR = " visitor"  # after the mark of a role: that of its visitor
Connection = psycopg.Connection[tuple[Any, ...]]
type Kind = type[Connection]


@dataclass(frozen=True)
class Leftovers:
    """What of a Deployment is still there. `ready` says that its database was made to the end; `runtime` is the
    version that it was last migrated to, "" when that is not written down. `snapshot` is the runtime of the copy from
    before an upgrade (`snapshots`): None without one, "" for one that is not finished. `code` says that code is kept
    for it (`code_schema`), `code_ready` that its code server can read that."""

    database: bool
    role: bool
    ready: bool
    runtime: str = ""
    snapshot: str | None = None
    code: bool = False
    code_ready: bool = False
    connection_limit: int = field(default=-1, compare=False)  # of the role

    def migrated_to(self, release: Release) -> str:
        """The runtime of the database's tables. One that says nothing is from before upgrades were written down: it
        is at the runtime from which this Release comes."""
        return self.runtime or (release.upgrade_from or release.runtime).version


def database_name(release_name: str) -> str:
    """The name of the Deployment's database, and of its role: "calm-orbit-0012" -> "d_calm_orbit_0012"."""
    return "d_" + release_name.replace("-", "_")


def snapshot_name(release_name: str) -> str:
    """The name of the copy from before an upgrade. No release name ends so."""
    return f"{database_name(release_name)}_before"


def code_role(release_name: str) -> str:
    """The role by which a code server reads the Deployment's code. No release name ends so."""
    return f"{database_name(release_name)}_code"


def visitor_role(release_name: str) -> str:
    """The role by which the console asks the Deployment's database (`visits`). No release name ends so."""
    return f"{database_name(release_name)}_visitor"


def code_mark(deployment_id: str, *, ready: bool) -> str:
    """The comment that makes such a role ours; `ready` once it can sign in and nothing is missing."""
    return f"{tag(deployment_id)} code{' ready' if ready else ''}"


def tag(deployment_id: str) -> str:
    """The comment that makes a role ours."""
    return f"airdeck deployment {deployment_id}"


def mark(deployment_id: str, runtime: str) -> str:
    """The comment on a finished database whose tables are those of `runtime`."""
    return f"{tag(deployment_id)} runtime {runtime}" if runtime else tag(deployment_id)


def find(admin_url: str, release_name: str, deployment_id: str) -> Leftovers:
    """What exists of this Deployment. One query; things of the same name that are not ours do not count."""
    with connect(admin_url) as connection:
        return find_by(connection, release_name, deployment_id)


def find_by(admin: Connection, release_name: str, deployment_id: str) -> Leftovers:
    """`find` on a connection that is there already."""
    name, mine = database_name(release_name), tag(deployment_id)
    row = admin.execute(
        "SELECT d.oid IS NOT NULL, coalesce(shobj_description(d.oid, 'pg_database'), ''), "
        "s.oid IS NOT NULL, coalesce(shobj_description(s.oid, 'pg_database'), ''), r.rolconnlimit, "
        "coalesce(shobj_description(c.oid, 'pg_authid'), '') FROM pg_roles r LEFT JOIN pg_roles c ON c.rolname = %s "
        "LEFT JOIN pg_database d ON d.datname = %s AND d.datdba = r.oid "
        "LEFT JOIN pg_database s ON s.datname = %s AND s.datdba = r.oid "
        "WHERE r.rolname = %s AND shobj_description(r.oid, 'pg_authid') = %s",
        (code_role(release_name), name, snapshot_name(release_name), name, mine),
    ).fetchone()
    if row is None:
        return Leftovers(database=False, role=False, ready=False)
    there, message, copied, copy_comment, limit, code_comment = row
    is_ready = code_comment == code_mark(deployment_id, ready=True)
    runtime, copy_runtime = (_runtime_in(comment, mine) for comment in (message, copy_comment))
    return Leftovers(
        database=there,
        role=True,
        ready=message == mine or bool(runtime),
        runtime=runtime,
        snapshot=copy_runtime if copied else None,
        code=is_ready or code_comment == code_mark(deployment_id, ready=False),
        code_ready=is_ready,
        connection_limit=limit,
    )


def _runtime_in(comment: str, mine: str) -> str:
    head, _, version = comment.partition(" runtime ")
    return version if head == mine else ""


def ensure_database(
    admin_url: str,
    release_name: str,
    deployment_id: str,
    *,
    password: str,
    template: str,
    connection_limit: int,
    runtime: str = "",
    ready: bool = True,
) -> None:
    """Make the Deployment's role and its database, a copy of `template` in which everything belongs to the
    role. `runtime` is the version whose tables the template holds. Without a template it is empty, for a backup to be
    put into it; until that is done it is not `ready`, and another call says when it is.

    Idempotent and safe between workers; a half-made one is completed. Raises DataPlaneError when a role or a
    database of that name exists that is not this Deployment's.
    """
    name, mine = database_name(release_name), tag(deployment_id)
    with connect(admin_url) as admin, locked(admin, name):
        _ensure_role(admin, name, mine, password=password, connection_limit=connection_limit)
        _ensure_copy(admin, name, template or "template0")
        with connect(admin_url, database=name) as inside, inside.transaction():
            run(inside, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
            if template:
                owner = sql.Identifier(template)
                run(inside, "REASSIGN OWNED BY {} TO {}", owner, sql.Identifier(name))
                run(inside, "REVOKE ALL ON SCHEMA public FROM {}", owner)
        with admin.transaction():
            run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", sql.Identifier(name))
            if not ready:
                return
            # Last: this comment says that nothing is missing (`Leftovers.ready`).
            run(
                admin,
                "COMMENT ON DATABASE {} IS {}",
                sql.Identifier(name),
                sql.Literal(mark(deployment_id, runtime)),
            )


def missing(release_name: str) -> DataPlaneError:
    """For a Deployment that was applied before, or ran: an empty database in place of its own would look like
    success."""
    return DataPlaneError(
        f"Its metadata database {database_name(release_name)} is not on the database server, and no empty one is made "
        "in its place. Put it back, or correct the database URL of the cluster. To begin with an empty one, delete "
        "this Deployment and create it again."
    )


def limit_connections(admin_url: str, release_name: str, limit: int) -> None:
    """Let the Deployment's role, which exists, hold this many connections from now on: more schedulers need more."""
    with connect(admin_url) as admin:
        role = sql.Identifier(database_name(release_name))
        run(admin, "ALTER ROLE {} CONNECTION LIMIT {}", role, sql.Literal(limit))


def _ensure_role(admin: Connection, name: str, mine: str, *, password: str, connection_limit: int) -> None:
    row = admin.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (name,)
    ).fetchone()
    if row is not None and row[0] != mine:
        raise DataPlaneError(
            f"The database server has a role {name} that was not made for this Deployment. Rename or drop it."
        )
    role = sql.Identifier(name)
    with admin.transaction():
        if row is None:
            run(admin, "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION LOGIN", role)
            run(admin, "COMMENT ON ROLE {} IS {}", role, sql.Literal(mine))
        run(admin, "ALTER ROLE {} CONNECTION LIMIT {}", role, sql.Literal(connection_limit))
        run(admin, "ALTER ROLE {} PASSWORD {}", role, sql.Literal(verifier(admin, name, password)))
        join(admin, name)


def _ensure_copy(admin: Connection, name: str, template: str) -> None:
    row = admin.execute(
        "SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    if row is not None and row[0] != name:
        raise DataPlaneError(
            f"The database server has a database {name} that was not made for this Deployment. "
            "Rename or drop it."
        )
    if row is not None and row[1] == -2:  # Postgres's mark of one whose creation or removal was cut short
        run(admin, "DROP DATABASE {}", sql.Identifier(name))
        row = None
    if row is None:
        names = (sql.Identifier(name), sql.Identifier(template))
        run(admin, "CREATE DATABASE {0} TEMPLATE {1} OWNER {0}", *names)


def drop_database(admin_url: str, release_name: str, deployment_id: str) -> bool:
    """Drop the Deployment's database and its snapshot, ending their connections. Returns whether there was one; never
    drops one that is not this Deployment's."""
    name = database_name(release_name)
    with connect(admin_url) as admin, locked(admin, name):
        found = find_by(admin, release_name, deployment_id)
        # The snapshot goes first: a database without its snapshot is whole, a snapshot alone would be put back.
        if found.snapshot is not None:
            remove(admin, snapshot_name(release_name))
        if found.database:
            remove(admin, name)
    return found.database or found.snapshot is not None


def drop_role(admin_url: str, release_name: str, deployment_id: str) -> bool:
    """Drop the Deployment's role and its visitor, after its database. Returns whether there was one."""
    name, visitor = database_name(release_name), visitor_role(release_name)
    with connect(admin_url) as admin, locked(admin, name), locked(admin, visitor):
        if not find(admin_url, release_name, deployment_id).role:
            return False
        ours = "SELECT 1 FROM pg_roles WHERE rolname = %s AND shobj_description(oid, 'pg_authid') = %s"
        if admin.execute(ours, (visitor, tag(deployment_id) + VISITOR)).fetchone():
            run(admin, "DROP ROLE {}", sql.Identifier(visitor))
        run(admin, "DROP ROLE {}", sql.Identifier(name))
    return True


def url(admin_url: str, *, database: str, user: str, password: str) -> str:
    """The URL of another database and user on the same server, as SQLAlchemy and libpq both read it. Raises
    DataPlaneError when `admin_url` is none that is accepted."""
    return _server(admin_url).for_role(database=database, user=user, password=password)


def _server(admin_url: str) -> ServerUrl:
    try:
        return ServerUrl.of(admin_url)
    except UnusableUrl as error:
        raise DataPlaneError(str(error)) from None


@contextmanager
def connect(
    admin_url: str, database: str = "", *, kind: Kind = Connection, options: str = "", **settings: int
) -> Iterator[Connection]:
    """A short-lived autocommit connection. Every failure leaves as a DataPlaneError without the URL in it. `options`
    are further settings of the session, as the server's command line takes them, and `settings` are libpq's."""
    server = _server(admin_url)
    conninfo = server.conninfo(
        database=database,
        options=f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={LOCK_MS} {options}".rstrip(),
        application_name="airdeck",
        **{"connect_timeout": CONNECT_SECONDS, **server.keepalives, **settings},
    )
    try:
        connection = kind.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        raise not_connected(error) from None
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise not_done(error) from None


def lock_key(name: str) -> int:
    """The number of the advisory lock for a name."""
    return int.from_bytes(hashlib.sha256(f"airdeck {name}".encode()).digest()[:8], signed=True)


@contextmanager
def locked(admin: Connection, name: str) -> Iterator[None]:
    """One worker at a time per name; the lock ends with the connection, whatever happens to us."""
    key = lock_key(name)
    admin.execute("SELECT pg_advisory_lock(%s)", (key,))
    try:
        yield
    finally:
        if not admin.closed and not admin.broken:
            admin.execute("SELECT pg_advisory_unlock(%s)", (key,))


def join(admin: Connection, role: str) -> None:
    """Let our own role act for one that it made. A superuser may anyway; any other becomes a member of it."""
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row is not None and not row[0]:
        run(admin, "GRANT {} TO CURRENT_USER", sql.Identifier(role))


def verifier(admin: Connection, role: str, password: str) -> str:
    """The SCRAM verifier of a password, computed here: no statement holds the password."""
    return admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def remove(admin: Connection, name: str) -> None:
    """Drop a database if it is there, ending its connections.

    FORCE does both at once, but a managed server refuses it to its administrator while autovacuum is at work in the
    database: that process is the server's own. Without FORCE the server ends it by itself, and clients are ended first.
    """
    database = sql.Identifier(name)
    try:
        run(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
    except psycopg.errors.InsufficientPrivilege:
        run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS false", database)
        end_connections(admin, name)
        run(admin, "DROP DATABASE {}", database)


def end_connections(admin: Connection, name: str) -> None:
    """End every client's connection to a database; the server ends its own where it has to."""
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s "
        "AND backend_type = 'client backend'",
        (name,),
    )


def run(connection: Connection, statement: LiteralString, *parts: sql.Composable) -> None:
    """Run a statement with identifiers and literals put in safely."""
    connection.execute(sql.SQL(statement).format(*parts))
