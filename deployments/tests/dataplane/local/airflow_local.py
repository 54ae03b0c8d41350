"""A local data plane for tests: the real supervisord, the real Postgres, real runtimes, in the test run's own
state folder. Everything that it started is gone when the run ends."""

import atexit
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from console.embedded import postgres, programs, redis_server
from console.kit.files import write_private
from console.tests.services import STATE
from deployments.dataplane.contract import ClusterConfig, DataPlaneUnreachable
from deployments.dataplane.local import ports
from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor, render_main
from deployments.dataplane.local.supervisor.processes import kill, tagged
from deployments.dataplane.postgres import databases
from deployments.domain.task_log_text import task_path
from deployments.tests.dataplane.contract import OLDER, Case, converge, new_case

# A connection that an upgrade must keep.
REMEMBER: LiteralString = (
    "INSERT INTO connection (conn_id, conn_type, is_encrypted, is_extra_encrypted) "
    "VALUES ('kept', 'http', false, false)"
)
PASSWORD = "canary-supervisor-password"
DAG = """
from datetime import datetime
from airflow.sdk import DAG, task

with DAG("proof", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    @task
    def first():
        import os

        print("Forty-one it is")
        assert (os.environ["COLOUR"], os.environ["TOKEN"]) == ("blue", "canary-secret-variable")
        return 41
    @task
    def second(number):
        assert number == 41
    second(first())
"""


def until(
    condition: Callable[[], Any], seconds: float = 120, between: Callable[[], object] | None = None
) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        if between:
            between()
        time.sleep(0.5)
    return value


def start_supervisord(state: StateDir = STATE) -> Supervisor:
    """Start the supervisord of a state folder, unless it runs; it answers when this returns."""
    supervisor = Supervisor(state.supervisor_socket)
    try:
        supervisor.processes()
    except DataPlaneUnreachable:
        pass
    else:
        return supervisor
    write_private(state.supervisor_password, PASSWORD)
    write_private(state.supervisor_config, render_main(state, [], PASSWORD))
    # In a session of its own, as `manage.py up` starts it: Linux shares cores between sessions first, and what else
    # the tests do would starve the Airflows.
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", state.supervisor_config],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=programs.BASE,  # where it finds our extension
    )
    atexit.register(_stop, process, state)
    deadline = time.monotonic() + 60
    while True:
        try:
            supervisor.processes()
        except DataPlaneUnreachable:
            assert time.monotonic() < deadline, "supervisord did not start within 60 s"
            time.sleep(0.05)
        else:
            return supervisor


def _stop(process: subprocess.Popen[bytes], state: StateDir) -> None:
    process.terminate()
    try:
        process.wait(25)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in tagged(state.root):
        kill(left)


def config(**settings: str) -> ClusterConfig:
    """The configuration of this machine's cluster, as `manage.py up` makes it."""
    binary = redis_server.find_binary()
    return ClusterConfig(
        cluster_id="local",
        kind="local",
        database_url=postgres.url(STATE, "postgres"),
        settings={
            "state_dir": str(STATE.root),
            "supervisor_socket": str(STATE.supervisor_socket),
            "redis_server": str(binary),
            "console_port": "8000",
            **settings,
        },
    )


def door(case: Case) -> tuple[int, Path]:
    """The port of its API server, and the folder of its logs."""
    port = ports.upstream(STATE.root, case.ref.release_name)
    assert port is not None
    return port, STATE.deployment(case.ref.release_name) / "logs"


class LocalHarness:
    """See `contract.Harness`."""

    patience = 300.0  # a minute where cores are free; here four pytest processes want them
    pause = 0.4
    components = frozenset(
        ("api-server", "scheduler", "dag-processor", "triggerer", "redis", "worker-default")
    )

    def __init__(self) -> None:
        self.supervisor = start_supervisord()
        self._running: Case | None = None

    def new_driver(self) -> LocalDriver:
        return LocalDriver(config())

    def unreachable(self) -> LocalDriver:
        return LocalDriver(config(supervisor_socket=str(STATE.run_dir / "nobody.sock")))

    def running(self) -> Case:
        if self._running is None:
            case = new_case(runtime=OLDER)  # other tests are about the newer one
            converge(self, case)
            self._running = case
        return self._running

    @contextmanager
    def failing_migration(self, case: Case) -> Iterator[None]:
        with table_in_the_way(case, config().database_url):
            yield

    def write_task_log(self, case: Case, path: str, text: str) -> None:
        place = STATE.deployment(case.ref.release_name) / "logs" / "tasks" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def remember(self, case: Case) -> None:
        """A connection, and a run of a DAG that Airflow ran."""
        execute(case, REMEMBER)
        assert_runs_a_dag(self, case)

    def remembers(self, case: Case) -> bool:
        """Whether both are there."""
        found = execute(
            case,
            "SELECT (SELECT count(*) FROM connection WHERE conn_id = 'kept'), "
            "(SELECT count(*) FROM dag_run WHERE dag_id = 'proof' AND state = 'success')",
        )
        return found == [(1, 1)]


