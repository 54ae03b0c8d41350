"""Deployed code on a real Airflow of this machine: runs keep their version, nothing restarts, what does not import is
told."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from console.tests.services import STATE
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.code.contract import received, store_of, with_code
from deployments.tests.dataplane.contract import NEWER, OLDER, Case, converge, new_case, remove
from deployments.tests.dataplane.local.airflow_local import LocalHarness, rows, task_logs, until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

LOOSE = """
from airflow.sdk import DAG

with DAG("loose", schedule=None):
    pass
"""
STORY = """
import os, time
from datetime import datetime
from airflow.sdk import DAG, task
from helper import WORD

SCENE = "{scene}"

def write(name):
    with open(os.path.join(SCENE, name), "a") as out:
        out.write(WORD + "\\n")

with DAG("story", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    @task
    def first():
        write("began")
        deadline = time.monotonic() + 120
        while not os.path.exists(os.path.join(SCENE, "go")):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        write("first")
    @task
    def second():
        write("second")
    first() >> second()
"""
MORE = """
    @task
    def third():
        write("third")
    third()
"""
BROKEN = "from nowhere import nothing\nfrom airflow.sdk import DAG\n"


@pytest.fixture(scope="module")
def harness() -> LocalHarness:
    return LocalHarness()


@pytest.mark.parametrize("runtime", [NEWER, OLDER], ids=["newer", "older"])
def test_a_run_finishes_on_the_code_with_which_it_began(harness, runtime: RuntimeSpec) -> None:
    """One Deployment, one story: starting another one for each sentence would take half a minute each."""
    case = new_case(Executor.LOCAL, runtime=runtime)
    scene = STATE.deployment(case.ref.release_name) / "home"  # within its fence
    story = {"helper.py": b"WORD = 'one'\n", "sub/story.py": STORY.format(scene=scene).encode()}
    try:
        converge(harness, case)
        _a_folder_is_read_until_the_first_deploy(harness, case)
        pids = _pids(harness, case)
        case, one = _deploy(harness, case, story, 1)
        until((scene / "began").exists)
        assert store_of(harness, case).report().pinned == {one}
        later = {
            **story,
            "helper.py": b"WORD = 'two'\n",
            "sub/story.py": story["sub/story.py"] + MORE.encode(),
        }
        case, two = _deploy(harness, case, later, 2)
        # A parse that was under way counts as one of the new version; the one after it has the third task.
        until(lambda: rows(case, f"SELECT 1 FROM dag WHERE bundle_version = '{two}'"), 40)
        until(lambda: rows(case, "SELECT 1 FROM dag_version WHERE dag_id = 'story' OFFSET 1"), 40)
        (scene / "go").touch()
        _ended(harness, case, 1)
        assert (scene / "first").read_text() == "one\n"
        assert (scene / "second").read_text() == "one\n"  # which began after the deploy
        assert not (scene / "third").exists()
        _airflow(case, harness, "dags", "trigger", "story")
        _ended(harness, case, 2)
        assert (scene / "second").read_text() == "one\ntwo\n"
        assert (scene / "third").read_text() == "two\n"
        assert store_of(harness, case).report().pinned == frozenset()
        case = _what_does_not_import_is_told_until_it_is_mended(harness, case, later)
        assert _pids(harness, case) == pids  # no deploy restarted anything
    finally:
        remove(harness, case)


def _a_folder_is_read_until_the_first_deploy(harness: LocalHarness, case: Case) -> None:
    folder = Path(harness.new_driver().details(case.ref)["DAGs folder"])
    (folder / "loose.py").write_text(LOOSE)
    until(lambda: rows(case, "SELECT 1 FROM dag WHERE dag_id = 'loose'"), 40)
    assert rows(case, "SELECT version FROM dag_bundle") == [(None,)]
    (folder / "later.py").write_text(LOOSE.replace("loose", "later"))
    until(lambda: rows(case, "SELECT 1 FROM dag WHERE dag_id = 'later'"), 40)


def _deploy(harness: LocalHarness, case: Case, files: dict[str, bytes], number: int) -> tuple[Case, str]:
    """The case with these files deployed and read by Airflow, and the name of the version."""
    code = received(store_of(harness, case), files, number)
    case = with_code(case, code, number + 1)
    began = time.monotonic()
    converge(harness, case)
    until(lambda: store_of(harness, case).report().version == code.name, 30)
    print(f"version {code.name} read {time.monotonic() - began:.1f} s after it was asked for")
    assert "DAGs folder" not in harness.new_driver().details(case.ref)
    return case, code.name


def _ended(harness: LocalHarness, case: Case, count: int) -> None:
    """So many runs succeeded, and none failed."""
    ended = "SELECT state, count(*) FROM dag_run WHERE dag_id = 'story' AND state IN ('success', 'failed') GROUP BY 1"
    folder = harness.new_driver()._paths.deployment(case.ref.release_name) / "dags"
    until(lambda: rows(case, ended) not in ([], [("success", count - 1)]))
    assert rows(case, ended) == [("success", count)], task_logs(str(folder))


def _what_does_not_import_is_told_until_it_is_mended(harness: LocalHarness, case: Case, files: dict) -> Case:
    case, _ = _deploy(harness, case, {**files, "sub/broken.py": BROKEN.encode()}, 3)
    until(lambda: store_of(harness, case).report().problem_count, 40)
    report = store_of(harness, case).report()
    assert [(p.path, p.line) for p in report.problems] == [
        ("sub/broken.py", "ModuleNotFoundError: No module named 'nowhere'")
    ]
    assert report.dags == 1
    case, _ = _deploy(harness, case, files, 4)
    until(lambda: not store_of(harness, case).report().problem_count, 40)
    stale = "SELECT dag_id FROM dag WHERE NOT is_stale"
    until(lambda: rows(case, stale) == [("story",)], 60)  # those of the folder are gone
    return case


def _pids(harness: LocalHarness, case: Case) -> dict[str, int]:
    prefix = case.ref.release_name + "."
    return {p.name: p.pid for p in harness.supervisor.processes() if p.group.startswith(prefix)}


def _airflow(case: Case, harness: LocalHarness, *arguments: str) -> None:
    folder = harness.new_driver()._paths.deployment(case.ref.release_name)
    spec = json.loads((folder / "specs" / "scheduler-1.json").read_text())
    subprocess.run(
        [spec["argv"][0], "-m", "airflow", *arguments],
        env=spec["env"],
        cwd=spec["cwd"],
        check=True,
        capture_output=True,
    )
