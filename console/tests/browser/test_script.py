"""What app.js adds to pages that work without it, in a real browser. The stream is played by the test."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of
from deployments.models import Deployment

pytestmark = pytest.mark.browser

# What the clipboard holds, once that is `wanted` or it has had 20 s for it: a click returns before it is written.
COPIED = """async wanted => {
  for (let tries = 0; ; tries++) {
    const text = await navigator.clipboard.readText();
    if (text === wanted || tries === 400) return text;
    await new Promise(go => setTimeout(go, 50));
  }
}"""


@pytest.fixture
def addresses(live_server, deployment) -> dict[str, str]:
    """Where the pages are; read before the browser starts, for no query may run beside it."""
    return {
        "detail": live_server.url + deployment.url,
        "list": live_server.url + deployment.workspace.url,
        "new": live_server.url + deployment.workspace.url + "new/",
        "workspace": live_server.url + "/workspaces/new/",
        "signup": live_server.url + "/accounts/signup/",
        "pk": str(deployment.pk),
    }


@pytest.fixture
def window(live_server, as_, alice, addresses) -> Iterator[BrowserContext]:
    """Alice's browser, without a stream until a test gives it one."""
    cookies = cookies_of(as_(alice), live_server.url)
    with chromium() as browser:
        window = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        window.add_cookies(cookies)
        window.route("**/stream/**", lambda route: route.abort())
        yield window


def play(window: BrowserContext, body: str = ": hello\n\n", status: int = 200) -> None:
    """From now on every connection to the stream gets this, then ends."""
    window.unroute("**/stream/**")
    window.route(
        "**/stream/**",
        lambda route: route.fulfill(status=status, content_type="text/event-stream", body=body),
    )


def opened(window: BrowserContext, url: str) -> Page:
    page = window.new_page()
    page.goto(url)
    return page


def test_a_pushed_badge_is_swapped_in_and_a_pushed_change_is_spoken_once(window, addresses) -> None:
    page = opened(window, addresses["detail"])
    badge, spoken = page.locator(f"#badge-{addresses['pk']}"), page.locator("#announce")
    expect(badge.locator(".badge")).to_have_text("Creating")
    expect(spoken).to_be_empty()
    healthy = '<div data-subject="x" data-announce="Analytics is Healthy.">fine</div>'
    play(
        window,
        f"event: badge-{addresses['pk']}\ndata: <span>Healthy</span>\n\n"
        f"event: live-{addresses['pk']}\ndata: {healthy}\n\n",
    )
    expect(badge).to_have_text("Healthy")
    expect(spoken).to_have_text("Analytics is Healthy.")


def test_the_page_says_when_the_stream_is_gone_and_when_it_is_back(window, addresses) -> None:
    page = opened(window, addresses["detail"])
    live = page.locator("[data-live]")
    expect(live).to_have_text(re.compile(r"Reconnecting, data from \d\d:\d\d:\d\d"))
    seen = page.evaluate_handle(
        "() => { const seen = []; const it = document.querySelector('[data-live]');"
        " new MutationObserver(() => seen.push(it.dataset.state)).observe(it, {attributes: true}); return seen; }"
    )
    play(window)
    page.wait_for_function("seen => seen.includes('open')", arg=seen, timeout=30_000)


def test_a_gap_in_the_stream_fetches_the_region_anew(window, addresses) -> None:
    page = opened(window, addresses["detail"])
    with page.expect_request("**/live/", timeout=30_000):
        play(window, "event: resync\ndata: \n\n")


def test_a_stream_that_is_refused_says_so_and_stops_trying(window, addresses) -> None:
    tries: list[str] = []
    window.on("request", lambda request: tries.append(request.url) if "/stream/" in request.url else None)
    page = opened(window, addresses["detail"])
    play(window, "", status=401)
    expect(page.locator("[data-live]")).to_have_text("Signed out. Reload the page")
    before = len(tries)
    page.wait_for_timeout(3000)
    assert len(tries) == before


