"""What the readings cost the observer: its CPU with 100 Deployments, with them and without."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection

from console.bench import airflow, rows
from console.bench.result import Figure, Result, each
from console.embedded import postgres
from console.kit.files import write_private
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.local.supervisor.client import SupervisedProgram, Supervisor, render_group
from deployments.dataplane.postgres import databases
from deployments.models import Deployment, LatestReading
from deployments.tests.dataplane.postgres.airflow_tables import TABLES

DEPLOYMENTS, DAGS, RUNS_OF_A_DAG, TASKS_OF_A_RUN = 100, 20, 60, 5
ROUNDS, SECONDS = 1, 62.0
MUST_RATIO = 1.3
STOPPED = ("worker", "observer")
HEALTHY = json.dumps(
    {key: {"status": "healthy"} for key in ("metadatabase", "scheduler", "triggerer", "dag_processor")}
).encode()
TEMPLATE = "bench_metadata"
PROGRAMS = ("api-server", "scheduler-1", "dag-processor", "triggerer", "redis", "worker-default-01")
# A run a minute and more, in each database: what changes is read and written anew.
FILL = f"""
INSERT INTO dag (dag_id, is_paused, is_stale, timetable_summary, timetable_description, relative_fileloc)
SELECT 'dag_' || d, false, false, '0 * * * *', 'Every hour', 'dag_' || d || '.py' FROM generate_series(1, {DAGS}) d;
INSERT INTO dag_run (dag_id, run_id, state, run_after, logical_date, start_date, end_date)
SELECT 'dag_' || d, 'run_' || r, CASE WHEN r %% 20 = 0 THEN 'failed' ELSE 'success' END, t, t, t, t + interval '50 s'
FROM generate_series(1, {DAGS}) d, generate_series({RUNS_OF_A_DAG}, 1, -1) r,
  LATERAL (SELECT now() - make_interval(mins => r * 20 - d) AS t) at;
