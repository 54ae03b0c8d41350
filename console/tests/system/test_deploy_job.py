"""Deploying on a real installation with a real Airflow. In a real browser: the example by one click, an archive with
its difference, a file that does not import, going back. From a pipeline: from `airdeck init` to a run that succeeded.
And what is too large is refused by the real server."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from console.embedded import programs
from console.tests.browser.chromium import axe_complaints, chromium
from console.tests.system.installation import EMAIL, PASSWORD, Installation, wait_until
from deployments.tests.code.archives import tar_gz

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.timeout(600)]

DAG = b"from airflow.sdk import DAG\n\nwith DAG('mine', schedule=None):\n    pass\n"
READ_MS = 90_000  # seconds on a machine that is free


@pytest.fixture(scope="module")
def it(shared) -> Installation:
    """That of the main job, once that is done with it."""
    with shared.database() as database:
        (people,) = database.execute("SELECT count(*) FROM workspaces_user").fetchone()
    shared.client.cookies.clear()
    shared.sign_in() if people else shared.sign_up()
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
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    assert axe_complaints(page) == []
    page.get_by_label("Description").fill(description)
    page.get_by_role("button", name=re.compile("^Deploy ")).click()


def test_code_is_deployed_and_gone_back_to_in_a_browser(it, release, tmp_path):
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
    with it.database() as database:
        told = database.execute(
            "SELECT count(*) FROM deployments_statuschange JOIN deployments_deployment d ON d.id = deployment_id "
            "WHERE new = 'deploying' AND release_name = %s",
            [release],
        ).fetchone()
    assert told == (0,)  # no deploy restarted anything


def test_from_init_to_a_run_that_succeeded_out_of_a_pipeline(it, release, tmp_path):
    """docs/cli.md, walked with what it says: a token of the Deployment, and the command line."""
    path = f"/deployments/{release}/tokens/new/"
    it.confirm(path)  # a sign-in alone, however fresh, makes no token
    page = it.submit(path, {"name": "pipeline", "role": "editor"})
    token = re.search(r"adk_d_[0-9A-Za-z]{46}", page.text)
    assert token, page.text[-2000:]
    pipeline = {
        **{name: os.environ[name] for name in ("PATH", "HOME")},
        "PYTHONPATH": str(programs.BASE / "cli" / "src"),
        "AIRDECK_HOME": str(tmp_path),
        "AIRDECK_URL": it.url,
        "AIRDECK_TOKEN": token[0],
        "AIRDECK_DEPLOYMENT": release,
    }

    def airdeck(*arguments: str) -> str:
        command = [sys.executable, "-m", "airdeck_cli", *arguments]
        done = subprocess.run(
            command, env=pipeline, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    airdeck("init", "project")
    (tmp_path / "d.yaml").write_text(airdeck("deployment", "inspect"))
    assert "nothing to do" in airdeck("deployment", "apply", "-f", "d.yaml")
    assert "is active." in airdeck("deploy", "project", "--wait")
    assert "There is nothing to do." in airdeck("deploy", "project", "--wait")

    def runs() -> list[str]:
        found = airflow(it, release, "/api/v2/dags/hello/dagRuns")
        return [run["state"] for run in found.get("dag_runs", [])]

    wait_until(lambda: "success" in runs(), 150, lambda: f"{runs()} {it.story(release)}", every=2.0)
    assert airdeck("deployment", "logs", "--component", "scheduler", "-c", "20")
    assert it.status(release) == "Healthy"


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