def test_a_part_that_is_fetched_after_signing_out_stays_as_it_was_and_the_page_says_why(
    window, addresses
) -> None:
    page = opened(window, addresses["detail"])
    window.clear_cookies()
    with page.expect_response(lambda answer: answer.status == 401):
        page.evaluate("htmx.trigger(document.querySelector('.page [hx-trigger*=resync]'), 'sse:resync')")
    expect(page.locator("[data-live]")).to_have_text("Signed out. Reload the page")
    expect(page.get_by_role("heading", name="Analytics")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_have_count(0)


def test_a_form_is_sent_once_however_often_the_button_is_pressed(window, addresses) -> None:
    posts: list[str] = []
    window.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page = opened(window, addresses["workspace"])
    page.route("**/workspaces/new/", lambda route: None)  # the server takes its time
    page.get_by_label("Name").fill("Twice")
    page.get_by_role("button", name="Create Workspace").evaluate(
        "button => { button.click(); setTimeout(() => button.click(), 300); setTimeout(() => button.click(), 600); }"
    )
    page.wait_for_timeout(1500)
    assert len(posts) == 1


def test_the_summary_follows_the_form_without_losing_the_focus(window, addresses) -> None:
    page = opened(window, addresses["new"])
    before = page.locator("#summary").inner_text()
    page.get_by_text("Default worker queue").first.click()
    page.get_by_label("Max workers").fill("3")
    page.get_by_label("Min workers").focus()
    expect(page.locator("#summary")).not_to_have_text(before)
    expect(page.get_by_label("Min workers")).to_be_focused()


def test_workers_are_not_asked_for_without_celery(window, addresses) -> None:
    page = opened(window, addresses["new"])
    expect(page.get_by_label("Worker type")).to_be_visible()
    page.get_by_text("Local", exact=True).click()
    expect(page.get_by_label("Worker type")).to_be_hidden()


def test_errors_get_the_focus_and_lead_to_their_field(window, addresses) -> None:
    page = opened(window, addresses["new"])
    page.get_by_role("button", name="Create Deployment").click()
    expect(page.locator("#errors")).to_be_focused()
    page.get_by_role("link", name="Enter a name.").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()


def test_the_first_tab_stop_leads_past_the_navigation(window, addresses) -> None:
    page = opened(window, addresses["detail"])
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_keyboard_stays_where_it_sorted_or_filtered_a_list(window, addresses) -> None:
    page = opened(window, addresses["list"])
    page.get_by_role("link", name="Updated").focus()
    page.keyboard.press("Tab")  # so that the focus is the keyboard's
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=**")
    expect(page.get_by_role("link", name="Updated")).to_be_focused()
    search = page.get_by_role("searchbox")
    search.press_sequentially("ana")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=ana**")
    expect(search).to_be_focused()
    page.goto(addresses["detail"])  # and no other page is begun in its middle
    expect(page.locator("body")).to_be_focused()
    page.goto(addresses["list"])
    expect(page.locator("body")).to_be_focused()


def test_values_can_be_copied_and_passwords_shown(window, addresses, deployment: Deployment) -> None:
    page = opened(window, addresses["detail"])
    page.get_by_role("button", name="Copy Release name").click()
    assert page.evaluate(COPIED, deployment.release_name) == deployment.release_name
    window.clear_cookies()
    page.goto(addresses["signup"])
    field = page.locator("input[autocomplete=new-password]")
    field.fill("visible")
    page.get_by_role("button", name="Show Password").click()
    expect(field).to_have_attribute("type", "text")


def test_the_running_clock_ticks(window, addresses) -> None:
    page = opened(window, addresses["detail"])
    clock = page.locator("time[data-since]").first
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)


def test_every_action_is_there_without_javascript(window, addresses) -> None:
    page = window.browser.new_context(java_script_enabled=False).new_page()
    page.goto(addresses["signup"])
    page.get_by_label("Email").fill("new@example.org")
    page.get_by_label("Password").fill("a long enough pass phrase")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Deployments", exact=True)).to_be_visible()
    page.get_by_role("link", name="Create Deployment").click()
    page.get_by_label("Name", exact=True).fill("Without script")
    page.get_by_role("button", name="Create Deployment").click()
    expect(page.get_by_role("heading", name="Without script")).to_be_visible()
    expect(page.get_by_text("creation continues")).to_be_visible()


