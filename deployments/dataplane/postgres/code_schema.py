"""Where the code of Deployments on Kubernetes is kept: a database of the console's own in the cluster's primary
Postgres, with a schema for each Deployment, and a role for each that may read its own schema and nothing else.

The schema bears the Deployment's mark, and so does the role. The role is made last and dropped last, so that it says
what there is (`databases.Leftovers.code`): a question about a Deployment is one query.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from psycopg import sql

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.postgres.databases import (
    Connection,
    code_mark,
    code_role,
    connect,
    database_name,
    locked,
    run,
    tag,
    verifier,
)

DATABASE = "airdeck_code"
CONNECTION_LIMIT = 8  # of one code server; it holds one, and one more for each version that it puts together
TABLES = """
CREATE TABLE IF NOT EXISTS contents (
  sha256 text PRIMARY KEY, size bigint NOT NULL, parts integer NOT NULL, received timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS chunks (
  sha256 text NOT NULL REFERENCES contents ON DELETE CASCADE, part integer NOT NULL, mark bytea NOT NULL,
  data bytea NOT NULL, PRIMARY KEY (sha256, part));
ALTER TABLE chunks ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS manifests (
  digest text PRIMARY KEY, document bytea NOT NULL, received timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS versions (
  name text PRIMARY KEY, manifest text NOT NULL, built timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS active (one boolean PRIMARY KEY DEFAULT true CHECK (one), name text NOT NULL)
"""


def ensure(admin_url: str, release_name: str, deployment_id: str, *, password: str = "") -> None:
    """Make the Deployment's schema and the role that reads it. Without a password the role cannot sign in yet: that of
    a Deployment whose code server was never applied. Idempotent, and safe between workers. Raises DataPlaneError when
    a schema or a role of that name is not this Deployment's."""
    role = code_role(release_name)
    with connect(admin_url) as admin, locked(admin, DATABASE):
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            # template0: nothing that was added to template1.
            run(admin, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", sql.Identifier(DATABASE))
        run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", sql.Identifier(DATABASE))
        _ensure_role(admin, role, deployment_id, password)
        names = [sql.Identifier(name) for name in (role, DATABASE, database_name(release_name))]
        run(admin, "ALTER ROLE {} IN DATABASE {} SET search_path TO {}", *names)
        run(admin, "GRANT CONNECT ON DATABASE {} TO {}", sql.Identifier(DATABASE), sql.Identifier(role))
        with connect(admin_url, database=DATABASE) as inside:
            _ensure_schema(inside, database_name(release_name), role, tag(deployment_id))
        # Last: this comment says that nothing is missing.
        mark = code_mark(deployment_id, ready=bool(password))
        run(admin, "COMMENT ON ROLE {} IS {}", sql.Identifier(role), sql.Literal(mark))


def _ensure_role(admin: Connection, role: str, deployment_id: str, password: str) -> None:
    row = admin.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    if row is not None and row[0] not in {code_mark(deployment_id, ready=ready) for ready in (True, False)}:
        raise DataPlaneError(
            f"The database server has a role {role} that was not made for this Deployment. Rename or drop it."
        )
    name = sql.Identifier(role)
    with admin.transaction():
        if row is None:
            run(admin, "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOLOGIN", name)
            mark = code_mark(deployment_id, ready=False)
            run(admin, "COMMENT ON ROLE {} IS {}", name, sql.Literal(mark))
        if password:
            secret = sql.Literal(verifier(admin, role, password))
            limit = sql.Literal(CONNECTION_LIMIT)
            run(admin, "ALTER ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}", name, secret, limit)


def _ensure_schema(inside: Connection, schema: str, role: str, mine: str) -> None:
    if _owner(inside, schema) not in {None, mine}:
        raise DataPlaneError(
            f"The database {DATABASE} has a schema {schema} that was not made for this Deployment. Rename or drop it."
        )
    name, reader = sql.Identifier(schema), sql.Identifier(role)
    with inside.transaction():
        run(inside, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
        run(inside, "CREATE SCHEMA IF NOT EXISTS {}", name)
        run(inside, "COMMENT ON SCHEMA {} IS {}", name, sql.Literal(mine))
        run(inside, "SET LOCAL search_path TO {}", name)
        run(inside, TABLES)
        run(inside, "GRANT USAGE ON SCHEMA {} TO {}", name, reader)
        run(inside, "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", name, reader)


def _owner(inside: Connection, schema: str) -> str | None:
    """Whose the schema is; None when there is none."""
    row = inside.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s",
        (schema,),
    ).fetchone()
    return None if row is None else str(row[0])


def drop(admin_url: str, release_name: str, deployment_id: str) -> bool:
    """Drop the Deployment's schema and its role. Returns whether there was one; never drops what is not its own."""
    role, schema = code_role(release_name), database_name(release_name)
    with connect(admin_url) as admin, locked(admin, DATABASE):
        marks = [code_mark(deployment_id, ready=ready) for ready in (True, False)]
        found = admin.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = %s AND shobj_description(oid, 'pg_authid') = ANY(%s)",
            (role, marks),
        ).fetchone()
        if found is None:
            return False
        with opened(admin_url, release_name, deployment_id) as inside:
            if inside is not None:
                run(inside, "DROP SCHEMA {} CASCADE", sql.Identifier(schema))
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            run(admin, "REVOKE ALL ON DATABASE {} FROM {}", sql.Identifier(DATABASE), sql.Identifier(role))
        run(admin, "DROP ROLE {}", sql.Identifier(role))
    return True


@contextmanager
def opened(admin_url: str, release_name: str, deployment_id: str) -> Iterator[Connection | None]:
    """A short-lived connection that sees the Deployment's tables; None when it has none."""
    with ExitStack() as stack:
        try:
            inside = stack.enter_context(connect(admin_url, database=DATABASE))
        except DataPlaneUnreachable:
            with connect(admin_url) as admin:
                if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                    raise
            yield None
            return
        schema = database_name(release_name)
        if _owner(inside, schema) == tag(deployment_id):
            run(inside, "SET search_path TO {}", sql.Identifier(schema))
            yield inside
        else:
            yield None
