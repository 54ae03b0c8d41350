"""Deploying in a real browser, on a real installation with a real Airflow: the example by one click, an archive with
its difference, a file that does not import, going back; and what is too large is refused by the real server."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium
from console.tests.system.installation import EMAIL, PASSWORD, Installation, wait_until
from deployments.tests.code.archives import tar_gz

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.timeout(600)]

DAG = b"from airflow.sdk import DAG\n\nwith DAG('mine', schedule=None):\n    pass\n"
READ_MS = 90_000  # seconds on a machine that is free


@pytest.fixture(scope="module")
def it(shared) -> Iterator[Installation]:
    """That of the main job, once that is done with it; nothing that other files need runs in it."""
    with shared.database() as database:
        (people,) = database.execute("SELECT count(*) FROM workspaces_user").fetchone()
    shared.client.cookies.clear()
    shared.sign_in() if people else shared.sign_up()
    yield shared
    shared.close()


def dags(it: Installation, release: str) -> set[str]:
    """What Airflow itself lists, over its API."""
    host = {"Host": f"{release}.localhost:{it.port}"}
    token = it.airflow_token(release)
    with httpx.Client(base_url=it.url, headers=host, timeout=30) as airflow:
        found = airflow.get("/api/v2/dags", headers={"Authorization": f"Bearer {token}"}).json()
    return {dag["dag_id"] for dag in found["dags"]}


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


def test_code_is_deployed_and_gone_back_to_in_a_browser(it, tmp_path):
    release = it.create_deployment("Analytics", executor="local")
    it.wait_status(release, "Healthy", 240)
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
