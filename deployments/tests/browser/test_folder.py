"""Choosing a folder in place of an archive, in a real browser: what is packed, what stays at home, what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from deployments.models import CodeUpload
from deployments.tests.archives import DAG
from deployments.tests.browser.test_packages import in_thread
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

IGNORE = "# data\n*.csv\n!keep.csv\n\\!odd\n/build/\n"  # which is no folder of the root
IN_DAGS = b"/build/\ndocs/**/draft-[0-9]?.md\n"
PROJECT = {
    "README.md": b"not code\n",
    "tests/test_one.py": b"",
    "requirements.txt": b"# nothing yet\n",
    "include/words.py": b"WORD = 'x'\n" * 400,
    "dags/.airdeckignore": IN_DAGS,
    "dags/one.py": DAG,
    "dags/ünï code.py": b"X = 1\n",
    "dags/empty.py": b"",
    "dags/big.csv": b"1,2\n" * 4000,
    "dags/keep.csv": b"1\n",
    "dags/build/gone.py": b"",
    "dags/docs/a/b/draft-1x.md": b"",
    "dags/docs/draft-12.md": b"",
    "dags/docs/draft-x.md": b"",
    "dags/!odd": b"",
    "dags/__pycache__/one.cpython-313.pyc": b"x",
    "dags/.venv/bin/python": b"x",
    "dags/.env.prod": b"SECRET=1",
    ".git/config": b"x",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def by_the_command_line(folder: Path) -> list[str]:
    """What `airdeck deploy` would pack of this folder."""
    code = (
        "import json, sys; from pathlib import Path; from airdeck_cli.packing import pack; "
        "print(json.dumps(sorted(pack(Path(sys.argv[1]), follow_links=False).files)))"
    )
    environment = {"PYTHONPATH": str(settings.BASE_DIR / "cli" / "src"), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, folder], env=environment, check=True, capture_output=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def chosen(page: Page, folder: Path, url: str) -> str:
    page.goto(url)
    page.get_by_label("Or a folder").set_input_files(folder)
    words = page.locator("[data-folder-words]")
    expect(words).to_contain_text(".")
    expect(page.get_by_role("button", name="Review changes")).not_to_have_attribute("aria-disabled", "true")
    return words.inner_text()


def test_a_folder_is_packed_as_the_command_line_packs_it(live_server, as_, bob, deployment, driver, tmp_path):
    settle(deployment)
    project = write(tmp_path / "my project", {**PROJECT, ".airdeckignore": IGNORE.encode()})
    alone = write(tmp_path / "dags alone", {"dags/one.py": DAG, "dags/sub/two.py": b"", "other.txt": b""})
    loose = write(tmp_path / "loose", {"one.py": DAG, "a\nb.py": b""})
    nothing = write(tmp_path / "nothing", {".env": b"x"})
    client = as_(bob)
    url = live_server.url + reverse("deployments:deploy_new", args=[deployment.release_name])
    cookies = cookies_of(client, live_server.url)
    found: list[list[str]] = []

    def last_upload() -> None:
        upload = CodeUpload.objects.select_related("manifest").order_by("-created_at")[0]
        found.append([file.path for file in upload.manifest.opened().files])

    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
        context.add_cookies(cookies)
        context.route("**/stream/**", lambda route: route.abort())
        page = context.new_page()
        words = chosen(page, project, url)
        assert words == "my project: 9 files packed, 11 left out."
        assert overflow(page) == 0
        assert axe_complaints(page) == []
        page.get_by_role("button", name="Review changes").click()
        expect(page.get_by_role("heading", name="Deploy my project.zip")).to_be_visible()
        in_thread(last_upload)
        assert found[-1] == by_the_command_line(project)
        chosen(page, alone, url)
        page.get_by_role("button", name="Review changes").click()
        expect(page.get_by_role("heading", name="Deploy dags alone.zip")).to_be_visible()
        in_thread(last_upload)
        assert found[-1] == ["one.py", "sub/two.py"]
        chosen(page, loose, url)  # names are judged by the server, in its words
        page.get_by_role("button", name="Review changes").click()
        expect(page.locator("#errors")).to_contain_text("control character")
        assert "no file of code" in chosen(page, nothing, url)
        page.get_by_role("button", name="Review changes").click()
        expect(page.locator("#errors")).to_contain_text("Choose a .zip or .tar.gz file.")
