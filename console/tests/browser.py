"""A real Chromium for tests, and the accessibility rules of axe-core over what it shows.

Not pytest-playwright's session fixtures: while they live, the main thread looks asynchronous to Django and
every later database test fails. Here the browser lives for one `with`; prepare rows before it.
"""

import contextlib
import shutil
from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "no chromium on PATH; console/tests/chromium.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def cookies_of(client: Client, url: str) -> list[dict[str, str]]:
    """The cookies of a signed-in test client, for a browser context."""
    return [{"name": name, "value": morsel.value, "url": url} for name, morsel in client.cookies.items()]


def axe_complaints(page: Page) -> list[str]:
    """What axe-core holds against the page as it stands: the rule, and the element."""
    found = Axe().run(page, options={**RULES, "resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


def overflow(page: Page) -> int:
    """By how many pixels the page scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
