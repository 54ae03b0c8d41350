"""Roles and databases of Deployments, on a real Postgres, as a superuser and as a mere CREATEDB role."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.postgres import databases, templates
from deployments.tests.templates import drop_template

RELEASE, NAME, ID = "quiet-harbor-0001", "d_quiet_harbor_0001", "11111111-0000-0000-0000-000000000001"
VERSION = "0.0-1"
TEMPLATE = templates.name_of(VERSION)
ADMIN = postgres.url(STATE, "postgres")
MANAGED = "managed_admin"


def sql(statement: str, *parameters: object, url: str = ADMIN) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module", params=["superuser", "managed"])
def admin(request) -> Iterator[str]:
    """The URL of the cluster's administrator, and a migrated template made by it."""
    url = ADMIN
    if request.param == "managed":
        sql(f"CREATE ROLE {MANAGED} LOGIN CREATEDB CREATEROLE PASSWORD 'managed'")
        url = databases.url(ADMIN, database="postgres", user=MANAGED, password="managed")
    draft = templates.begin(url, TEMPLATE, "half")
    draft = templates.begin(url, TEMPLATE, "whole")  # a killed migration is begun anew
    sql("CREATE TABLE thing (id serial PRIMARY KEY, word text)", url=draft)
    assert not templates.exists(url, TEMPLATE)
    templates.finish(url, TEMPLATE)
    yield url
    drop_template(ADMIN, VERSION)
    if request.param == "managed":
        sql(f"DROP ROLE {MANAGED}")


@pytest.fixture
def made(admin) -> Iterator[str]:
    """A Deployment's database; the URL of its own role."""
    ensure(admin)
    yield databases.url(admin, database=NAME, user=NAME, password="secret")
    databases.drop_database(admin, RELEASE, ID)
    databases.drop_role(admin, RELEASE, ID)


def ensure(admin: str, deployment_id: str = ID) -> None:
    databases.ensure_database(
        admin, RELEASE, deployment_id, password="secret", template=TEMPLATE, connection_limit=3
    )


