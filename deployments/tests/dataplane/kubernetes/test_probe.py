"""The probe that is copied into pods, against a real Postgres and a real Redis."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.kubernetes.manifests import configuration, probe
from deployments.dataplane.postgres import databases

ADMIN = postgres.url(STATE, "postgres")
POD_IP = "10.1.2.3"
REDIS_NAME = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__CLIENT_NAME"


@pytest.fixture
def metadata(monkeypatch) -> Iterator[psycopg.Connection]:
    """A database with the columns of Airflow's job table that the probe reads."""
    name = "probe_of_airdeck"
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.conninfo_to_dict(ADMIN)
    own = databases.url(ADMIN, database=name, user=url["user"], password=url.get("password") or "x")
    monkeypatch.setenv(configuration.DATABASE_URL, configuration.sqlalchemy_url(own))
    monkeypatch.setenv("POD_IP", POD_IP)
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE job (job_type text, hostname text, state text, latest_heartbeat timestamptz)"
        )
        yield connection
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def broker(monkeypatch) -> str:
    """The Redis of the test run."""
    url = os.environ["REDIS_URL"]
    monkeypatch.setenv(configuration.BROKER_URL, url)
    monkeypatch.setenv(REDIS_NAME, "worker-default-7f-abc")
    return url


@pytest.mark.parametrize(
    ("job", "host", "state", "age", "fine"),
    [
        ("DagProcessorJob", POD_IP, "running", 5, True),
        ("DagProcessorJob", POD_IP, "running", probe.SILENT_SECONDS + 5, False),
        ("DagProcessorJob", POD_IP, "success", 5, False),
        ("DagProcessorJob", "10.9.9.9", "running", 5, False),
        ("TriggererJob", POD_IP, "running", 5, False),
    ],
)
def test_a_job_is_well_when_this_pods_own_heartbeat_is_fresh(metadata, job, host, state, age, fine):
    row = (job, host, state, age)
    metadata.execute("INSERT INTO job VALUES (%s, %s, %s, now() - %s * interval '1 second')", row)
    assert probe.main(["job", "DagProcessorJob"]) == (0 if fine else 1)
    assert probe.main(["job", "DagProcessorJob", "--lenient"]) == (0 if fine else 1)


def test_a_database_that_does_not_answer_restarts_nothing(metadata, monkeypatch, capsys):
    monkeypatch.setenv(configuration.DATABASE_URL, "postgresql+psycopg2://u:secret-password@127.0.0.1:1/d")
    assert probe.main(["job", "DagProcessorJob"]) == 1
    assert probe.main(["job", "DagProcessorJob", "--lenient"]) == 0
    message = capsys.readouterr()
    assert "secret-password" not in message.out + message.err
    assert "OperationalError" in message.err


def test_a_worker_is_well_while_redis_has_its_connection(broker):
    assert probe.main(["worker"]) == probe.main(["worker", "--lenient"]) == 1
    with redis.Redis.from_url(broker, client_name="worker-default-7f-abc") as worker:
        worker.ping()
        assert probe.main(["worker"]) == probe.main(["worker", "--lenient"]) == 0


def test_a_redis_that_does_not_answer_restarts_no_worker(broker, monkeypatch):
    monkeypatch.setenv(configuration.BROKER_URL, "redis://:secret-password@127.0.0.1:1/0")
    assert probe.main(["worker"]) == 1
    assert probe.main(["worker", "--lenient"]) == 0


def test_the_copied_text_runs_by_itself_without_this_project(broker, tmp_path: Path):
    copy = tmp_path / "probe.py"
    copy.write_text(configuration.FILES["probe.py"])
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, str(copy), "worker"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Not connected to Redis\n")
