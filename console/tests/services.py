"""Real Postgres and Redis for the whole test run, in a temporary state folder. Started by the root
conftest.py before Django is set up.

The servers are those of the embedded default, so the tests prove its parts by standing on them.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from console.embedded import keys, postgres, redis_server
from deployments.dataplane.local.state_dir import StateDir

# Nothing outlives the run, so nothing need reach the disk. `make run` in tests has a durable server of its own.
THROWAWAY = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
STATE = StateDir(Path(tempfile.mkdtemp(prefix="airdeck-test-", dir="/tmp")))
_running: list[subprocess.Popen[bytes]] = []


def _spawn(argv: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd="/", env={"PATH": os.defpath})
    _running.append(process)
    return process


def start_redis() -> subprocess.Popen[bytes]:
    """Start the test run's Redis; it answers when this returns."""
    binary = redis_server.find_binary()
    assert binary is not None, "no redis-server or valkey-server"
    process = _spawn((str(binary), str(redis_server.config(STATE))), STATE.logs / "redis.log")
    deadline = time.monotonic() + 60
    while not STATE.redis_socket.exists():
        assert time.monotonic() < deadline, (STATE.logs / "redis.log").read_text()
        time.sleep(0.02)
    return process


def redis_process() -> subprocess.Popen[bytes]:
    """The Redis that runs now, or ran last."""
    return _running[-1]


def stop_redis() -> None:
    """Kill Redis, as a crash would."""
    redis_process().kill()
    redis_process().wait()
    STATE.redis_socket.unlink(missing_ok=True)


def restart_redis() -> None:
    """Kill Redis and start it empty."""
    stop_redis()
    start_redis()


def _start_postgres(url: str) -> None:
    program = postgres.program(STATE, ())
    process = _spawn((*program.argv, *THROWAWAY), STATE.logs / "postgres.log")
    deadline = time.monotonic() + 120
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, (STATE.logs / "postgres.log").read_text()
            assert time.monotonic() < deadline, "Postgres did not start within 120 s"
            time.sleep(0.05)
        else:
            return


def flush(_case: object = None) -> None:
    """Empty every table but those that migrations fill, content types and permissions. DELETE, which for a few rows
    costs a third of TRUNCATE's new files, and without triggers: order and append-only tables do not matter here."""
    from django.db import connection, transaction

    kept = {"django_content_type", "auth_permission"}
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - kept
    deletes = [f"DELETE FROM {connection.ops.quote_name(name)}" for name in sorted(names)]
    role = "SET LOCAL session_replication_role = replica"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(";".join([role, *deletes]))


def _stop() -> None:
    for process in reversed(_running):
        process.terminate()
    for process in reversed(_running):
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(STATE.root, ignore_errors=True)


def start(*, servers: bool) -> None:
    """Start both servers and put their addresses into the environment; they stop when this process ends. Without
    `servers`, for a process that runs no test, there are only the addresses."""
    STATE.create()
    keys.ensure(STATE, has_data=False)
    atexit.register(_stop)
    if servers:
        postgres.prepare(STATE)
        _start_postgres(postgres.url(STATE, "postgres"))
    static = STATE.root / "staticfiles"
    static.mkdir()
    os.environ |= {
        "STATIC_ROOT": str(static),
        "DATABASE_URL": postgres.url(STATE, "airdeck"),
        "REDIS_URL": redis_server.prepare(STATE),
        "SECRET_KEY_FILE": str(STATE.keys / "secret_key"),
        "ENCRYPTION_KEYS_FILE": str(STATE.keys / "encryption_keys"),
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "HTTPS": "false",
        "BASE_URL": "http://testserver",
        "LOG_LEVEL": "WARNING",
        "CLUSTER_ADDRESSES": "127.0.0.1",  # where tests play clusters
    }
    if servers:
        start_redis()
