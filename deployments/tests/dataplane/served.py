"""A Deployment's code in Postgres, and its code server as a process, without Kubernetes."""

import os
import secrets
import signal
import subprocess
import sys
import types
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from importlib.resources import files
from pathlib import Path

import psycopg

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.kubernetes.manifests import configuration
from deployments.dataplane.postgres import code_schema, databases
from deployments.dataplane.postgres.code_store import PostgresCode

ADMIN = postgres.url(STATE, "postgres")
TOKEN = "a-token-of-this-deployment"
PASSWORD = "a password of the code server's role"
READER_TOKEN = "a-token-of-the-console"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"  # logs need no database


@dataclass(frozen=True)
class Owner:
    """A Deployment with a metadata database, as far as code asks for one."""

    release_name: str
    deployment_id: str

    @property
    def store(self) -> PostgresCode:
        return PostgresCode(ADMIN, self.release_name, self.deployment_id)

    @property
    def schema(self) -> str:
        return databases.database_name(self.release_name)

    @property
    def url(self) -> str:
        """As its code server reads its code."""
        role = databases.code_role(self.release_name)
        return databases.url(ADMIN, database=code_schema.DATABASE, user=role, password=PASSWORD)

    def inside(self) -> psycopg.Connection:
        """An administrator's connection that sees its tables."""
        made = psycopg.connect(ADMIN, dbname=code_schema.DATABASE, autocommit=True)
        made.execute(f"SET search_path TO {self.schema}")
        return made


@contextmanager
def owner(*, ready: bool = True) -> Iterator[Owner]:
    """One, which leaves nothing. `ready` says that its code server may sign in."""
    number = secrets.randbelow(10_000)
    made = Owner(
        f"calm-{''.join(secrets.choice('abcdef') for _ in range(8))}-{number:04}", secrets.token_hex(16)
    )
    name, mark = made.schema, databases.tag(made.deployment_id)
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name}")
        admin.execute(f"COMMENT ON ROLE {name} IS '{mark}'")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        admin.execute(f"COMMENT ON DATABASE {name} IS '{mark}'")
    try:
        if ready:
            code_schema.ensure(ADMIN, made.release_name, made.deployment_id, password=PASSWORD)
        yield made
    finally:
        code_schema.drop(ADMIN, made.release_name, made.deployment_id)
        databases.drop_database(ADMIN, made.release_name, made.deployment_id)
        databases.drop_role(ADMIN, made.release_name, made.deployment_id)


@dataclass
class Running:
    """A code server that runs; `reader` is where the console reads logs."""

    process: subprocess.Popen
    address: str
    reader: str
    logs: Path

    def get(self, path: str, token: str = TOKEN) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        return asked(self.address + path, {"Authorization": f"Bearer {token}"} if token else {})

    def read(self, path: str, token: str = READER_TOKEN) -> tuple[int, bytes, dict[str, str]]:
        """The same as the console."""
        return asked(self.reader + path, {"X-Airdeck-Token": token} if token else {})


def asked(url: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a GET."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@contextmanager
def code_server(
    url: str,
    cache: Path,
    port: int = 0,
    *,
    room: int = 10**9,
    python: str = sys.executable,
    reader_token: str = READER_TOKEN,
    more: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """The files that are copied into clusters, as a process. `room` is that of logs, in `cache`-logs."""
    programs = Path(f"{cache}-files")
    programs.mkdir(parents=True, exist_ok=True)
    for name in configuration.CODE_SERVER_FILES:
        (programs / name).write_text(configuration.FILES[name])
    environment = {
        "PATH": os.environ["PATH"],
        "AIRDECK_CODE_DATABASE": url,
        "AIRDECK_CODE_TOKEN": TOKEN,
        "AIRDECK_CODE_CACHE": str(cache),
        "AIRDECK_CODE_HOST": "127.0.0.1",
        "AIRDECK_CODE_PORT": str(port),
        "AIRDECK_LOG_FOLDER": f"{cache}-logs",
        "AIRDECK_LOG_DAYS": "30",
        "AIRDECK_LOG_BYTES": str(room),
        "AIRDECK_LOG_READER_PORT": "0",
        "AIRDECK_LOG_READER_TOKEN": reader_token,
        "PYTHONDONTWRITEBYTECODE": "1",
        **(more or {}),
    }
    command = [python, str(programs / configuration.CODE_SERVER_FILES[0])]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            reader, own = process.stdout.readline(), process.stdout.readline()
            assert own.startswith("Listening on port "), (reader, own)
            ports = [line.rsplit(" ", 1)[1].strip() for line in (own, reader)]
            yield Running(process, *(f"http://127.0.0.1:{port}" for port in ports), Path(f"{cache}-logs"))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def bundle_module(monkeypatch) -> types.ModuleType:
    """The file of the bundle, beside a base class that does what Airflow's does. The real one is in
    the tests that start a real Airflow."""

    class BaseDagBundle:
        supports_versioning = False

        def __init__(self, *, name: str, refresh_interval: int = 300, version: str | None = None) -> None:
            self.name, self.refresh_interval, self.version = name, refresh_interval, version
            self.is_initialized = False

        def initialize(self) -> None:
            self.is_initialized = True

    base = types.ModuleType("airflow.dag_processing.bundles.base")
    base.BaseDagBundle = BaseDagBundle
    bundles = types.ModuleType("airflow.dag_processing.bundles")
    bundles.base = base
    exceptions = types.ModuleType("airflow.exceptions")
    exceptions.AirflowException = type("AirflowException", (Exception,), {})
    for name in ("airflow", "airflow.dag_processing"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for module in (bundles, base, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    places = {
        "airdeck_bundle": files("deployments.dataplane").joinpath("airflow_bundle.py"),
        "airdeck_served_bundle": files("deployments.dataplane.kubernetes.in_pods").joinpath(
            "served_bundle.py"
        ),
    }
    for name, place in places.items():
        spec = util.spec_from_file_location(name, str(place))
        module = util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    monkeypatch.setenv("AIRDECK_CODE_TOKEN", TOKEN)
    return sys.modules["airdeck_served_bundle"]
