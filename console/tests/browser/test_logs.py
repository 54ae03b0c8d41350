"""The log page in a real browser: it follows, leaves whoever scrolls up in peace, and says when nothing answers. And
what a person sees who asks why: from a badge to the lines that tell."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from deployments.dataplane.contract import LogLine
from deployments.domain.durations import FLOOR_SECONDS
from deployments.models import Deployment, Step, StepTiming
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.reconcile import reconcile
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.browser

PAUSED = re.compile("Paused, .* new lines? ↓")


@pytest.fixture
def running(deployment):
    """Analytics, Healthy."""
    return settle(deployment)


@pytest.fixture
def write(running, driver):
    ref = ref_of(running)

    def more(*texts: str) -> None:
        driver.write_log(ref, "scheduler", *texts)

    return more


def top(page: Page) -> float:
    return page.locator("[data-log-lines]").evaluate("each => each.scrollTop")


def scrolled(page: Page) -> None:
    """Wait until nothing scrolls any more: a key and a wheel move the page for some frames."""
    page.wait_for_function(
        "() => { const t = document.querySelector('[data-log-lines]').scrollTop; "
        "const still = window.lastTop === t; window.lastTop = t; return still; }",
        polling=200,
    )


def to_end(page: Page) -> float:
    return page.locator("[data-log-lines]").evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight")


def scrolling_up_pauses_and_the_button_or_the_key_follows_again(page: Page, write) -> None:
    lines, resume = page.locator("[data-log-lines]"), page.locator("[data-log-resume]")
    lines.hover()
    page.mouse.wheel(0, -400)
    expect(resume).to_be_visible()
    scrolled(page)
    before = top(page)
    write(*(f"[warning  ] more {n}" for n in range(100)))
    expect(resume).to_have_text("Paused, 100 new lines ↓")
    assert top(page) == before
    assert "more 99" not in lines.inner_text()
    assert axe_complaints(page) == []

    resume.click()
    expect(resume).to_be_hidden()
    expect(lines.locator(".logline").last).to_contain_text("more 99")
    assert to_end(page) <= 32
    assert lines.evaluate("each => each === document.activeElement")
    page.keyboard.press("PageUp")
    expect(resume).to_be_visible()
    scrolled(page)
    page.keyboard.press("End")
    expect(resume).to_be_hidden()


def a_silence_is_said_and_retried(page: Page, driver, write) -> None:
    driver.silent = "The cluster is silent."
    began = time.monotonic()
    expect(page.locator("[data-log-problem]")).to_contain_text("The cluster is silent.", timeout=5000)
    assert time.monotonic() - began < 5
    driver.silent = ""
    write("[info     ] back")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("[data-log-lines]").locator(".logline").last).to_contain_text("back")
    expect(page.locator("[data-log-problem] .banner")).to_have_count(0)


def a_level_is_chosen_in_place(page: Page, write) -> None:
    lines = page.locator("[data-log-lines]")
    page.get_by_label("Level").select_option("error")  # in place, and in the address
    expect(lines.locator(".logline")).to_have_count(2)
    expect(page).to_have_url(re.compile("level=error"))
    write("[info     ] not asked for", "[error    ] Bang")
    expect(lines.locator(".logline")).to_have_count(3)
    page.reload()
    expect(lines.locator(".logline")).to_have_count(3)


def test_a_log_is_followed_paused_and_followed_again(live_server, as_, vera, running, driver, write):
    write(
        *(f"[info     ] tick {n}" for n in range(300)),
        "[error    ] Boom <script>alert(1)</script>",
        "  trace",
    )
    cookies = cookies_of(as_(vera), live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        page.on("console", lambda message: asked.append(message.text) if "Policy" in message.text else None)
        page.goto(f"/deployments/{running.release_name}/logs/?component=scheduler")
        lines = page.locator("[data-log-lines]")
        expect(page.locator("[data-log-state]")).to_have_text("Following")
        expect(lines).to_contain_text("Boom <script>alert(1)</script>")
        assert to_end(page) <= 32
        assert axe_complaints(page) == []

        write("[info     ] fresh")
        expect(lines.locator(".logline").last).to_contain_text("fresh")
        assert to_end(page) <= 32  # it stays at the end

        scrolling_up_pauses_and_the_button_or_the_key_follows_again(page, write)
        a_silence_is_said_and_retried(page, driver, write)
        a_level_is_chosen_in_place(page, write)
    assert asked == []


def test_a_page_holds_five_thousand_lines_at_most(live_server, as_, vera, running, driver, write):
    written = driver.worlds[running.release_name].lines["scheduler"]
    cookies = cookies_of(as_(vera), live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 800}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(f"/deployments/{running.release_name}/logs/?component=scheduler")
        expect(page.locator("[data-log-state]")).to_have_text("Following")
        written += [LogLine(f"line {n}", None, "scheduler-1") for n in range(12_000)]
        lines = page.locator("[data-log-lines]")
        expect(lines.locator(".logline").last).to_contain_text("line 11999", timeout=20_000)
        assert lines.evaluate("each => each.childElementCount") == 5000
        assert to_end(page) <= 32
        assert overflow(page) == 0


def test_from_a_badge_to_the_lines_that_tell(live_server, as_, vera, running, driver, write):
    write("[info     ] fine", "[error    ] Boom", "  trace", "[info     ] going on")
    driver.break_component(ref_of(running), "scheduler", "Scheduler ended (exit status 1).")
    Deployment.objects.filter(pk=running.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    reconcile(running.pk)
    listing = running.workspace.url
    cookies = cookies_of(as_(vera), live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(listing)
        page.get_by_role("link", name="Why?").click()
        expect(page.get_by_role("heading", name="Scheduler", exact=True)).to_be_visible()
        expect(page.locator("main")).to_contain_text("Scheduler ended (exit status 1).")
        expect(page.locator("#now")).to_contain_text("Last probe")  # fetched by the page
        assert page.locator("#now .logline").all_inner_texts()[-1].strip() == "trace"
        assert axe_complaints(page) == []
        page.get_by_role("link", name="All errors").click()
        expect(page.locator("[data-log-lines] .logline")).to_have_count(2)
        expect(page.get_by_label("Level")).to_have_value("error")


def test_stalled_appears_by_itself_and_brings_what_to_do(live_server, as_, bob, deployment, cluster):
    for _ in range(5):
        StepTiming.objects.create(cluster=cluster, operation="create", key="database", seconds=1.0)
    step = {"operation": "create", "position": 0, "key": "database", "title": "Database", "state": "running"}
    cookies = cookies_of(as_(bob), live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        retry = page.get_by_role("button", name="Retry")
        asyncio_free(lambda: Step.objects.create(deployment=deployment, **step))
        for left in (3, 9):  # a busy machine may take longer than three seconds for the page
            begun = timezone.now() - timedelta(seconds=FLOOR_SECONDS - left)
            asyncio_free(lambda begun=begun: Step.objects.update(started_at=begun))
            page.goto(deployment.url)
            expect(page.locator(".step")).to_contain_text("usually 1 s")
            if not retry.is_visible():
                break
        expect(retry).to_be_hidden()
        page.evaluate("window.neverReloaded = true")
        expect(page.locator("[data-stalled]")).to_contain_text("Stalled: Database has been running for")
        expect(page.locator(".page-head .badge")).to_have_text(["Creating", "Stalled"])
        expect(retry).to_be_visible()
        expect(page.get_by_role("link", name="Delete Deployment…")).to_be_visible()
        assert page.evaluate("window.neverReloaded")
        assert axe_complaints(page) == []


def asyncio_free(act) -> None:
    """Do something with the database while a browser is open: its driver keeps an event loop in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_and_close, act).result()


def _and_close(act) -> None:
    try:
        act()
    finally:
        connection.close()
