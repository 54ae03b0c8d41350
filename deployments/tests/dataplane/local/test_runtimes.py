"""Installing a runtime for real: killed half way it is redone, and a failed one says why and waits.

What is installed here is what the tests of the local data plane use next (`console.tests.parallel`).
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.runtimes.jobs import advance
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor
from deployments.tests.dataplane.local.airflow_local import start_supervisord

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
VERSION, AIRFLOW = "3.3-1", "3.3.2"


@pytest.fixture
def empty(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "state")
    made.create()
    return made


def step(paths: StateDir, supervisor: Supervisor, **environ: str) -> str:
    cache = {"UV_CACHE_DIR": str(paths.runtimes / "cache")}  # and not one that has every package
    spec = runtimes.install_spec(paths, VERSION, AIRFLOW, {**os.environ, **cache, **environ})
    return advance(runtimes.install_job(paths, VERSION), spec, supervisor, paths)


def running(supervisor: Supervisor) -> int:
    return next((p.pid for p in supervisor.processes() if p.name == "run" and p.alive), 0)


def test_a_killed_install_is_redone_and_half_of_one_is_never_used() -> None:
    paths, supervisor = STATE, start_supervisord()
    assert not runtimes.installed(paths, VERSION)
    message: list[str] = []
    deadline = time.monotonic() + 200
    while not any("packages" in sentence for sentence in message):
        assert time.monotonic() < deadline
        message.append(step(paths, supervisor))
        time.sleep(0.1)
    half = list(paths.runtime(VERSION).glob("env-*"))
    for process in psutil.Process(pid := running(supervisor)).children(recursive=True):
        process.kill()
    os.kill(pid, signal.SIGKILL)
    assert not runtimes.installed(paths, VERSION)
    while not runtimes.installed(paths, VERSION):
        assert time.monotonic() < deadline
        try:
            message.append(step(paths, supervisor))
        except DataPlaneError as error:
            message.append(str(error))
        time.sleep(0.1)
    assert not any(folder.exists() for folder in half)
    version = subprocess.run(
        [runtimes.python(paths, VERSION), "-m", "airflow", "version"],
        env={"PATH": os.defpath, "AIRFLOW_HOME": str(paths.root / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout.strip().endswith(AIRFLOW)


def test_an_install_that_cannot_reach_the_index_says_so_and_is_tried_again(empty) -> None:
    paths, supervisor = empty, start_supervisord(empty)
    cut = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    deadline = time.monotonic() + 100
    sentence = ""
    while not sentence:
        assert time.monotonic() < deadline
        try:
            step(paths, supervisor, **cut)
        except DataPlaneError as error:
            sentence = str(error)
        time.sleep(0.2)
    assert sentence.startswith("Installing Airflow 3.3.2 failed at ")
    assert "the package index cannot be reached" in sentence
    assert "The next try is in" in sentence
    assert not runtimes.installed(paths, VERSION)
