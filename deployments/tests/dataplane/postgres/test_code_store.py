"""Code in the cluster's primary Postgres: what is stored, what is proven, what goes, and who may read it."""

import hashlib
import threading

import psycopg
import pytest

from deployments.dataplane.code import CodeDamaged, CodeFull
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.postgres import code_schema, code_store, databases
from deployments.dataplane.postgres.code_store import PART, PostgresCode
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest
from deployments.tests.archives import DAG
from deployments.tests.dataplane.code_contract import ONE, TWO, received
from deployments.tests.dataplane.served import ADMIN, PASSWORD, owner

LARGE = hashlib.sha256(b"seed").digest() * (3 * PART // 32) + b"end"  # four parts


@pytest.fixture(scope="module")
def mine():
    with owner() as made:
        yield made


@pytest.fixture
def fresh():
    with owner() as made:
        yield made


def count(made, table: str) -> int:
    with made.inside() as inside:
        return inside.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def age(made) -> None:
    with made.inside() as inside:
        for table in ("contents", "manifests"):
            inside.execute(f"UPDATE {table} SET received = now() - interval '2 hours'")


def test_a_large_file_is_stored_in_parts_and_read_back(mine) -> None:
    code = received(mine.store, {"big.bin": LARGE, "one.py": DAG}, 1)
    digest = hashlib.sha256(LARGE).hexdigest()
    assert mine.store.read(CodeFile("big.bin", digest, len(LARGE))) == LARGE
    with mine.inside() as inside:
        parts = inside.execute(
            "SELECT part, length(data) FROM chunks WHERE sha256 = %s", (digest,)
        ).fetchall()
    assert sorted(part for part, _ in parts) == [0, 1, 2, 3]
    assert sum(length for _, length in parts) < len(LARGE) / 2  # packed
    mine.store.build(code)


def test_equal_contents_are_stored_once(fresh) -> None:
    received(fresh.store, ONE, 1)
    before = count(fresh, "chunks")
    received(fresh.store, TWO, 2)
    assert count(fresh, "chunks") == before + 1  # one.py changed; two.py is what one.py was
    assert count(fresh, "contents") == len({*ONE.values(), *TWO.values()})


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE chunks SET data = set_byte(data, 9, 255 - get_byte(data, 9)) WHERE part = 1",
        "DELETE FROM chunks WHERE part = 1",
        "DELETE FROM contents WHERE parts = 4",
    ],
)
def test_what_was_damaged_where_it_is_stored_is_not_built(fresh, damage) -> None:
    code = received(fresh.store, {"big.bin": LARGE}, 1)
    with fresh.inside() as inside:
        assert inside.execute(damage).rowcount == 1
    with pytest.raises(CodeDamaged, match=r"big\.bin is gone or damaged"):
        fresh.store.build(code)
    with pytest.raises(CodeDamaged, match=r"big\.bin is gone or damaged"):
        fresh.store.read(CodeFile("big.bin", hashlib.sha256(LARGE).hexdigest(), len(LARGE)))


def test_a_damaged_list_of_files_is_told(fresh) -> None:
    code = received(fresh.store, ONE, 1)
    with fresh.inside() as inside:
        inside.execute("UPDATE manifests SET document = 'x'::bytea")
    with pytest.raises(CodeDamaged, match="list of files of this version is damaged"):
        fresh.store.build(code)


def test_a_version_that_somebody_took_away_is_not_active_and_is_built_again(fresh) -> None:
    code = received(fresh.store, ONE, 1)
    assert fresh.store.activate(code)
    assert not fresh.store.activate(code)
    with fresh.inside() as inside:
        inside.execute("DELETE FROM versions")
    assert fresh.store.active() == ""
    assert fresh.store.activate(code)
    assert fresh.store.active() == code.name


def test_what_nothing_needs_goes_once_it_is_an_hour_old(fresh) -> None:
    store = fresh.store
    one, two, three = (received(store, {"f.py": bytes([n]), "all.py": b""}, n) for n in (1, 2, 3))
    for code in (one, two, three):
        store.build(code)
    store.activate(three)
    store.keep(frozenset({two.manifest}), frozenset())
    assert count(fresh, "contents") == 4  # young
    assert count(fresh, "versions") == 1
    age(fresh)
    received(store, {"f.py": b"\1", "all.py": b""}, 4)  # wanted again: young again
    store.keep(frozenset({two.manifest}), frozenset())
    assert count(fresh, "manifests") == 3
    age(fresh)
    store.keep(frozenset({two.manifest}), frozenset())
    assert count(fresh, "manifests") == 2  # that of the active version stays, though nobody named it
    assert count(fresh, "contents") == 3
    assert store.active() == three.name
    store.build(CodeVersion("9-x", two.manifest))


def test_more_than_there_is_room_for_is_refused_and_keeps_nothing(fresh, monkeypatch) -> None:
    monkeypatch.setattr(code_store, "STORE_BYTES", 100)
    with pytest.raises(CodeFull, match="fill its 0 GiB"):
        received(fresh.store, {"f.py": b"x" * 101}, 1)
    assert count(fresh, "contents") == count(fresh, "manifests") == 0


def test_the_same_content_received_by_many_at_once_is_whole(fresh) -> None:
    files = {f"{n}.py": bytes([n]) * 5000 for n in range(40)}
    failures: list[BaseException] = []

    def receive() -> None:
        try:
            received(fresh.store, files, 1)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=receive) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert count(fresh, "contents") == count(fresh, "chunks") == 40
    fresh.store.build(received(fresh.store, files, 1))