@contextmanager
def table_in_the_way(case: Case, database_url: str) -> Iterator[None]:
    """A table is in the way of one that the newer runtime makes."""
    execute(case, "CREATE TABLE connection_test_request (in_the_way int)", database_url)
    yield
    execute(case, "DROP TABLE connection_test_request", database_url)


def execute(case: Case, statement: LiteralString, database_url: str = "") -> list[tuple]:
    """Run a statement in the Deployment's metadata database, as its own role would: on this machine's Postgres, or on
    that of the URL."""
    name = databases.database_name(case.ref.release_name)
    admin_url = database_url or config().database_url
    url = databases.url(admin_url, database=name, user=name, password=case.secrets.database_password)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def rows(case: Case, query: str) -> list[tuple]:
    """What a query finds in the Deployment's metadata database, as the administrator."""
    name = databases.database_name(case.ref.release_name)
    with databases.connect(config().database_url, database=name) as connection:
        return connection.execute(query).fetchall()


def task_logs(dags_folder: str) -> str:
    """Everything that the Deployment's tasks said."""
    logs = sorted((Path(dags_folder).parent / "logs" / "tasks").rglob("*.log"))
    return "\n".join(f"{file}\n{file.read_text()[-4000:]}" for file in logs)


def assert_runs_a_dag(harness: LocalHarness, case: Case, dag: str = "proof") -> None:
    """A DAG put into the folder succeeds, with the user's variables, within the connections that the role may hold, and
    nothing says that a setting of ours is outdated."""
    folder = harness.new_driver().details(case.ref)["DAGs folder"]
    (Path(folder) / f"{dag}.py").write_text(DAG.replace("proof", dag))
    until(lambda: rows(case, f"SELECT 1 FROM dag WHERE dag_id = '{dag}'"), seconds=40)
    ended = f"SELECT state FROM dag_run WHERE dag_id = '{dag}' AND state IN ('success', 'failed')"
    state = until(lambda: rows(case, ended))
    assert state == [("success",)], task_logs(folder)
    name = databases.database_name(case.ref.release_name)
    holders = rows(case, f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'")
    limit = rows(case, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{name}'")
    assert 0 < holders[0][0] < limit[0][0]
    message = "\n".join(
        line.text
        for component in harness.new_driver().observe(case.ref).components
        for line in harness.new_driver().logs(case.ref, component.name).lines
    )
    assert "removed in a future" not in message
    assert "has been renamed" not in message
    assert_no_setting_is_outdated(harness, case)
    assert_tasks_logs_are_read(harness, case, dag)


def assert_tasks_logs_are_read(harness: LocalHarness, case: Case, dag: str) -> None:
    """What both tasks of the DAG wrote is listed, and read as lines for people."""
    driver = harness.new_driver()
    found = {
        task_path(each.path).task: each for each in driver.task_logs(case.ref, text=f"dag_id={dag}/").logs
    }
    assert found.keys() == {"first", "second"}
    lines = [line.text for line in driver.task_log(case.ref, found["first"].path).lines]
    assert any(line.endswith("] Forty-one it is") for line in lines), lines
    assert not any(line.startswith("{") for line in lines), lines


def assert_no_setting_is_outdated(harness: LocalHarness, case: Case) -> None:
    """This Airflow's own linter knows of no setting that was renamed or removed."""
    folder = Path(harness.new_driver().details(case.ref)["DAGs folder"]).parent
    spec = json.loads((folder / "specs" / "scheduler-1.json").read_text())
    linter = [spec["argv"][0], "-m", "airflow", "config", "lint"]
    done = subprocess.run(
        linter, env=spec["env"], cwd=spec["cwd"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # It also lists settings that merely differ from a default that changed ("executor").
    assert "Removed" not in done.stdout
    assert "configuration parameter moved" not in done.stdout
    assert "configuration parameter renamed" not in done.stdout
