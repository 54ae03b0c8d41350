"""The resource summary beside the form: from a key to the changed text in a real browser."""

from concurrent.futures import ThreadPoolExecutor

from console.bench import rows
from console.bench.result import Figure, Result, each, percentile
from console.tests.browser.chromium import chromium
from console.tests.system.installation import Installation

KEYS = 40
REST_MS = 300
MUST_P95 = 150.0  # ms

METHOD = (
    f"The create form is open in Chromium. {KEYS} times a key changes the number of scheduler replicas; from the "
    "moment of that input, as the browser stamps it, until a MutationObserver sees another text in the summary. The "
    "form waits a moment for the next key before it asks; that is part of the figure."
)
WATCH = """() => {
  const field = document.querySelector("[name=scheduler_replicas]"), aside = document.querySelector("#summary");
  let text = aside.textContent;
  window.benchAt = 0; window.benchTaken = [];
  field.addEventListener("input", (event) => { window.benchAt = event.timeStamp; });
  new MutationObserver(() => {
    if (!window.benchAt || aside.textContent === text) return;
    text = aside.textContent;
    window.benchTaken.push(performance.now() - window.benchAt);
    window.benchAt = 0;
  }).observe(aside, {childList: true, subtree: true, characterData: true});
}"""


def measure(at: Installation) -> Result:
    """Rows are written in a thread of their own: the browser's driver keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        workspace, cookies = thread.submit(rows.make_workspace, 1).result()
        name, _, value = cookies[0].partition("=")
        with chromium() as browser, browser.new_context() as context:
            context.add_cookies([{"name": name, "value": value, "url": at.url}])
            page = context.new_page()
            page.goto(f"{at.url}{workspace.url}new/")
            page.locator("details:has([name=scheduler_replicas])").evaluate("each => { each.open = true; }")
            page.evaluate(WATCH)
            field = page.locator("[name=scheduler_replicas]")
            for number in range(KEYS):
                field.focus()
                page.keyboard.press("ArrowDown" if number % 2 else "ArrowUp")
                page.wait_for_function(
                    "(count) => window.benchTaken.length > count", arg=number, timeout=5000
                )
                page.wait_for_timeout(REST_MS)
            taken: list[float] = page.evaluate("() => window.benchTaken")
    p50, p95 = percentile(taken, 0.5), percentile(taken, 0.95)
    figure = Figure(
        f"Resource summary beside the form, from key to changed text, {KEYS} keys",
        f"p95 at most {MUST_P95:.0f} ms",
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms",
        p95 <= MUST_P95,
    )
    return Result((figure,), METHOD, (f"All of them: {each(sorted(taken), 'ms', 0)}.",))
