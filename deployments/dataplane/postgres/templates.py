"""The databases that new ones are copies of: one per runtime, migrated once.

A half-made one is a draft. It becomes the template when its migration is done; from then on no one can connect to it.
"""

from psycopg import sql

from deployments.dataplane.postgres.databases import (
    connect,
    end_connections,
    join,
    locked,
    remove,
    run,
    url,
    verifier,
)


def name_of(runtime_version: str) -> str:
    """The name of a runtime's template database, and of the role that owns the objects in it."""
    return "airdeck_template_" + runtime_version.replace(".", "_").replace("-", "_")


def exists(admin_url: str, template: str) -> bool:
    """Whether a finished template database of that name is there."""
    with connect(admin_url) as admin:
        row = admin.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate AND NOT datallowconn", (template,)
        ).fetchone()
    return row is not None


def begin(admin_url: str, template: str, password: str) -> str:
    """Make an empty database to be migrated by the role `template`, in place of any half-made one.

    Returns its URL for that role. It becomes the template by `finish`.
    """
    draft, role = sql.Identifier(f"{template}_new"), sql.Identifier(template)
    with connect(admin_url) as admin, locked(admin, template):
        remove(admin, f"{template}_new")
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (template,)).fetchone() is None:
            run(admin, "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION", role)
        secret = sql.Literal(verifier(admin, template, password))
        run(admin, "ALTER ROLE {} LOGIN PASSWORD {}", role, secret)
        join(admin, template)
        # template0: nothing that was added to template1 gets into every Deployment.
        run(admin, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", draft)
        run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", draft)
        run(admin, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}", draft, role)
    with connect(admin_url, database=f"{template}_new") as inside:
        run(inside, "GRANT ALL ON SCHEMA public TO {}", role)
    return url(admin_url, database=f"{template}_new", user=template, password=password)


def drop_draft(admin_url: str, template: str) -> None:
    """Drop a half-made template. Its role stays, as those of finished ones do, and cannot sign in."""
    with connect(admin_url) as admin, locked(admin, template):
        remove(admin, f"{template}_new")
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (template,)).fetchone() is not None:
            run(admin, "ALTER ROLE {} NOLOGIN PASSWORD NULL", sql.Identifier(template))


def finish(admin_url: str, template: str) -> None:
    """Turn the migrated draft into the template: no one can connect to it, so it can be copied at any time."""
    draft, name = sql.Identifier(f"{template}_new"), sql.Identifier(template)
    with connect(admin_url) as admin, locked(admin, template):
        run(admin, "ALTER ROLE {} NOLOGIN PASSWORD NULL", name)
        run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS false", draft)
        end_connections(admin, f"{template}_new")
        with admin.transaction():
            run(admin, "ALTER DATABASE {} RENAME TO {}", draft, name)
            run(admin, "ALTER DATABASE {} IS_TEMPLATE true", name)