INSERT INTO task_instance (task_id, dag_id, run_id, state, queue, end_date, last_heartbeat_at)
SELECT 'task_' || n, dag_id, run_id, state, 'default', end_date, end_date
FROM dag_run, generate_series(1, {TASKS_OF_A_RUN}) n;
INSERT INTO job (job_type, state, latest_heartbeat) VALUES ('SchedulerJob', 'running', now());
""".replace("%%", "%")

METHOD = (
    f"{DEPLOYMENTS} Healthy Deployments on this machine. supervisord runs {len(PROGRAMS)} programs of each, which "
    "sleep; a helper plays their API servers. Each has a metadata database with Airflow's tables, "
    f"{DAGS} DAGs, {RUNS_OF_A_DAG} runs of each and {TASKS_OF_A_RUN} task instances of each run. Worker and observer "
    "of the installation are stopped, and `run_forever` of the observer is run in a process of its own, without its "
    f"readings and then with them: user and system time over {SECONDS:.0f} s, after all were read once. No Redis of a "
    "Deployment answers, so what the observer asks these is not in either figure."
)


def measure(at: Installation) -> Result:
    """Play, and run the observer with readings and without."""
    airflow.ensure_none(at)
    workspace, _ = rows.make_workspace(1)
    supervisor = Supervisor(at.state.supervisor_socket)
    for name in STOPPED:
        supervisor.stop(f"{name}:{name}")
    try:
        made = rows.make_deployments(workspace, DEPLOYMENTS)
        connection.close()
        with _metadata(at, made), _api_servers(at, made), _programs(at, made, supervisor):
            measured = [(_run("without"), _run("with")) for _ in range(ROUNDS)]
        read = LatestReading.objects.filter(deployment__in=made, at__isnull=False).count()
        assert read == DEPLOYMENTS, f"{read} of {DEPLOYMENTS} were read"
    finally:
        rows.remove_deployments()
        connection.close()
        for name in STOPPED:
            supervisor.start(f"{name}:{name}")
    without, with_them = ([pair[at_] for pair in measured] for at_ in (0, 1))
    ratio = sum(with_them) / sum(without)
    return Result(
        (
            Figure(
                f"Observer's CPU with {DEPLOYMENTS} Deployments that are read once a minute, against without",
                f"at most {MUST_RATIO} times",
                f"{ratio:.2f} times ({sum(with_them) / ROUNDS:.2f} s against {sum(without) / ROUNDS:.2f} s a minute)",
                ratio <= MUST_RATIO,
            ),
        ),
        METHOD,
        (f"With: {each(with_them, 's', 2)}; without: {each(without, 's', 2)}.",),
    )


def _run(how: str) -> float:
    """CPU seconds of an observer over SECONDS."""
    argv = [sys.executable, "-m", "console.bench.observer_process", how, str(SECONDS)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=SECONDS * 4)
    return float(done.stdout.split()[-1])


@contextmanager
def _metadata(at: Installation, made: list[Deployment]) -> Iterator[None]:
    """A metadata database for each, copies of one."""
    with psycopg.connect(postgres.url(at.state, "postgres"), autocommit=True) as admin:
        names = [databases.database_name(each.release_name) for each in made]
        for name in (TEMPLATE, *names):
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
        with psycopg.connect(postgres.url(at.state, TEMPLATE), autocommit=True) as inside:
            inside.execute(TABLES)
            inside.execute(FILL)
            inside.execute("ANALYZE")
        try:
            for each, name in zip(made, names, strict=True):
                admin.execute(f"CREATE ROLE {name}")
                admin.execute(f"COMMENT ON ROLE {name} IS '{databases.tag(str(each.pk))}'")
                admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {name}")
                with psycopg.connect(postgres.url(at.state, name), autocommit=True) as inside:
                    inside.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
            yield
        finally:
            for name in (TEMPLATE, *names):
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            for each in made:
                databases.drop_role(postgres.url(at.state, "postgres"), each.release_name, str(each.pk))


class _Health(http.server.BaseHTTPRequestHandler):
    """Answers as an API server that is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(HEALTHY)))
        self.end_headers()
        self.wfile.write(HEALTHY)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _programs(at: Installation, made: list[Deployment], supervisor: Supervisor) -> Iterator[None]:
    """Programs that sleep, as many as an Airflow has, under the installation's supervisord."""
    supervisor = supervisor.patient_for(120.0)
    groups = [f"{each.release_name}.{name}" for each in made for name in PROGRAMS]
    rendered = []
    for group in groups:
        release, _, name = group.partition(".")
        folder = at.state.deployment(release)
        (folder / "specs").mkdir(mode=0o700, exist_ok=True)
        program = SupervisedProgram(
            name, ("/bin/sleep", "infinity"), folder, folder / f"{name}.log", stopwaitsecs=1
        )
        rendered.append(render_group(group, [program]))
    file = at.state.group_file("bench")  # one, because supervisord takes its time to read hundreds
    write_private(file, "\n".join(rendered))
    supervisor.reload_and_add(*groups)
    wait_until(lambda: _running(supervisor, groups), 120, lambda: "the programs do not run")
    for info in supervisor.processes():
        if info.group in groups:
            started = at.state.deployment(info.group.partition(".")[0]) / "specs" / f"{info.name}.started"
            write_private(started, json.dumps({"pid": info.pid}))
    try:
        yield
    finally:
        file.unlink()
        wait_until(lambda: _gone(supervisor, groups), 60, lambda: "the programs do not end")
        for each in made:
            shutil.rmtree(at.state.deployment(each.release_name))


def _gone(supervisor: Supervisor, groups: list[str]) -> bool:
    left = [
        group for group in groups if not supervisor.remove(group)
    ]  # each is asked, so that they end side by side
    return not left


def _running(supervisor: Supervisor, groups: list[str]) -> bool:
    states = {info.group: info.state for info in supervisor.processes()}
    return all(states.get(group) == "RUNNING" for group in groups)


@contextmanager
def _api_servers(at: Installation, made: list[Deployment]) -> Iterator[None]:
    """One server at the port of all."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    files = [at.state.deployment(each.release_name) / "port" for each in made]
    for file in files:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, str(server.server_address[1]))
    try:
        yield
    finally:
        server.shutdown()
        thread.join(5)
