"""The code server as a process against a real Postgres, and the bundle of Airflow's pods against it."""

import hashlib
import io
import os
import tarfile
import threading
import time

import psycopg
import pytest

from deployments.dataplane.postgres.code_store import PART
from deployments.tests.archives import DAG
from deployments.tests.dataplane.code_contract import ONE, TWO, received
from deployments.tests.dataplane.served import ADMIN, TOKEN, code_server, owner

LARGE = os.urandom(5 * PART + 7)


@pytest.fixture(scope="module")
def mine():
    with owner() as made:
        yield made


@pytest.fixture(scope="module")
def server(mine, tmp_path_factory):
    with code_server(mine.url, tmp_path_factory.mktemp("cache")) as running:
        yield running


def until(fine, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not fine():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- The server --


def test_it_hands_out_exactly_the_files_with_a_digest(mine, server) -> None:
    files = {"one.py": DAG, "lib/help.py": b"X = 1\n", "empty.py": b"", "big.bin": LARGE, "same.py": DAG}
    code = received(mine.store, files, 3)
    mine.store.build(code)
    status, body, headers = server.get(f"/code/{code.name}.tar")
    assert status == 200
    assert headers["X-Airdeck-Digest"] == hashlib.sha256(body).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}
    assert hashlib.sha256(found.pop("manifest.json")).hexdigest() == code.manifest
    assert found == {f"files/{path}": content for path, content in files.items()}


@pytest.mark.thorough
def test_it_says_which_version_is_active_within_seconds_of_its_activation(mine, server) -> None:
    for number, files in ((1, ONE), (2, TWO)):
        code = received(mine.store, files, number)
        mine.store.activate(code)
        until(lambda name=code.name: f'"{name}"'.encode() in server.get("/active")[1])


@pytest.mark.parametrize("token", ["", TOKEN + "x", "ä"])
@pytest.mark.parametrize("path", ["/active", "/code/1-x.tar", "/", "/elsewhere"])
def test_without_the_token_nothing_is_told(server, path, token) -> None:
    assert server.get(path, token.encode().decode("latin-1"))[0] == 401


@pytest.mark.parametrize(
    "path", ["/code/9-aaaaaaaaaaaa.tar", "/code/..%2f..%2fpasswd.tar", "/code/.draft-1.tar", "/"]
)
def test_what_is_not_there_is_not_found(server, path) -> None:
    assert server.get(path)[0] == 404


def test_a_version_is_put_together_once_however_many_ask(mine, server) -> None:
    code = received(mine.store, {"f.py": b"F = 1\n", "big.bin": LARGE}, 4)
    mine.store.build(code)
    answers: list[tuple] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.get(f"/code/{code.name}.tar")))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {(status, hashlib.sha256(body).hexdigest()) for status, body, _ in answers} == {
        (200, answers[0][2]["X-Airdeck-Digest"])
    }
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        # One connection stays, for the active version; those of archives are closed, which the server of Postgres
        # notices a moment later.
        question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'airdeck-code-server'"
        until(lambda: admin.execute(question).fetchone()[0] <= 1)


@pytest.mark.thorough
def test_a_restarted_server_comes_back_from_postgres_and_one_without_postgres_serves_what_it_has(
    mine, tmp_path
) -> None:
    code = received(mine.store, ONE, 5)
    mine.store.activate(code)
    for cache in ("one", "two"):  # the second has nothing, as after another node took it
        with code_server(mine.url, tmp_path / cache) as running:
            assert running.get("/ready", "")[0] == 200
            assert running.get(f"/code/{code.name}.tar")[0] == 200
    other = received(mine.store, TWO, 6)
    mine.store.build(other)
    with code_server(mine.url, tmp_path / "two") as running:
        assert running.get("/active")[0] == 200
        with psycopg.connect(ADMIN, autocommit=True) as admin:
            role = f"{mine.schema}_code"
            admin.execute(f"ALTER ROLE {role} NOLOGIN")
            try:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,)
                )
                time.sleep(2.1)  # what it heard is old now
                assert running.get("/active")[1] == f'{{"version": "{code.name}"}}'.encode()
                assert running.get("/ready", "")[0] == 200
                assert running.get(f"/code/{code.name}.tar")[0] == 200
                status, _, headers = running.get(f"/code/{other.name}.tar")
                assert (status, headers["Retry-After"]) == (503, "2")
            finally:
                admin.execute(f"ALTER ROLE {role} LOGIN")
        until(lambda: running.get(f"/code/{other.name}.tar")[0] == 200)


def test_it_is_not_ready_before_its_database_answered_and_tells_no_secret(mine, tmp_path) -> None:
    wrong = mine.url.replace("a%20password", "another")
    with code_server(wrong, tmp_path) as running:
        assert running.get("/ready", "")[0] == 503
        assert running.get("/active")[0] == 503
        assert running.get("/code/1-aaaaaaaaaaaa.tar")[0] == 503
        running.process.terminate()
        said = running.process.stdout.read()
    assert "The database does not answer: OperationalError" in said
    assert "another" not in said
