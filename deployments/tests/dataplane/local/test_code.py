"""Deployed code on a real Airflow of this machine: runs keep their version, nothing restarts, what does not import is
told."""

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from console.tests.services import STATE
from deployments.dataplane.kubernetes.manifests import configuration
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.postgres import code_schema
from deployments.domain.code_project import plugins_digest
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.dataplane.code_contract import ONE, manifest_of, received, store_of, with_code
from deployments.tests.dataplane.contract import NEWER, OLDER, Case, converge, new_case, remove
from deployments.tests.dataplane.local.airflow_local import LocalHarness, rows, task_logs, until
from deployments.tests.dataplane.local.test_image_script import look_at
from deployments.tests.dataplane.served import ADMIN, PASSWORD, TOKEN, Owner, code_server
from deployments.tests.dataplane.wheels import Index

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
PACKED = """
import os
from datetime import datetime
from airflow.sdk import DAG, task
from include.words import WORD
from tiny import VERSION

with DAG("packed", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    @task
    def write():
        from mark import MARK
        with open(os.path.join("{scene}", "packed"), "w") as out:
            out.write(f"{{WORD}} {{VERSION}} {{MARK}}")
    write()
"""
BROKEN = "from nowhere import nothing\nfrom airflow.sdk import DAG\n"


@pytest.fixture(scope="module")
def harness() -> LocalHarness:
    return LocalHarness()


@pytest.mark.parametrize("runtime", [NEWER, OLDER], ids=["newer", "older"])
def test_a_run_finishes_on_the_code_with_which_it_began(harness, runtime: RuntimeSpec, tmp_path) -> None:
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
        _a_code_server_serves_this_airflow_too(harness, case, tmp_path)
        look_at(runtimes.python(STATE, runtime.version), runtime.airflow_version, tmp_path)
        if runtime is NEWER:
            _a_project_runs_with_its_packages(harness, case, scene)
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


def _a_project_runs_with_its_packages(harness: LocalHarness, case: Case, scene: Path) -> None:
    """Everything restarts once, warm, in an environment of hard links; the next deploy of code restarts nothing."""
    index = Index(scene / "simple")
    index.wheel("tiny", "1.0")
    project = {
        "dags/packed.py": PACKED.format(scene=scene).encode(),
        "include/words.py": b"WORD = 'word'\n",
        "plugins/mark.py": b"MARK = 'mark'\n",
        "requirements.txt": b"tiny\n",
    }
    store = harness.new_driver().packages(case.ref)
    store._environ = {**os.environ, "UV_DEFAULT_INDEX": index.url}
    began = time.monotonic()
    lock = until(lambda: store.resolve(case.release.runtime, ["tiny"]).lock, 60)
    until(lambda: not store.install(lock), 120)
    print(f"packages ready {time.monotonic() - began:.1f} s after they were asked for")
    pids = _pids(harness, case)
    case = replace(case, release=replace(case.release, packages=lock.digest))
    case = _deploy_project(harness, case, project, 5)
    assert not set(_pids(harness, case).values()) & set(pids.values())
    folder = harness.new_driver()._paths.deployment(case.ref.release_name)
    until((scene / "packed").exists, 60)
    assert (scene / "packed").read_text() == "word 1.0 mark", task_logs(str(folder / "dags"))
    logs = "".join(file.read_text() for file in (folder / "logs").glob("*.log"))
    assert logs.count("started cold") == 0
    pids = _pids(harness, case)
    _deploy_project(harness, case, {**project, "dags/more.py": LOOSE.encode()}, 6)
    assert _pids(harness, case) == pids


def _deploy_project(harness: LocalHarness, case: Case, files: dict[str, bytes], number: int) -> Case:
    code = received(store_of(harness, case), files, number)
    manifest = manifest_of(files)
    case = with_code(case, replace(code, plugins=plugins_digest(manifest)), number + 1)
    converge(harness, case)
    until(lambda: store_of(harness, case).report().version == code.name, 40)
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


def _a_code_server_serves_this_airflow_too(harness: LocalHarness, case: Case, tmp_path: Path) -> None:
    """What runs in clusters, without a cluster: the code server on this runtime's Python and driver of Postgres, and in
    this Airflow the bundle that asks it and the logs that it keeps."""
    folder = harness.new_driver()._paths.deployment(case.ref.release_name)
    python = json.loads((folder / "specs" / "scheduler-1.json").read_text())["argv"][0]
    config = tmp_path / "home" / "config"
    config.mkdir(parents=True)
    for name, text in configuration.MODULES.items():
        (config / name).write_text(text)
    own = Owner(case.ref.release_name, case.ref.deployment_id)
    code_schema.ensure(ADMIN, own.release_name, own.deployment_id, password=PASSWORD)
    try:
        with code_server(own.url, tmp_path / "cache", python=python) as server:
            code = received(own.store, ONE, 7)
            own.store.activate(code)
            said = _inside_airflow(python, server.address, tmp_path, code.name)
    finally:
        code_schema.drop(ADMIN, own.release_name, own.deployment_id)
    versions = tmp_path / "code" / "versions"
    assert said == {
        "pinned": str(versions / code.name),
        "versioned": [True, True],
        "parsed": str(tmp_path / "code" / "parsed"),
        "version": code.name,
        "logs": [["Kept by the code server: attempt=1.log"], ["hello\n"]],
        "sent_while_written": True,
    }
    assert (versions / code.name / "lib" / "help.py").read_bytes() == ONE["lib/help.py"]


INSIDE = """
import json, os, sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.sdk.log import load_remote_log_handler, logging_processors
pinned = DagBundlesManager().get_bundle("dags-folder", sys.argv[1])
pinned.initialize()
newest = DagBundlesManager().get_bundle("dags-folder")
newest.initialize()
before = newest.supports_versioning
newest.refresh()
found = newest.get_current_version()
place = os.path.join(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"], "dag_id=a", "attempt=1.log")
os.makedirs(os.path.dirname(place))
with open(place, "w") as file:
    file.write("hello\\n")
remote = load_remote_log_handler()
remote.upload("dag_id=a/attempt=1.log", None)
print("SAID " + json.dumps({
    "pinned": str(pinned.path),
    "versioned": [before, newest.supports_versioning],
    "parsed": str(newest.path),
    "version": getattr(found, "version", found),
    "logs": remote.read("dag_id=a/attempt=1.log", None),
    "sent_while_written": remote.processors[0] in logging_processors(json_output=True),
}))
"""


def _inside_airflow(python: str, server: str, tmp_path: Path, version: str) -> dict:
    kwargs = {"server": server, "code": str(tmp_path / "code"), "folder": str(tmp_path / "image")}
    bundle = {"name": "dags-folder", "classpath": "airdeck_served_bundle.ServedBundle", "kwargs": kwargs}
    environment = {
        "PATH": os.environ["PATH"],
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "airdeck_logging.LOGGING_CONFIG",
        "AIRDECK_CODE_SERVER": server,
        "AIRDECK_CODE_TOKEN": TOKEN,
    }
    done = subprocess.run(
        [python, "-c", INSIDE, version],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("SAID ")), "")
    assert line, done.stdout + done.stderr
    return json.loads(line.removeprefix("SAID "))
