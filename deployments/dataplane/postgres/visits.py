"""How the console asks an Airflow's metadata database something: as a visitor, who may do no more than that Airflow.

People who deploy code have the role that owns the database, and may put a view with a function of their own in the
place of a table, or an operator in the place of "=". Such a function runs with the rights of the one who asks, so the
administrator must never ask; nor may it lower itself before, since what runs can take SET ROLE and SET SESSION
AUTHORIZATION back. So each Deployment has a second role, a member of its first one, as which the console signs in. Its
password follows from the administrator's, so that nothing is kept, and it is made when it is first needed.

Nor may such a function fill our memory or keep us: a visit is bounded on our side (`bounded`).
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import structlog
from psycopg import sql

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.postgres import databases
from deployments.dataplane.postgres.bounded import BoundedConnection
from deployments.dataplane.postgres.databases import (
    VISITOR,
    Connection,
    database_name,
    join,
    locked,
    run,
    verifier,
)
from deployments.dataplane.postgres.server_url import ServerUrl, UnusableUrl

logger = structlog.get_logger(__name__)

REFUSED_SECONDS = 1.0  # a server that knows no visitor says so at once; one that is silent is not asked twice
VISIT_SECONDS = 5.0  # for all questions of one visit. Each ends earlier, as long as the server ends it
STATEMENT_SECONDS = 4.0
MOST_BYTES = (
    4 * 2**20
)  # of all answers of one visit. The largest of an honest one are 50 lines of stack traces
STRANGE = "Its metadata database answers what no Airflow does. Look whether its tables were replaced."
CONNECTION_LIMIT = 20  # of one Deployment: observer, workers, and pages that wait for an answer
# From this version on a server says how often a password is hashed, 4,096 times by itself. That is to slow down who
# guesses passwords of people; this one has 256 bits, and each look would pay for it: 2.2 ms of CPU in place of 0.4.
HAS_ITERATIONS = 160000
# Where the administrator has no password, as with certificates: of this process, and set again by each other one.
_OWN_KEY = secrets.token_bytes(32)


@contextmanager
def visit(
    admin_url: str,
    release_name: str,
    *,
    statement_seconds: float = STATEMENT_SECONDS,
    most_bytes: int = MOST_BYTES,
    options: str = "",
    **settings: int,
) -> Iterator[Connection]:
    """A short-lived connection to the metadata database of this Deployment; otherwise as `databases.connect`. What it
    answers is to be taken apart in here. Raises DataPlaneError: also while there is no such database, when it sends
    more than `most_bytes` or takes longer than VISIT_SECONDS, and when its answer is of another shape."""
    url, began = _url(admin_url, release_name), time.monotonic()
    options = f"-c statement_timeout={statement_seconds * 1000:.0f} {options}"
    connect = partial(databases.connect, url, "", kind=BoundedConnection, options=options, **settings)
    with ExitStack() as stack:
        try:
            inside = stack.enter_context(connect())
        except DataPlaneUnreachable:
            if time.monotonic() - began > REFUSED_SECONDS:
                raise
            _ensure(admin_url, release_name)
            inside = stack.enter_context(connect())
        assert isinstance(inside, BoundedConnection)  # noqa: S101 - for mypy
        inside.limit(seconds=VISIT_SECONDS, most_bytes=most_bytes)
        try:
            yield inside
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            logger.warning("metadata_strange", release=release_name, exc_info=error)
            raise DataPlaneError(STRANGE) from None


def _url(admin_url: str, release_name: str) -> str:
    role = databases.visitor_role(release_name)
    return databases.url(
        admin_url, database=database_name(release_name), user=role, password=_password(admin_url, role)
    )


def _password(admin_url: str, role: str) -> str:
    try:
        key = ServerUrl.of(admin_url).password.encode() or _OWN_KEY
    except UnusableUrl as error:
        raise DataPlaneError(str(error)) from None
    return hmac.new(key, f"airdeck visitor {role}".encode(), hashlib.sha256).hexdigest()


def _ensure(admin_url: str, release_name: str) -> None:
    """The visitor can sign in. Idempotent, and safe between workers. Raises DataPlaneUnreachable while the database is
    not there or lets no one in, and DataPlaneError when a role of the visitor's name is not ours."""
    own, name = database_name(release_name), databases.visitor_role(release_name)
    role = sql.Identifier(name)
    with databases.connect(admin_url) as admin, locked(admin, name):
        found = admin.execute(
            "SELECT coalesce(shobj_description(o.oid, 'pg_authid'), ''), v.oid IS NOT NULL, "
            "coalesce(shobj_description(v.oid, 'pg_authid'), '') FROM pg_roles o "
            "JOIN pg_database d ON d.datdba = o.oid AND d.datname = o.rolname AND d.datallowconn "
            "LEFT JOIN pg_roles v ON v.rolname = %s WHERE o.rolname = %s",
            (name, own),
        ).fetchone()
        if found is None or not found[0].startswith(databases.tag("")):
            raise DataPlaneUnreachable(f"The metadata database {own} is not there, or lets no one in now.")
        owned_by, is_there, mark = found
        if is_there and mark != owned_by + VISITOR:
            raise DataPlaneError(
                f"The database server has a role {name} that was not made for this Deployment. Rename or drop it."
            )
        if admin.info.server_version >= HAS_ITERATIONS:
            run(admin, "SET scram_iterations = 1")
        secret = sql.Literal(verifier(admin, name, _password(admin_url, name)))
        with admin.transaction():
            if not is_there:
                run(admin, "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION", role)
                run(admin, "COMMENT ON ROLE {} IS {}", role, sql.Literal(owned_by + VISITOR))
            limit = sql.Literal(CONNECTION_LIMIT)
            run(admin, "ALTER ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}", role, secret, limit)
            run(admin, "GRANT {} TO {}", sql.Identifier(own), role)
            join(admin, name)
