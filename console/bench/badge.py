"""Row 2: from a committed status to the changed badge in a real browser."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playwright.sync_api import BrowserContext, Page

from console.bench import airflow, rows
from console.bench.result import Figure, Result, each, percentile
from console.tests.browser.chromium import chromium
from console.tests.system.installation import Installation
from deployments.domain.states import Status
from deployments.models import Deployment

CHANGES = 20
ROWS = 50
REST_SECONDS = 0.5
MUST_P50, MUST_P95 = 60.0, 150.0  # ms

METHOD = (
    f"The Deployments list with {ROWS} rows is open in Chromium, its stream connected. {CHANGES} times, every "
    f"{REST_SECONDS} s, another process commits a change of one row's status through `deployments.status`, as "
    "the worker does. From the moment after COMMIT, before the badge is rendered and published, until a "
    "MutationObserver sees the new word on that badge. One machine, one clock."
)

# By id at each change: when the page catches up with what it missed, htmx puts new rows in place of the old.
WATCH = """(id) => {
  window.benchSeen = [];
  new MutationObserver(() => {
    const now = performance.timeOrigin + performance.now();
    window.benchSeen.push([document.getElementById(id).querySelector(".badge").textContent.trim(), now]);
  }).observe(document.getElementById("rows"), {childList: true, subtree: true, characterData: true});
}"""
SKEW = "() => performance.timeOrigin + performance.now() - Date.now()"


def measure(at: Installation) -> Result:
    """Rows are written in a thread of their own: the browser's driver keeps an event loop in this one."""
    airflow.ensure_none(at)
    with ThreadPoolExecutor(1) as thread:
        workspace, cookies = thread.submit(rows.make_workspace, 1).result()
        made = thread.submit(rows.make_deployments, workspace, ROWS).result()
        try:
            with chromium() as browser, browser.new_context() as context:
                page = _open(context, at.url, workspace.url, cookies[0])
                taken = [_one(page, made[0], number, thread) for number in range(CHANGES)]
                skew = page.evaluate(SKEW)
        finally:
            thread.submit(rows.remove_deployments).result()
    assert abs(skew) < 5, f"the browser's clocks differ by {skew} ms"
    p50, p95 = percentile(taken, 0.5), percentile(taken, 0.95)
    figure = Figure(
        f"Status committed to badge changed in the browser, {CHANGES} changes",
        f"p50 at most {MUST_P50:.0f} ms, p95 at most {MUST_P95:.0f} ms",
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms",
        p50 <= MUST_P50 and p95 <= MUST_P95,
    )
    return Result((figure,), METHOD, (f"All of them: {each(sorted(taken), 'ms', 0)}.",))


def _open(context: BrowserContext, url: str, path: str, cookie: str) -> Page:
    name, _, value = cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": url}])
    page = context.new_page()
    page.goto(url + path)
    page.locator("[data-live][data-state=open]").wait_for(timeout=15_000)
    return page


def _one(page: Page, deployment: Deployment, number: int, thread: ThreadPoolExecutor) -> float:
    """Milliseconds of one change."""
    word = Status.HEALTHY if number % 2 else Status.UNHEALTHY
    if number == 0:
        page.evaluate(WATCH, f"badge-{deployment.pk}")
        page.wait_for_timeout(1000)
    page.evaluate("() => { window.benchSeen = []; }")
    committed = thread.submit(rows.change, deployment, word, f"Change {number}.").result()
    deadline = time.monotonic() + 10
    while not (seen := _seen(page, word.label)):
        assert time.monotonic() < deadline, f"change {number} never reached the browser"
        page.wait_for_timeout(20)
    page.wait_for_timeout(1000 * REST_SECONDS)
    return seen[0] - 1000 * committed


def _seen(page: Page, label: str) -> list[float]:
    found: list[Any] = page.evaluate("() => window.benchSeen")
    return [float(at) for text, at in found if text == label]
