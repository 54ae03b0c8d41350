"""The console's own database, table by table."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import psycopg
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from console.backup.archive import BackupRefused, Reader, Writer

PIECE_BYTES = 16 * 1024 * 1024  # of rows, in memory at a time
READ_BYTES = 1024 * 1024
# Not taken along: what migrations were applied is compared instead; sessions are keys to accounts, and people sign in
# again; the cache counts attempts.
LEFT_OUT = frozenset(("django_migrations", "django_session", "usersessions_usersession", "console_cache"))
# Of the company account, which is an app only where one is configured. Its tables stay when it no longer is.
OPTIONAL = "socialaccount"
# Rows in one of these mean that the installation is in use.
IN_USE = ("workspaces_user", "workspaces_workspace", "deployments_deployment")

TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"


def schema() -> list[str]:
    """What this version's tables are: the last migration of each app."""
    return sorted(f"{app} {name}" for app, name in MigrationLoader(None).graph.leaf_nodes())


def applied() -> list[str]:
    """What the database's tables are; nothing before the first migration."""
    loader = MigrationLoader(connection)
    there = set(loader.applied_migrations)
    return sorted(f"{app} {name}" for app, name in loader.graph.leaf_nodes() if (app, name) in there)


def of_another_version(saved: list[str], here: list[str]) -> bool:
    """Whether the tables of a backup (`schema`) are other ones than these. That one side has a company account and the
    other has none makes no difference."""
    optional = [any(each.split()[0] == OPTIONAL for each in side) for side in (saved, here)]
    differing = {each for each in set(saved) ^ set(here) if each.split()[0] != OPTIONAL or all(optional)}
    return bool(differing)


def refuse_without_room(reader: Reader) -> None:
    """Raise BackupRefused when the backup holds rows of tables that are not here. Tables of which it holds none may be
    missing."""
    rows: dict[str, int] = reader.contents["rows"]
    missing = [name for name in sorted(rows.keys() - set(_tables())) if rows[name]]
    if any(name.startswith(f"{OPTIONAL}_") for name in missing):
        raise BackupRefused(
            "This backup holds who signs in by a company account, and none is configured here. Set OIDC_URL, "
            "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET for this command as they were then, or to anything if you have no "
            "company account any more."
        )
    if missing:
        raise BackupRefused(f"This backup holds rows of tables that are not here: {', '.join(missing)}.")


def rows_in_use() -> int:
    """How many accounts, Workspaces and Deployments there are: more than none means that it is in use."""
    there = set(_tables())
    with connection.cursor() as cursor:
        counts = [_count(cursor, table) for table in IN_USE if table in there]
    return sum(counts)


def pack(writer: Writer) -> int:
    """Every table as it is at one moment; how many rows."""
    columns, rows = {}, {}
    with _unhurried(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in _tables():
            columns[table] = _columns(cursor, table)
            rows[table] = _count(cursor, table)
            for number, piece in enumerate(_pieces(table, columns[table]), 1):
                writer.add(f"console/{table}/{number:06}", piece)
        cursor.execute(SEQUENCES)
        sequences = {name: value for name, value in cursor.fetchall() if value is not None}
    writer.contents |= {"columns": columns, "rows": rows, "sequences": sequences}
    return sum(rows.values())


def load(reader: Reader) -> int:
    """Put every row back, in place of what migrations filled in; all or nothing. How many rows."""
    columns: dict[str, list[str]] = reader.contents["columns"]
    with _unhurried(), connection.cursor() as cursor:
        for table in _tables():
            if _count(cursor, table):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a name of ours
        for name, stream in reader.members():
            kind, _, rest = name.partition("/")
            if kind == "console":
                table = rest.partition("/")[0]
                _fill(table, columns[table], stream)
        for sequence, value in reader.contents["sequences"].items():
            cursor.execute("SELECT setval(to_regclass(%s), %s)", [connection.ops.quote_name(sequence), value])
        here = set(_tables())
        found = {table: _count(cursor, table) if table in here else 0 for table in columns}
        if found != reader.contents["rows"]:
            raise BackupRefused("The database did not take all rows. Nothing was changed.")
    return sum(found.values())


@contextmanager
def _unhurried() -> Iterator[None]:
    """One transaction in which a statement may take as long as it takes."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return [name for (name,) in cursor.fetchall() if name not in LEFT_OUT]


def _columns(cursor: Any, table: str) -> list[str]:
    cursor.execute(COLUMNS, [table])
    return [name for (name,) in cursor.fetchall()]


def _count(cursor: Any, table: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a name of ours
    (count,) = cursor.fetchone()
    return int(count)


def _pieces(table: str, columns: list[str]) -> Iterator[bytes]:
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_names(columns), sql.Identifier(table))
    piece = bytearray()
    with _raw().cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            piece += block
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)


def _fill(table: str, columns: list[str], stream: IO[bytes]) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns))
    with _raw().cursor() as cursor, cursor.copy(query) as copy:
        while block := stream.read(READ_BYTES):
            copy.write(block)


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _raw() -> psycopg.Connection[Any]:
    raw: psycopg.Connection[Any] = connection.connection
    return raw


def describe(versions: list[str]) -> str:
    """The migrations of our apps, for a sentence."""
    ours = [each for each in versions if each.split()[0] in {"deployments", "workspaces"}]
    return ", ".join(ours) or "none"