@pytest.mark.thorough
def test_more_files_than_one_statement_takes_are_built(fresh, tmp_path) -> None:
    sums = {}
    for number in range(4_001):
        content = str(number).encode()
        sums[f"f{number}.py"] = hashlib.sha256(content).hexdigest()
        (tmp_path / sums[f"f{number}.py"]).write_bytes(content)
    manifest = Manifest.of(CodeFile(path, sha, 1) for path, sha in sums.items())
    fresh.store.receive(tmp_path, manifest)
    fresh.store.build(CodeVersion("1-x", manifest.digest))
    assert count(fresh, "contents") == 4_001


def test_a_code_server_reads_its_own_deployments_code_and_nothing_else(fresh, mine) -> None:
    received(fresh.store, ONE, 1)
    with psycopg.connect(fresh.url, autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM contents").fetchone() == (3,)
        for refused in (
            f"SELECT * FROM {mine.schema}.contents",
            "DELETE FROM contents",
            "INSERT INTO active (name) VALUES ('1-x')",
            "CREATE TABLE mine (x int)",
            "CREATE SCHEMA mine",
            "CREATE TEMPORARY TABLE mine (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(refused)
    other = databases.url(
        ADMIN, database=mine.schema, user=databases.code_role(fresh.release_name), password="x"
    )
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(other)


def test_a_deployment_from_before_there_was_code_gets_its_tables_and_later_its_server() -> None:
    with owner(ready=False) as made:
        assert made.store.active() == ""
        found = databases.find(ADMIN, made.release_name, made.deployment_id)
        assert (found.code, found.code_ready) == (False, False)
        made.store.activate(received(made.store, ONE, 1))
        found = databases.find(ADMIN, made.release_name, made.deployment_id)
        assert (found.code, found.code_ready) == (True, False)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(made.url)
        code_schema.ensure(ADMIN, made.release_name, made.deployment_id, password=PASSWORD)
        assert databases.find(ADMIN, made.release_name, made.deployment_id).code_ready
        with psycopg.connect(made.url) as reader:
            assert reader.execute("SELECT count(*) FROM versions").fetchone() == (1,)
        assert code_schema.drop(ADMIN, made.release_name, made.deployment_id)
        assert not code_schema.drop(ADMIN, made.release_name, made.deployment_id)
        found = databases.find(ADMIN, made.release_name, made.deployment_id)
        assert not found.code
        assert found.database


def test_lost_tables_are_made_again_and_what_was_in_them_is_told(fresh) -> None:
    code = received(fresh.store, ONE, 1)
    fresh.store.activate(code)
    with psycopg.connect(ADMIN, dbname=code_schema.DATABASE, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA {fresh.schema} CASCADE")
    assert fresh.store.active() == ""
    with pytest.raises(CodeDamaged, match="Deploy its code again"):
        fresh.store.activate(code)
    assert fresh.store.activate(received(fresh.store, TWO, 2))
    with psycopg.connect(fresh.url) as reader:
        assert reader.execute("SELECT count(*) FROM active").fetchone() == (1,)


def test_what_is_not_this_deployments_is_neither_adopted_nor_dropped(mine) -> None:
    received(mine.store, ONE, 7)
    stranger = PostgresCode(ADMIN, mine.release_name, "another deployment")
    assert stranger.active() == ""
    with pytest.raises(DataPlaneError, match="database is not on the cluster's primary Postgres"):
        stranger.receive(None, Manifest(()))  # type: ignore[arg-type]
    with pytest.raises(DataPlaneError, match=r"has a role .* that was not made for this Deployment"):
        code_schema.ensure(ADMIN, mine.release_name, "another deployment")
    assert not code_schema.drop(ADMIN, mine.release_name, "another deployment")
    assert count(mine, "contents") > 0


def test_an_administrator_who_is_no_superuser_can_do_all_of_it(monkeypatch) -> None:
    monkeypatch.setattr(code_schema, "DATABASE", "airdeck_code_managed")
    managed, release, own = "managed_for_code", "calm-managed-0001", "a deployment"
    name, mark = databases.database_name(release), databases.tag(own)
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {managed} LOGIN CREATEDB CREATEROLE PASSWORD 'managed'")
    url = databases.url(ADMIN, database="postgres", user=managed, password="managed")
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (
                f"CREATE ROLE {name}",
                f"COMMENT ON ROLE {name} IS '{mark}'",
                f"GRANT {name} TO CURRENT_USER",
                f"CREATE DATABASE {name} OWNER {name}",
                f"COMMENT ON DATABASE {name} IS '{mark}'",
            ):
                connection.execute(statement)
        for _ in range(2):
            code_schema.ensure(url, release, own, password=PASSWORD)
        store = PostgresCode(url, release, own)
        code = received(store, ONE, 1)
        assert store.activate(code)
        role = databases.code_role(release)
        reader = databases.url(url, database=code_schema.DATABASE, user=role, password=PASSWORD)
        with psycopg.connect(reader, autocommit=True) as connection:
            assert connection.execute("SELECT name FROM active").fetchone() == (code.name,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM active")
    finally:
        assert code_schema.drop(url, release, own)
        databases.drop_database(url, release, own)
        databases.drop_role(url, release, own)
        with psycopg.connect(ADMIN, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {code_schema.DATABASE}")
            admin.execute(f"DROP ROLE {managed}")
