"""Deploying on a real installation with a real Airflow. In a real browser: the example by one click, an archive with
its difference, a file that does not import, going back. From a pipeline: from `airdeck init` to a run that succeeded.
And what is too large is refused by the real server."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect

from console.embedded import programs
from console.tests.browser.chromium import axe_complaints, chromium
from console.tests.system.installation import EMAIL, PASSWORD, Installation, wait_until
from deployments.tests.archives import tar_gz

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.timeout(600)]

DAG = b"from airflow.sdk import DAG\n\nwith DAG('mine', schedule=None):\n    pass\n"
READ_MS = 90_000  # seconds on a machine that is free


@pytest.fixture(scope="module")
def it(shared) -> Installation:
    """That of the main job, once that is done with it."""
    shared.come_back()
    return shared


@pytest.fixture(scope="module")
def release(it) -> str:
    """A Healthy Deployment."""
    made = it.create_deployment("Analytics", executor="local")
    it.wait_status(made, "Healthy", 240)
    return made


def dags(it: Installation, release: str) -> set[str]:
    """What Airflow itself lists, over its API."""
    return {dag["dag_id"] for dag in airflow(it, release, "/api/v2/dags")["dags"]}


def lists(it: Installation, release: str) -> set[str]:
    """As `dags`; nothing while the console or Airflow comes back."""
    with suppress(httpx.HTTPError, KeyError, ValueError, AssertionError):
        return dags(it, release)
    return set()


def airflow(it: Installation, release: str, path: str) -> dict[str, Any]:
    """What Airflow answers over its API."""
    host = {"Host": f"{release}.localhost:{it.port}"}
    token = it.airflow_token(release)
    with httpx.Client(base_url=it.url, headers=host, timeout=30) as client:
        found: dict[str, Any] = client.get(path, headers={"Authorization": f"Bearer {token}"}).json()
    return found


def upload(page: Page, folder: Path, files: dict[str, bytes], description: str) -> None:
    """From the Deploys page to the page of the new deploy."""
    archive = folder / "code.tar.gz"
    archive.write_bytes(tar_gz(files))
    page.get_by_role("link", name="Deploy code").click()
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    assert axe_complaints(page) == []
    page.get_by_label("Description").fill(description)
    page.get_by_role("button", name=re.compile("^Deploy ")).click()


def processes(it: Installation, release: str) -> dict[str, int]:
    """The ids of an Airflow's processes, by the names of their groups."""
    return {
        each.group: each.pid for each in it.supervisor.processes() if each.group.startswith(f"{release}.")
    }


def test_code_is_deployed_and_gone_back_to_in_a_browser(it, release, tmp_path):
    began_with = processes(it, release)
    assert len(began_with) >= 4
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(f"{it.url}/accounts/login/")
        page.get_by_label("Email").fill(EMAIL)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Analytics", exact=True).click()
        page.get_by_role("link", name="Deploys", exact=True).click()
        page.get_by_role("button", name="Deploy an example DAG").click()
        began = time.monotonic()
        page.evaluate("window.neverReloaded = true")
        expect(page.get_by_text("1 DAG. Every file imports.")).to_be_visible(timeout=READ_MS)
        print(f"the example was read {time.monotonic() - began:.1f} s after the click")
        assert page.evaluate("window.neverReloaded")
        assert axe_complaints(page) == []
        assert dags(it, release) == {"hello_airdeck"}

        page.get_by_role("link", name="Deploys of Analytics").click()
        upload(page, tmp_path, {"mine.py": DAG, "bad.py": b"from nowhere import x\n" + DAG}, "Mine")
        expect(
            page.get_by_role("heading", name=re.compile("1 of 2 Python files does not import"))
        ).to_be_visible(timeout=READ_MS)
        expect(page.get_by_text("ModuleNotFoundError: No module named 'nowhere'")).to_be_visible()
        page.goto(f"{it.url}/deployments/{release}/")
        expect(page.get_by_text("1 of 2 Python files does not import.")).to_be_visible()

        page.get_by_role("link", name="Deploys", exact=True).click()
        expect(page.get_by_role("row").nth(1)).to_contain_text("Mine")
        assert axe_complaints(page) == []
        page.get_by_role("link", name="Deploy 1", exact=True).click()
        page.get_by_role("link", name=re.compile("Roll back")).click()
        page.get_by_role("button", name="Roll back").click()
        expect(page.get_by_text("1 DAG. Every file imports.")).to_be_visible(timeout=READ_MS)
        wait_until(lambda: dags(it, release) == {"hello_airdeck"}, 60, every=1.0)
    assert it.status(release) == "Healthy"
    assert processes(it, release) == began_with  # no deploy restarted anything


FILE = """
deployment:
  configuration: {name: Pipeline, description: "Made by a file: whole"}
  worker_queues:
    - {name: default, max_worker_count: 2, worker_concurrency: 2}
    - {name: heavy, min_worker_count: 0, max_worker_count: 1}
  environment_variables:
    - {key: REGION, value: "eu=west"}
    - {key: API_KEY, value: "${API_KEY}", is_secret: true}
"""


class Pipeline:
    """The command line as a job of CI has it: a token of the Workspace in the environment, no terminal."""

    def __init__(self, it: Installation, home: Path, token: str) -> None:
        self.home = home
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            "PYTHONPATH": str(programs.BASE / "cli" / "src"),
            "AIRDECK_HOME": str(home),
            "AIRDECK_URL": it.url,
            "AIRDECK_TOKEN": token,
            "AIRDECK_DEPLOYMENT": "Pipeline",
            "API_KEY": "hush-hush-4711",
        }

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "airdeck_cli", *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout


def test_the_whole_life_of_a_deployment_out_of_a_pipeline(it, tmp_path):
    """docs/cli.md, with what it says: by a file, a deploy whose run succeeds, variables, queues, logs, sleep, waking,
    going back, the end."""
    path = f"{it.workspace()}tokens/new/"
    it.confirm(path)  # a sign-in alone, however fresh, makes no token
    page = it.submit(path, {"name": "pipeline", "role": "editor"})
    token = re.search(r"adk_w_[0-9A-Za-z]{46}", page.text)
    assert token, page.text[-2000:]
    airdeck = Pipeline(it, tmp_path, token[0])

    (tmp_path / "d.yaml").write_text(FILE)
    airdeck("deployment", "apply", "-f", "d.yaml", "--env", "--yes", "--wait")
    (tmp_path / "same.yaml").write_text(airdeck("deployment", "inspect"))
    assert "nothing to do" in airdeck("deployment", "apply", "-f", "same.yaml")
    release = airdeck("deployment", "inspect", "-k", "metadata.release_name").strip()

    airdeck("init", "project")
    assert "Deploy 1 is active." in airdeck("deploy", "project", "--wait")
    assert "There is nothing to do." in airdeck("deploy", "project", "--wait")

    def runs() -> list[str]:
        found = airflow(it, release, "/api/v2/dags/hello/dagRuns")
        return [run["state"] for run in found.get("dag_runs", [])]

    wait_until(lambda: "success" in runs(), 150, lambda: f"{runs()} {it.story(release)}", every=2.0)
    (tmp_path / "project" / "dags" / "mine.py").write_bytes(DAG)
    assert "Deploy 2 is active." in airdeck("deploy", "project", "--wait", "-m", "Second")
    wait_until(lambda: dags(it, release) == {"hello", "mine"}, 90, every=1.0)

    # Three changes are one restart, which the last one waits for.
    airdeck("deployment", "variable", "set", "URL=postgres://u:p@h/d?a=b")
    airdeck("deployment", "wq", "update", "-n", "heavy", "--concurrency", "3")
    airdeck("deployment", "wq", "create", "-n", "light", "--min-count", "0", "--max-count", "1", "--wait")
    listed = airdeck("deployment", "variable", "list")
    assert re.search(r"^URL +postgres://u:p@h/d\?a=b", listed, re.MULTILINE)
    assert "hush" not in listed
    assert "light" in airdeck("deployment", "wq", "list")
    assert airdeck("deployment", "logs", "--component", "scheduler", "-c", "20")

    airdeck("deployment", "hibernate", "--wait")
    assert it.status(release) == "Hibernating"
    airdeck("deployment", "wake-up", "--wait")
    assert "Deploy 3 is active." in airdeck("deploys", "rollback", "1", "--yes", "--wait")
    wait_until(lambda: dags(it, release) == {"hello"}, 90, every=1.0)
    assert it.status(release) == "Healthy"
    assert "is deleted." in airdeck("deployment", "delete", "--yes", "--wait")
    assert "Pipeline" not in airdeck("deployment", "list")
    assert "Deleted" in it.story(release)


def test_a_deploy_arrives_whatever_process_of_the_console_dies_on_its_way(it, release):
    """All of them at once, while it is on its way; the code of before runs until the new one does."""
    before = dags(it, release)
    files = {"survivor.py": DAG.replace(b"mine", b"survivor")}
    files |= {
        f"data/{n}.py": b"X = 1\n" * 200 for n in range(600)
    }  # compiled one by one: there is time to die in
    path = f"/deployments/{release}/deploys/new/"
    action, fields = it.filled(path, {})
    fields.pop("archive", None)
    archive = {"archive": ("code.tar.gz", tar_gz(files))}
    review = it.client.post(action, data=fields, files=archive, headers={"Origin": it.url}, timeout=120)
    action, fields = it.filled(review.headers["location"], {})
    assert it.client.post(action, data=fields, headers={"Origin": it.url}).status_code == 303
    killed = {program: it.pid(program) for program in ("worker", "observer", "web", "redis", "postgres")}
    for pid in killed.values():
        for process in (*psutil.Process(pid).children(recursive=True), psutil.Process(pid)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    wait_until(lambda: all(it.pid(each) not in {pid, 0} for each, pid in killed.items()), 60, it.last_words)
    it.wait_answer(60)
    wait_until(lambda: lists(it, release) - before == {"survivor"}, 180, lambda: it.story(release), every=1.0)
    it.wait_status(release, "Healthy", 120)
    with it.database() as database:
        (states,) = database.execute(
            "SELECT array_agg(y.status ORDER BY y.number DESC) FROM deployments_deploy y "
            "JOIN deployments_deployment d ON d.id = y.deployment_id WHERE d.release_name = %s",
            [release],
        ).fetchone()
    assert states[0] == "deployed", states


def test_a_body_that_is_too_large_is_refused_by_the_server_before_it_is_sent(it):
    """A stranger announces it, sends nothing of it, and is answered."""
    for mib, status in ((200, b"413"), (50, b"401")):
        with socket.create_connection(("127.0.0.1", it.port), timeout=10) as stranger:
            stranger.sendall(
                b"POST /deployments/calm-orbit-0012/deploys/new/ HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                b"Content-Length: %d\r\n\r\n" % (mib * 1024 * 1024)
            )
            assert stranger.recv(4096).split()[1] == status
