"""Signing in to a real Airflow 3.1. This machine offers no such runtime, clusters do, so nothing else in the tests
installs it. `AIRFLOW_31=1` does: it asks the package index, and takes some minutes and a GiB of disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

from console.tests.services import STATE
from deployments.dataplane.local.runtimes import install, lock_files
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.dataplane import sign_in_story
from deployments.tests.dataplane.contract import converge, new_case, remove
from deployments.tests.dataplane.local.airflow_local import LocalHarness, assert_runs_a_dag, door

OLDEST = RuntimeSpec("3.1-1", "3.1.8")
DAYS_LATER = "2026-03-20"  # see relock.sh
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.environ.get("AIRFLOW_31") != "1", reason="AIRFLOW_31=1 would install Airflow 3.1"),
]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The runtime, from a lock that is made now and in no one else's way."""
    script = shutil.copy(lock_files.LOCKS / "relock.sh", tmp_path)
    path = f"{Path(find_uv_bin()).parent}:{os.environ['PATH']}"
    command = ["sh", str(script), OLDEST.version, OLDEST.airflow_version, DAYS_LATER]
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})
    STATE.runtime(OLDEST.version).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(lock_files, "LOCKS", tmp_path)
    lock_files.locked_versions.cache_clear()
    try:
        assert install.main(str(STATE.root), OLDEST.version, OLDEST.airflow_version) == 0
        yield
    finally:
        lock_files.locked_versions.cache_clear()


def test_three_people_come_in_to_3_1_as_themselves_and_nobody_else_does(installed: None) -> None:
    harness = LocalHarness()
    case = new_case(Executor.LOCAL, runtime=OLDEST)
    try:
        converge(harness, case)
        sign_in_story.story(harness, case, *door(case))
        assert_runs_a_dag(harness, case)
    finally:
        remove(harness, case)
