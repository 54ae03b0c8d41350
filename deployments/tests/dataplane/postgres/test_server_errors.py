"""What an error of the database server says, and whether it means that the server is away."""

import psycopg
import pytest

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.postgres import databases
from deployments.tests.dataplane.postgres.test_databases import ADMIN, ID, NAME, RELEASE, sql


def test_a_server_that_waits_for_a_lock_has_answered(monkeypatch) -> None:
    """As a delete that comes while the server still copies a database of 100 GiB."""
    monkeypatch.setattr(databases, "LOCK_MS", 100)
    with (
        databases.connect(ADMIN) as other,
        databases.locked(other, NAME),
        pytest.raises(DataPlaneError) as caught,
    ):
        databases.drop_database(ADMIN, RELEASE, ID)
    assert not isinstance(caught.value, DataPlaneUnreachable)
    assert str(caught.value) == (
        "The database server is still busy with an earlier step of the same database."
    )


def test_a_full_disk_is_named_and_keeps_no_other_deployment_from_being_looked_at() -> None:
    with pytest.raises(DataPlaneError) as caught, databases.connect(ADMIN):
        raise psycopg.errors.DiskFull('could not extend file "base/1/2": No space left on device')
    assert not isinstance(caught.value, DataPlaneUnreachable)
    assert str(caught.value) == (
        'The disk of the database server is full: could not extend file "base/1/2": No space left on device. '
        "Make room there."
    )


def test_a_server_without_a_connection_left_is_not_said_to_be_away() -> None:
    sql("CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 0")
    try:
        url = databases.url(ADMIN, database="postgres", user="crowded", password="crowded")
        with pytest.raises(
            DataPlaneUnreachable, match=r"has no connection left: .*too many connections"
        ) as caught:
            databases.find(url, RELEASE, ID)
    finally:
        sql("DROP ROLE crowded")
    assert "Is it running" not in str(caught.value)


def test_a_server_that_ended_the_connection_is_away() -> None:
    with pytest.raises(DataPlaneUnreachable, match="did not finish"), databases.connect(ADMIN) as admin:
        admin.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_one_that_takes_too_long_is_away(monkeypatch) -> None:
    monkeypatch.setattr(databases, "STATEMENT_MS", 50)
    with pytest.raises(DataPlaneUnreachable, match="statement timeout"), databases.connect(ADMIN) as admin:
        admin.execute("SELECT pg_sleep(5)")