def test_a_key_opens_the_search_and_gives_the_focus_back(window, addresses, deployment: Deployment) -> None:
    page = opened(window, addresses["detail"])
    page.get_by_role("link", name="Deploys", exact=True).focus()
    page.keyboard.press("Control+k")
    field, options = (
        page.get_by_role("combobox", name="Search Airdeck"),
        page.locator("#palette [role=option]"),
    )
    expect(field).to_be_focused()
    assert axe_complaints(page) == []
    page.keyboard.type("analytics log")
    expect(options.first).to_contain_text("Analytics: Logs")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")  # around the end
    expect(options.last).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", options.last.get_attribute("id"))
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_have_count(0)
    expect(page.get_by_role("link", name="Deploys", exact=True)).to_be_focused()
    page.keyboard.press("Meta+k")
    page.keyboard.type("nothing-like-this")
    expect(page.get_by_text("Search for a part of a name")).to_be_visible()
    expect(page.locator("#palette [data-spoken]")).to_have_text("Nothing found")
    field.fill("")
    page.keyboard.type(deployment.release_name)
    page.keyboard.press("Enter")  # before the answer: it opens what was typed, not what was shown
    page.wait_for_url(addresses["detail"])


def test_single_keys_filter_and_help_unless_one_types_or_turned_them_off(window, addresses) -> None:
    page = opened(window, addresses["list"])
    page.keyboard.press("/")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    page.keyboard.type("a/?")
    page.keyboard.press("Control+k")
    expect(field).to_have_value("a/?")
    expect(page.locator("dialog")).to_have_count(0)
    page.locator("h1").click()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_be_visible()
    assert axe_complaints(page) == []
    keys.get_by_label("Use / and ?").uncheck()
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(field).not_to_be_focused()
    assert page.locator("dialog").count() == 0


def test_the_tab_follows_the_status(window, addresses) -> None:
    pk = addresses["pk"]
    bad = '<span class="badge" data-tone="bad"><svg data-icon="octagon-x"></svg>Unhealthy</span>'
    badge = f"event: badge-{pk}\ndata: {bad}\n\n"
    detail, listing = opened(window, addresses["detail"]), opened(window, addresses["list"])
    bare = "Analytics – Acme Data – Airdeck"
    expect(detail).to_have_title(f"Creating: {bare}")
    assert icon_of(detail).endswith("favicon-busy.svg")
    play(window, badge)
    expect(detail).to_have_title(f"Unhealthy: {bare}")
    expect(listing).to_have_title("(1) Deployments – Acme Data – Airdeck")
    assert [icon_of(each) for each in (detail, listing)] == ["/static/favicon-bad.svg"] * 2
    play(window, badge.replace('"bad"', '"ok"').replace("octagon-x", "x").replace("Unhealthy", "Healthy"))
    expect(detail).to_have_title(bare)
    expect(listing).to_have_title("Deployments – Acme Data – Airdeck")
    assert [icon_of(each) for each in (detail, listing)] == ["/static/favicon-ok.svg", "/static/favicon.svg"]


def icon_of(page: Page) -> str:
    return str(page.locator("link[rel=icon]").get_attribute("href"))


def test_what_is_waited_for_is_said_in_words_that_can_be_read_and_so_is_that_no_answer_came(
    window, addresses
) -> None:
    page, held = window.new_page(), []
    page.route("**/scheduler/now/", lambda route: held.append(route))  # noqa: PLW0108 - takes no built-in
    page.goto(addresses["detail"] + "components/scheduler/")
    expect(page.get_by_text("Checking its processes…")).to_be_visible()
    page.wait_for_timeout(500)  # longer than any transition
    assert axe_complaints(page) == []
    held[0].abort()
    expect(page.get_by_text("No answer came. Reload the page to ask again.")).to_be_visible()
