"""The copy of a metadata database from before an upgrade, on a real Postgres, killed anywhere."""

# ruff: noqa: F811 - fixtures of another module

import time

import psycopg
import pytest

from deployments.dataplane.contract import DataPlaneError, UpgradeFailed
from deployments.dataplane.postgres import databases, snapshots
from deployments.domain.spec import Release, RuntimeSpec, au_size
from deployments.domain.states import Executor
from deployments.tests.dataplane.postgres.test_databases import ID, NAME, RELEASE, admin, ensure, made, sql  # noqa: F401

pytestmark = pytest.mark.thorough

COPY = f"{NAME}_before"
OLD, NEW = "3.2-1", "3.3-1"


def found(admin):
    return databases.find(admin, RELEASE, ID)


def take(admin, *, runtime=OLD, **how):
    return snapshots.take(admin, RELEASE, ID, runtime=runtime, **how)


def words(url):
    return [word for (word,) in sql("SELECT word FROM thing ORDER BY id", url=url)]


def test_an_upgrade_that_fails_gets_its_database_back(admin, made):
    sql("INSERT INTO thing (word) VALUES ('before')", url=made)
    assert take(admin)
    assert found(admin).snapshot == OLD
    sql("INSERT INTO thing (word) VALUES ('after'); ALTER TABLE thing ADD COLUMN new_column int", url=made)
    assert snapshots.restore(admin, RELEASE, ID)
    assert words(made) == ["before"]
    assert (found(admin).ready, found(admin).runtime, found(admin).snapshot) == (True, OLD, None)
    sql("INSERT INTO thing (word) VALUES ('still its own')", url=made)
    assert not snapshots.restore(admin, RELEASE, ID)
    rights = "SELECT has_database_privilege('public', %s, 'CONNECT')"
    assert sql(rights, NAME) == [(False,)]


def test_an_upgrade_that_succeeds_drops_its_copy(admin, made):
    assert take(admin)
    snapshots.mark_runtime(admin, RELEASE, ID, NEW)
    assert (found(admin).runtime, found(admin).snapshot) == (NEW, OLD)
    assert snapshots.drop(admin, RELEASE, ID)
    assert (found(admin).runtime, found(admin).snapshot) == (NEW, None)
    assert not snapshots.drop(admin, RELEASE, ID)


def test_taking_it_twice_keeps_the_first_and_a_later_upgrade_takes_its_own(admin, made):
    assert take(admin)
    sql("INSERT INTO thing (word) VALUES ('later')", url=made)
    assert take(admin)
    copied = databases.url(admin, database=COPY, user=NAME, password="secret")
    assert words(copied) == []
    assert take(admin, runtime=NEW)
    assert words(copied) == ["later"]
    assert found(admin).snapshot == NEW


def test_a_copy_that_takes_long_goes_on_in_the_server(admin, made):
    sql("INSERT INTO thing (word) VALUES ('kept')", url=made)
    answers, deadline = [], time.monotonic() + 60
    while True not in answers:
        assert time.monotonic() < deadline
        answers.append(take(admin, wait=0.0))
    assert answers[0] is False
    assert found(admin).snapshot == OLD
    assert words(made) == ["kept"]


def test_nobody_stays_connected_while_it_is_copied(admin, made):
    with psycopg.connect(made, autocommit=True) as connection:
        assert take(admin)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert words(made) == []  # and everybody may come back


def test_one_killed_before_its_mark_is_marked_by_the_next_call(admin, made):
    assert take(admin)
    sql(f"COMMENT ON DATABASE {COPY} IS NULL; ALTER DATABASE {NAME} ALLOW_CONNECTIONS false")
    assert found(admin).snapshot == ""
    assert not snapshots.restore(admin, RELEASE, ID)  # not known to be whole
    assert take(admin)
    assert found(admin).snapshot == OLD
    assert words(made) == []


def test_one_killed_between_dropping_and_renaming_is_restored_by_the_next_call(admin, made):
    assert take(admin)
    sql(f"DROP DATABASE {NAME} WITH (FORCE)")
    assert not snapshots.drop(admin, RELEASE, ID)  # it is all there is
    assert snapshots.restore(admin, RELEASE, ID)
    assert words(made) == []
    assert found(admin).runtime == OLD


def test_deleting_removes_the_copy_too(admin, made):
    assert take(admin)
    assert databases.drop_database(admin, RELEASE, ID)
    assert found(admin) == databases.Leftovers(database=False, role=True, ready=False)
    assert sql("SELECT 1 FROM pg_database WHERE datname = %s", COPY) == []


def test_a_copy_that_cannot_be_made_fails_the_upgrade_and_leaves_the_database_open(admin, made):
    sql(f"CREATE DATABASE {COPY}")  # a stranger's
    try:
        with pytest.raises(UpgradeFailed, match="could not be copied"):
            take(admin)
        assert words(made) == []
    finally:
        sql(f"DROP DATABASE {COPY}")


def test_there_is_nothing_to_copy_of_another_deployment(admin, made):
    with pytest.raises(DataPlaneError):
        snapshots.take(admin, RELEASE, "22222222-0000-0000-0000-000000000002", runtime=OLD)


def test_a_database_that_says_nothing_is_at_the_runtime_that_was_applied(admin, made):
    old, new = RuntimeSpec(OLD, "3.2.2"), RuntimeSpec(NEW, "3.3.2")
    release = Release(ID, RELEASE, 1, old, Executor.LOCAL, au_size(5), 1)
    upgrading = Release(ID, RELEASE, 2, new, Executor.LOCAL, au_size(5), 1, upgrade_from=old)
    assert found(admin).migrated_to(release) == OLD
    assert found(admin).migrated_to(upgrading) == OLD
    snapshots.mark_runtime(admin, RELEASE, ID, NEW)
    assert found(admin).migrated_to(release) == NEW
    ensure(admin)  # already there: what it says stays
    assert upgrading.digest == Release(ID, RELEASE, 3, new, Executor.LOCAL, au_size(5), 1).digest


def test_a_copy_that_fails_after_no_one_waits_for_it_is_not_begun_for_ever(admin, made, monkeypatch):
    """A disk that is too small for a second one is found full by the server alone, minutes later."""
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "_copy", lambda *_: False)
        assert [take(admin) for _ in range(snapshots.COPY_TRIES)] == [False] * snapshots.COPY_TRIES
        with pytest.raises(UpgradeFailed, match=r"could not be copied: the server gave up 2 times\. .*disk"):
            take(admin)
        assert words(made) == []  # open again
        assert take(admin) is False  # a person asks for the upgrade again
    assert take(admin)
    assert sql("SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = %s", NAME) == [(True, -1)]
