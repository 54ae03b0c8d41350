"""A real Chromium for tests, and the accessibility rules of axe-core over what it shows.

Not pytest-playwright's session fixtures: while they live, the main thread looks asynchronous to Django and
every later database test fails. Here the browser lives for one `with`; prepare rows before it.
"""

import contextlib
from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from console.tests.chromium import FLAGS, program

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

# A machine that runs four pytest processes and two Airflows is slow, not wrong. Where seconds are the claim, a test
# names them.
expect.set_options(timeout=20_000)

# Colours change in a moment: take them as they will be. What turns for ever cannot be finished.
SETTLE = """async () => {
  for (let frame = 0; frame < 2; frame++) {
    await new Promise(requestAnimationFrame);
    document.getAnimations().forEach(each => { try { each.finish(); } catch { each.cancel(); } });
  }
}"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, without a window; `make test` saw to it that there is one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()


def cookies_of(client: Client, url: str) -> list[dict[str, str]]:
    """The cookies of a signed-in test client, for a browser context."""
    return [{"name": name, "value": morsel.value, "url": url} for name, morsel in client.cookies.items()]


def axe_complaints(page: Page) -> list[str]:
    """What axe-core holds against the page as it stands, with its style sheets: the rule, and the element."""
    page.wait_for_load_state("load")  # a click returns before
    page.evaluate(SETTLE)
    found = Axe().run(page, options={**RULES, "resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


def turn(page: Page, width: int, theme: str) -> None:
    """Show the page as it stands at another width and in the other theme, which costs no second request."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.evaluate(SETTLE)


def overflow(page: Page) -> int:
    """By how many pixels the page scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


# What stands out of its box, unless something between them scrolls or clips it.
SPILLED = """() => [...document.querySelectorAll(".table-box, .card")].flatMap(box => {
  const edge = box.getBoundingClientRect().right + 1
  const clipped = each => {
    for (let it = each; it !== box; it = it.parentElement)
      if (it.matches(".sr, svg") || getComputedStyle(it).overflowX !== "visible") return true
    return false
  }
  const out = [...box.querySelectorAll("*")].filter(each => {
    const place = each.getBoundingClientRect()
    return place.width && place.right > edge && !clipped(each)
  })
  return out.slice(-1).map(each => {
    const pixels = Math.round(each.getBoundingClientRect().right - edge)
    return `${pixels} px: ${each.outerHTML.slice(0, 120)}`
  })
})"""


def spilled(page: Page) -> list[str]:
    """What stands out of its table or card to the right, innermost first."""
    found: list[str] = page.evaluate(SPILLED)
    return found
