"""From a run that fails in a real Airflow to the mail about it, handed to a real mail server."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from console.bench import airflow
from console.bench.result import Figure, Result, median, percentile
from console.embedded import postgres
from console.tests.system.installation import Installation, free_port, wait_until
from deployments.dataplane.postgres import databases
from deployments.domain.alert_life import MOST_IN_WINDOW
from deployments.tests.receivers import Inbox

RUNS = MOST_IN_WINDOW  # a rule sends no more by themselves within an hour
EVERY_SECONDS = 7.0  # not a part of a minute, nor of the 15 s between two looks at the rules
MUST_P95 = 90.0
LIMIT_SECONDS = 180.0
FILE = "bench_alerts.py"
CODE = f"""
from airflow.sdk import DAG, task

for number in range({RUNS}):
    with DAG(f"fails_{{number:02d}}", schedule=None, is_paused_upon_creation=False):
        @task
        def breaks():
            raise ValueError("on purpose")
        breaks()
"""
ENDED = (
    "SELECT dag_id, extract(epoch FROM end_date)::float8 FROM dag_run "
    "WHERE dag_id LIKE 'fails\\_%' AND state = 'failed'"
)
SEEN = (
    "SELECT a.subject, extract(epoch FROM f.seen_at)::float8, extract(epoch FROM a.opened_at)::float8 "
    "FROM deployments_alert a JOIN deployments_failedrun f "
    "ON f.deployment_id = a.deployment_id AND f.dag_id = a.subject WHERE a.kind = 'run_failed'"
)

METHOD = (
    "A Healthy Deployment under the Local executor; the usual rules are on, mailed to the Admin through an SMTP server "
    f"on loopback. {RUNS} DAGs, each with one task that raises, are triggered through Airflow's API, one every "
    f"{EVERY_SECONDS:.0f} s. From the end of each run, as Airflow's own database has it, until the server has taken "
    "the mail that names its DAG. Nothing is hurried: the observer reads once a minute, and rules are looked at "
    "every 15 s."
)


def measure(at: Installation) -> Result:
    """Fail, and wait for the mails."""
    release = airflow.ensure_healthy(at)
    inbox = Inbox()
    with _mailed(at, inbox):
        at.wait_status(release, "Healthy", airflow.FIRST_SECONDS)
        _switch_on(at)
        file = at.state.deployment(release) / "dags" / FILE
        file.write_text(CODE)
        try:
            _fail(at, release)
            wait_until(lambda: len(_taken(inbox)) == RUNS, LIMIT_SECONDS, lambda: str(inbox.subjects()))
        finally:
            file.unlink()
        ended = dict(_airflow_rows(at, release))
        with at.database() as rows:
            seen = {dag: (float(read), float(opened)) for dag, read, opened in rows.execute(SEEN)}
            rows.execute("UPDATE deployments_alertrule SET enabled = false")
    taken = _taken(inbox)
    seconds = [taken[dag] - ended[dag] for dag in ended]
    p95 = percentile(seconds, 0.95)
    figure = Figure(
        f"Failed run to mail handed to the mail server, {RUNS} runs",
        f"p95 at most {MUST_P95:.0f} s",
        f"p50 {median(seconds):.0f} s, p95 {p95:.0f} s",
        p95 <= MUST_P95,
    )
    parts = (
        median([seen[dag][0] - ended[dag] for dag in ended]),
        median([seen[dag][1] - seen[dag][0] for dag in ended]),
        median([taken[dag] - seen[dag][1] for dag in ended]),
    )
    return Result(
        (figure,),
        METHOD,
        (
            f"The slowest took {max(seconds):.0f} s.",
            f"Medians: {parts[0]:.1f} s until the run was read, {parts[1]:.1f} s until its alert opened, "
            f"{parts[2]:.1f} s until the mail was taken.",
        ),
    )


@contextmanager
def _mailed(at: Installation, inbox: Inbox) -> Iterator[None]:
    """The installation sends its mail there in the meantime."""
    port = free_port()
    with inbox.at(port):
        at.stop()
        at.start(environment={"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(port), "EMAIL_TLS": "False"})
        try:
            yield
        finally:
            at.stop()
            at.start()


def _switch_on(at: Installation) -> None:
    """The rules that one click switches on."""
    alerts = f"{at.workspace()}alerts/"
    answer = at.submit(alerts, {}, form=f"{alerts}usual/")
    assert answer.status_code == 303, answer.text


def _fail(at: Installation, release: str) -> None:
    """Trigger one run after the other, at even distances."""
    headers = {
        "Host": f"{release}.localhost:{at.port}",
        "Authorization": f"Bearer {at.airflow_token(release)}",
    }
    with httpx.Client(base_url=at.url, headers=headers, timeout=30) as client:
        last = f"/api/v2/dags/fails_{RUNS - 1:02d}"
        wait_until(lambda: client.get(last).status_code == 200, LIMIT_SECONDS, every=0.5)
        begun = time.monotonic()
        for number in range(RUNS):
            time.sleep(max(0.0, begun + number * EVERY_SECONDS - time.monotonic()))
            path = f"/api/v2/dags/fails_{number:02d}/dagRuns"
            client.post(path, json={"logical_date": None}).raise_for_status()
    wait_until(lambda: len(_airflow_rows(at, release)) == RUNS, LIMIT_SECONDS, every=0.5)


def _airflow_rows(at: Installation, release: str) -> list[tuple[str, float]]:
    """DAG and end of each run that failed."""
    name = databases.database_name(release)
    with databases.connect(postgres.url(at.state, "postgres"), database=name) as connection:
        return [(str(dag), float(end)) for dag, end in connection.execute(ENDED).fetchall()]


def _taken(inbox: Inbox) -> Mapping[str, float]:
    """When the mail of each DAG was taken: the first one."""
    found: dict[str, float] = {}
    for subject, moment in zip(inbox.subjects(), inbox.taken_at, strict=False):
        if subject.startswith("DAG fails_"):
            found.setdefault(subject.split()[1], moment)
    return found
