"""What a reading says of a real Airflow in which one DAG succeeded, one fails, one waits in a queue that does not
exist, and a file does not import."""

from pathlib import Path

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import Ref
from deployments.dataplane.postgres import databases
from deployments.dataplane.reading import Reading, Since, dag_of
from deployments.tests.dataplane.contract import Case
from deployments.tests.dataplane.local.airflow_local import LocalHarness, config, execute, until
from deployments.tests.dataplane.postgres.airflow_tables import assert_same, metadata_database

ADMIN = postgres.url(STATE, "postgres")
ONCE = """
from datetime import datetime
from airflow.sdk import DAG, task

with DAG("{dag}", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    @task(queue="{queue}")
    def {task}():
        {does}
    {task}()
"""
DAILY = """
from airflow.sdk import DAG

with DAG("daily", schedule="0 4 * * *", dag_display_name="Each day"):
    pass
"""
FILES = {
    "failing": ONCE.format(
        dag="failing", queue="default", task="breaks", does="raise ValueError('on purpose')"
    ),
    "lost": ONCE.format(dag="lost", queue="nowhere", task="waits", does="return 1"),
    "daily": DAILY,
    "broken": "import nothing_of_the_kind\nfrom airflow.sdk import DAG\n",  # without such words it is not read
}
DONE = """
UPDATE task_instance SET state = 'failed' WHERE dag_id = 'lost';
UPDATE dag_run SET state = 'failed', end_date = now() WHERE dag_id = 'lost'
"""


def story(harness: LocalHarness, case: Case, succeeded: str) -> None:
    """`succeeded` is a DAG that ran to success a moment ago."""
    assert_as_expected(case)
    first = read(harness, case.ref, None)
    folder = Path(harness.new_driver().details(case.ref)["DAGs folder"])
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    since = Since(first.at, first.usage.cpu)

    seen: list[Reading] = []

    def all_is_so() -> bool:
        seen[:] = [read(harness, case.ref, since)]
        queued = [(queue.name, queue.queued) for queue in seen[0].queues]
        both = bool(seen[0].failed_runs) and ("nowhere", 1) in queued and "daily" in seen[0].dags
        return both and seen[0].import_error_count == 1 and seen[0].usage.cores is not None

    try:
        until(all_is_so, seconds=120)
    except AssertionError:
        raise AssertionError(seen) from None
    assert_all_is_read(seen[0], succeeded)
    for name in FILES:
        (folder / f"{name}.py").unlink()
    execute(case, DONE)


def assert_all_is_read(found: Reading, succeeded: str) -> None:
    """What the DAGs of the story must show."""
    assert {"failing", "lost", "daily", succeeded} <= set(found.dags)
    assert "broken" not in found.dags
    good, bad, daily = (dag_of(name, found.dags[name]) for name in (succeeded, "failing", "daily"))
    assert [run.state for run in good.runs] == ["success"]
    assert 0 < (good.runs[0].seconds or 0) < 300
    assert [run.state for run in bad.runs] == ["failed"]
    assert (daily.name, daily.schedule, daily.file, daily.paused) == (
        "Each day",
        "0 4 * * *",
        "daily.py",
        True,
    )
    assert "04:00" in daily.schedule_words
    [failed] = found.failed_runs
    assert (failed.dag_id, failed.tasks) == ("failing", ("breaks",))
    [error] = found.import_errors
    assert error.file.endswith("broken.py")
    assert error.line == "ModuleNotFoundError: No module named 'nothing_of_the_kind'"
    assert sum(hour.runs_succeeded for hour in found.hours) >= 1
    assert sum(hour.runs_failed for hour in found.hours) == 1
    assert sum(hour.tasks_failed or 0 for hour in found.hours) == 1
    assert all(found.heartbeats[name] < 60 for name in ("scheduler", "triggerer", "dag-processor"))
    assert found.usage.cores is not None
    assert 0 < found.usage.cores < 64
    assert 100 * 2**20 < (found.usage.memory_bytes or 0) < 8 * 2**30


def read(harness: LocalHarness, ref: Ref, since: Since | None) -> Reading:
    return harness.new_driver().reading(ref, since)


def assert_as_expected(case: Case) -> None:
    """The tests of the SQL stand on tables of our own: a real Airflow has all that they have."""
    name = databases.database_name(case.ref.release_name)
    with (
        metadata_database(ADMIN, "expected-comet-0001") as ours,
        databases.connect(config().database_url, database=name) as real,
    ):
        assert_same(real, ours)
