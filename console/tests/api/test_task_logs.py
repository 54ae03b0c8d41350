"""Logs of tasks for programs: which there are, and the lines of one."""

import asyncio
import json
from urllib.parse import quote

import pytest

from console.tests.api.test_waiting import get
from deployments.reconciler.deploy_rows import ref_of
from deployments.tests.reconciler.test_reconcile import settle

PATH = "dag_id=etl/run_id=manual__2026-11-28T10:00:00+00:00/task_id=load/map_index=3/attempt=2.log"
LINE = '{"timestamp":"2026-11-28T10:00:01.000000Z","level":"error","event":"Boom","logger":"task"}'


@pytest.fixture
def kept(deployment, driver):
    running = settle(deployment)
    return driver.worlds[ref_of(running).release_name].task_logs


def test_logs_of_tasks_are_listed_with_what_their_path_says(program, alice, deployment, kept):
    kept.write("dag_id=etl/run_id=r/task_id=extract/attempt=1.log", "x")
    kept.write(PATH, LINE)
    path = f"/deployments/{deployment.release_name}/task-logs"
    found = program(alice).get(path)
    assert ([each["task_id"] for each in found["items"]], found["more"]) == (["load", "extract"], False)
    first = found["items"][0]
    assert first.pop("written_at").endswith("Z")
    assert first == {
        "path": PATH,
        "dag_id": "etl",
        "run_id": "manual__2026-11-28T10:00:00+00:00",
        "task_id": "load",
        "map_index": "3",
        "attempt": "2",
        "trigger": "",
        "size_bytes": len(LINE) + 1,
    }
    found = program(alice).get(f"{path}?q=ETL&limit=1")
    assert ([each["task_id"] for each in found["items"]], found["more"]) == (["load"], True)
    assert program(alice).get(f"{path}?q=nothing")["items"] == []
    for query in ("limit=0", "limit=1001", f"q={'x' * 201}"):
        program(alice).ask("get", f"{path}?{query}", status=422)
    many = program(alice).ask("get", f"{path}?limit=2000", status=422).json()
    assert many["detail"] == "Enter a whole number of at most 1,000."


def test_what_keeps_them_being_away_is_one_problem(program, alice, deployment, kept, driver):
    driver.silent = "The code server does not run."
    answer = program(alice).ask("get", f"/deployments/{deployment.release_name}/task-logs", status=503)
    assert answer.json()["detail"] == "The code server does not run."


@pytest.mark.django_db(transaction=True)
def test_one_is_read_as_a_component_is(program, alice, deployment, kept):
    kept.write(PATH, LINE.replace("error", "info"), LINE)
    made, path = program(alice), f"/deployments/{deployment.release_name}/logs"

    async def read(query):
        answer = await get(made.value, f"{path}?{query}")
        return answer.status_code, b"".join([chunk async for chunk in answer.streaming_content])

    status, text = asyncio.run(read(f"task={quote(PATH)}&level=error"))
    assert status == 200
    assert json.loads(text) == {
        "time": "2026-11-28T10:00:01Z",
        "level": "error",
        "component": "task",
        "source": "task",
        "text": "Boom",
    }
    both = asyncio.run(get(made.value, f"{path}?task={quote(PATH)}&component=scheduler"))
    assert both.status_code == 422
    gone = asyncio.run(get(made.value, f"{path}?task=../../etc/passwd"))
    assert gone.status_code == 503
