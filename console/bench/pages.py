"""What pages cost a browser: requests and bytes cold, and how soon something is painted, cold and warm."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Browser

from console.bench import rows
from console.bench.result import Figure, Result, median
from console.tests.browser.chromium import chromium
from console.tests.system.installation import Installation
from deployments.models import Deployment, EnvironmentVariable

VARIABLES = 201
TIMES = 5
QUIET = timedelta(minutes=1)
MUST_REQUESTS = 8
MUST_BYTES = {"list": 35, "detail": 40, "variables": 60}  # kB
MUST_PAINT_COLD, MUST_PAINT_WARM = 300.0, 150.0  # ms

METHOD = (
    "Chromium on the same machine; nothing changed within the last minute. Cold: a new browser context, nothing "
    "cached; warm: the same page again. Bytes are those that came over the wire, headers included, as Chromium counts "
    "them; the stream is one request. First contentful paint as Chromium reports it, median of "
    f"{TIMES}, for the list with 2 Deployments. The page of variables shows the first of {VARIABLES}."
)
PAINT = """() => new Promise((resolve) => {
  const found = performance.getEntriesByName("first-contentful-paint")[0];
  if (found) resolve(found.startTime);
  else new PerformanceObserver((list, watcher) => {
    const entry = list.getEntriesByName("first-contentful-paint")[0];
    if (entry) { watcher.disconnect(); resolve(entry.startTime); }
  }).observe({type: "paint", buffered: true});
})"""


def measure(at: Installation) -> Result:
    """Rows are written in a thread of their own: the browser's driver keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        cookie, addresses = thread.submit(_make_rows).result()
        try:
            with chromium() as browser:
                weights = {name: _weigh(browser, at, cookie, path) for name, path in addresses.items()}
                cold, warm = _paints(browser, at, cookie, addresses["list"])
        finally:
            thread.submit(rows.remove_deployments).result()
    figures = [
        Figure(
            f"Bytes of the page {name}, cold",
            f"at most {most} kB",
            f"{weights[name][1] / 1000:.1f} kB",
            weights[name][1] <= most * 1000,
        )
        for name, most in MUST_BYTES.items()
    ]
    requests = max(count for count, _ in weights.values())
    figures += [
        Figure(
            "Requests of a page, cold", f"at most {MUST_REQUESTS}", str(requests), requests <= MUST_REQUESTS
        ),
        Figure(
            "First contentful paint of the list, cold / warm",
            f"at most {MUST_PAINT_COLD:.0f} / {MUST_PAINT_WARM:.0f} ms",
            f"{median(cold):.0f} / {median(warm):.0f} ms",
            median(cold) <= MUST_PAINT_COLD and median(warm) <= MUST_PAINT_WARM,
        ),
    ]
    return Result(tuple(figures), METHOD)


def _make_rows() -> tuple[dict[str, str], dict[str, str]]:
    workspace, cookies = rows.make_workspace(1)
    made: list[Deployment] = rows.make_deployments(workspace, 2)
    # What changed within the last seconds is asked for again by a page that opens now.
    Deployment.objects.filter(workspace=workspace).update(changed_at=timezone.now() - QUIET)
    EnvironmentVariable.objects.bulk_create(
        EnvironmentVariable(deployment=made[0], key=f"KEY_{number:03}", value=f"value {number}")
        for number in range(VARIABLES)
    )
    name, _, value = cookies[0].partition("=")
    addresses = {"list": workspace.url, "detail": made[0].url, "variables": f"{made[0].url}variables/"}
    return {"name": name, "value": value}, addresses


def _weigh(browser: Browser, at: Installation, cookie: dict[str, str], path: str) -> tuple[int, int]:
    """Requests and bytes of a first visit."""
    received: dict[str, float] = {}

    def finished(event: dict[str, Any]) -> None:
        received[event["requestId"]] = event["encodedDataLength"]

    asked: list[str] = []
    with browser.new_context() as context:
        context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": at.url}])
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", finished)
        network.on("Network.requestWillBeSent", lambda event: asked.append(event["requestId"]))
        page.goto(at.url + path)
        page.wait_for_timeout(1500)  # the stream is asked for once the page is there
    return len(set(asked)), round(sum(received.values()))


def _paints(
    browser: Browser, at: Installation, cookie: dict[str, str], path: str
) -> tuple[list[float], list[float]]:
    """Milliseconds to the first contentful paint: of a first visit, and of the next one."""
    cold, warm = [], []
    for _ in range(TIMES):
        with browser.new_context() as context:
            context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": at.url}])
            page = context.new_page()
            page.goto(at.url + path)
            cold.append(page.evaluate(PAINT))
            page.goto(at.url + path)
            warm.append(page.evaluate(PAINT))
    return cold, warm
