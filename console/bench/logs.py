"""The log page with 50,000 lines in a real browser: how soon the first lines stand there, and whether it stutters."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from console.bench import airflow, rows
from console.bench.result import Figure, Result, each, percentile
from console.tests.browser.chromium import chromium
from console.tests.system.installation import Installation

LINES = 50_000
LOADS = 10
BURST = 5_000  # lines written at once while the page follows
BURSTS = 10
MUST_FIRST, MUST_FRAME, MUST_LINES = 500.0, 200.0, 5_000

METHOD = (
    f"A scheduler's log of {LINES:,} lines of about 130 bytes lies in a Deployment's folder. Chromium opens its log "
    f"page {LOADS} times (once more before, unmeasured): from the start of the navigation to the first frame after a "
    f"line of the log is in the document. Then, while the page follows, {BURSTS} times {BURST:,} more are written, "
    "one burst a second; the page is scrolled up, left paused for a burst, and resumed. The longest time between two "
    "frames (requestAnimationFrame) during all of that, and the most lines that the document held."
)

# Runs before the page: the moment of the first frame with a line, and the gaps between frames.
WATCH = """() => {
  window.benchFirst = 0;
  const look = new MutationObserver(() => {
    if (!document.querySelector(".logline")) return;
    look.disconnect();
    requestAnimationFrame(() => { window.benchFirst = performance.now(); });
  });
  look.observe(document, {childList: true, subtree: true});
  window.benchGap = 0;
  window.benchMost = 0;
  let last = 0;
  const frame = (now) => {
    if (last) window.benchGap = Math.max(window.benchGap, now - last);
    last = now;
    window.benchMost = Math.max(window.benchMost, document.querySelector("[data-log-lines]")?.childElementCount ?? 0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
LAST = "(text) => document.querySelector('[data-log-lines]').lastElementChild?.textContent.includes(text)"


def measure(at: Installation) -> Result:
    """Rows are written in a thread of their own: the browser's driver keeps an event loop in this one."""
    airflow.ensure_none(at)
    with ThreadPoolExecutor(1) as thread:
        workspace, cookies = thread.submit(rows.make_workspace, 1).result()
        [made] = thread.submit(rows.make_deployments, workspace, 1).result()
        folder = at.state.deployment(made.release_name)
        log = folder / "logs" / "scheduler.log"
        try:
            log.parent.mkdir(parents=True, mode=0o700)
            _write(log, 0, LINES)
            with chromium() as browser, browser.new_context(base_url=at.url) as context:
                name, _, value = cookies[0].partition("=")
                context.add_cookies([{"name": name, "value": value, "url": at.url}])
                first = [_load(context, made.url) for _ in range(LOADS + 1)][1:]
                gap, most = _follow(context, made.url, log)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            thread.submit(rows.remove_deployments).result()
    return _result(first, gap, most)


def _result(first: list[float], gap: float, most: int) -> Result:
    p95 = percentile(first, 0.95)
    figures = (
        Figure(
            f"Log page with {LINES:,} lines: first lines shown",
            f"within {MUST_FIRST:.0f} ms",
            f"p95 {p95:.0f} ms",
            p95 <= MUST_FIRST,
        ),
        Figure(
            f"The same page while it follows {BURST * BURSTS:,} more: longest frame, and lines in the document",
            f"no frame over {MUST_FRAME:.0f} ms, at most {MUST_LINES:,} lines",
            f"{gap:.0f} ms, {most:,} lines",
            gap <= MUST_FRAME and most <= MUST_LINES,
        ),
    )
    return Result(figures, METHOD, (f"First lines after {each(sorted(first), 'ms', 0)}.",))


def _write(log: Path, start: int, count: int) -> None:
    begun = datetime.now(UTC)
    with log.open("a") as file:
        for number in range(start, start + count):
            at = begun + timedelta(microseconds=number)
            level = "error    " if number % 50 == 0 else "info     "
            file.write(
                f"{at:%Y-%m-%dT%H:%M:%S.%fZ} [{level}] Line {number} of what a scheduler writes "
                "[airflow.jobs.scheduler_job_runner] loc=scheduler_job_runner.py:1063\n"
            )


def _open(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.add_init_script(f"({WATCH})()")
    page.goto(f"{url}logs/?component=scheduler", wait_until="commit")
    page.wait_for_function("() => window.benchFirst > 0", timeout=60_000)
    return page


def _load(context: BrowserContext, url: str) -> float:
    """Milliseconds from navigation to the first lines."""
    page = _open(context, url)
    taken = float(page.evaluate("() => window.benchFirst"))
    page.close()
    return taken


def _follow(context: BrowserContext, url: str, log: Path) -> tuple[float, int]:
    """The longest frame in milliseconds, and the most lines in the document."""
    page = _open(context, url)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1000)
    page.evaluate("() => { window.benchGap = 0; }")
    for burst in range(BURSTS):
        if burst == BURSTS // 2:
            page.locator("[data-log-lines]").hover()
            page.mouse.wheel(0, -2000)
        if burst == BURSTS // 2 + 2:
            page.locator("[data-log-resume]").click()
        start = LINES + burst * BURST
        _write(log, start, BURST)
        page.wait_for_timeout(1000)
    page.wait_for_function(LAST, arg=f"Line {LINES + BURSTS * BURST - 1} ", timeout=120_000)
    return float(page.evaluate("() => window.benchGap")), int(page.evaluate("() => window.benchMost"))