def test_the_role_owns_everything_in_its_database_and_may_do_nothing_else(admin, made) -> None:
    sql("INSERT INTO thing (word) VALUES ('x')", url=made)
    sql("ALTER TABLE thing ADD COLUMN more int", url=made)
    assert sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", url=made) == [(NAME,)]
    rights = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolconnlimit FROM pg_roles WHERE rolname = %s"
    assert sql(rights, NAME) == [(False, False, False, 3)]
    sql("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        stranger = databases.url(admin, database=NAME, user="stranger", password="stranger")
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            sql("SELECT 1", url=stranger)
    finally:
        sql("DROP ROLE stranger")


def test_the_server_holds_a_scram_verifier_and_wants_the_password(made) -> None:
    ((stored,),) = sql("SELECT rolpassword FROM pg_authid WHERE rolname = %s", NAME)
    assert stored.startswith("SCRAM-SHA-256$")
    with pytest.raises(psycopg.OperationalError, match="password"):
        sql("SELECT 1", url=made.replace("secret", "wrong"))


def test_nobody_can_connect_to_a_template_and_it_is_told_as_there(admin) -> None:
    assert templates.exists(admin, TEMPLATE)
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        sql("SELECT 1", url=make_conninfo(ADMIN, dbname=TEMPLATE))


def test_making_it_twice_changes_nothing(admin, made) -> None:
    sql("INSERT INTO thing (word) VALUES ('kept')", url=made)
    ensure(admin)
    assert sql("SELECT word FROM thing", url=made) == [("kept",)]
    assert databases.find(admin, RELEASE, ID) == databases.Leftovers(database=True, role=True, ready=True)


def test_how_many_connections_it_may_hold_can_be_changed(admin, made) -> None:
    before = databases.find(admin, RELEASE, ID).connection_limit
    databases.limit_connections(admin, RELEASE, before + 10)
    assert databases.find(admin, RELEASE, ID).connection_limit == before + 10 > 10


def test_workers_that_make_it_at_once_make_one(admin) -> None:
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            ensure(admin)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert failures == []
        assert databases.find(admin, RELEASE, ID).ready
    finally:
        assert databases.drop_database(admin, RELEASE, ID)
        assert databases.drop_role(admin, RELEASE, ID)


def test_a_half_made_one_is_completed_and_not_told_as_ready(admin, made) -> None:
    sql(f"COMMENT ON DATABASE {NAME} IS NULL")
    assert not databases.find(admin, RELEASE, ID).ready
    ensure(admin)
    assert databases.find(admin, RELEASE, ID).ready


def test_dropping_ends_open_connections_and_dropping_again_is_success(admin, made) -> None:
    with psycopg.connect(made, autocommit=True) as open_connection:
        open_connection.execute("SELECT 1")
        assert databases.drop_database(admin, RELEASE, ID)
        with pytest.raises(psycopg.OperationalError):
            open_connection.execute("SELECT 1")
    assert databases.drop_role(admin, RELEASE, ID)
    assert not databases.drop_database(admin, RELEASE, ID)
    assert not databases.drop_role(admin, RELEASE, ID)
    assert databases.find(admin, RELEASE, ID) == databases.Leftovers(database=False, role=False, ready=False)


@contextmanager
def autovacuum_at_work(url: str) -> Iterator[None]:
    """The server's own process is busy in the database, for minutes if nobody ends it."""
    slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    sql(f"CREATE TABLE busy (n int) WITH ({slow}, autovacuum_vacuum_threshold = 0)", url=url)
    sql("INSERT INTO busy SELECT generate_series(1, 200000)", url=url)
    sql("DELETE FROM busy WHERE mod(n, 2) = 0", url=url)
    sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    sql("SELECT pg_reload_conf()")
    at_work = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND backend_type = 'autovacuum worker'"
    try:
        deadline = time.monotonic() + 60
        while not sql(at_work, NAME):
            assert time.monotonic() < deadline, "autovacuum did not come"
            time.sleep(0.05)
        yield
    finally:
        sql("ALTER SYSTEM RESET autovacuum_naptime")
        sql("SELECT pg_reload_conf()")


@pytest.mark.thorough
def test_autovacuum_at_work_keeps_no_database_from_being_dropped(admin, made) -> None:
    """A managed server lets its administrator end no process of the server's own."""
    with autovacuum_at_work(made), psycopg.connect(made, autocommit=True) as client:
        assert databases.drop_database(admin, RELEASE, ID)
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    assert not databases.find(admin, RELEASE, ID).database


def test_what_another_deployment_made_is_neither_used_nor_dropped(admin, made) -> None:
    other = "22222222-0000-0000-0000-000000000002"
    with pytest.raises(DataPlaneError, match=NAME):
        ensure(admin, other)
    assert not databases.drop_database(admin, RELEASE, other)
    assert not databases.drop_role(admin, RELEASE, other)
    assert databases.find(admin, RELEASE, ID).ready


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(DataPlaneUnreachable) as caught:
        databases.find("postgresql://me:hunter2@/postgres?host=/nowhere", RELEASE, ID)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("admin_url", "expected"),
    [
        ("postgresql://a:b@/postgres?host=/run/pg", "postgresql://u%40:p%2F@/d?host=%2Frun%2Fpg"),
        (
            "postgresql://a:b@db.example:6432/postgres?sslmode=require",
            "postgresql://u%40:p%2F@db.example:6432/d?sslmode=require",
        ),
        ("host=/run/pg port=5433 user=a", "postgresql://u%40:p%2F@/d?host=%2Frun%2Fpg&port=5433"),
    ],
)
def test_the_url_of_a_deployment_is_made_from_the_admins(admin_url: str, expected: str) -> None:
    assert databases.url(admin_url, database="d", user="u@", password="p/") == expected
