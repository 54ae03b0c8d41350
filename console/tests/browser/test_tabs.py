"""Any number of tabs of one browser work over HTTP/1.1: they share one event stream, and pass it on."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from console.kit import events
from console.tests.browser.chromium import chromium, cookies_of
from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.reconciler import recording

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
REAL_PUBLISH = events.publish
TABS = 8  # a browser opens six connections to a host


@pytest.fixture
def server(settings, monkeypatch) -> Iterator[str]:
    """The console as it is served: asynchronous, over HTTP/1.1, streams on a real Redis."""
    monkeypatch.setattr(events, "publish", REAL_PUBLISH)
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(ASGIStaticFilesHandler(get_asgi_application()), lifespan="off", log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://localhost:{listening.getsockname()[1]}"
    running.should_exit = running.force_exit = True
    thread.join(20)
    listening.close()


@pytest.fixture
def window(server, as_, alice, deployment) -> Iterator[BrowserContext]:
    """Alice's browser."""
    cookies = cookies_of(as_(alice), server)
    with chromium() as browser:
        window = browser.new_context(base_url=server)
        window.add_cookies(cookies)
        yield window


def beside(work: Callable[[], object]) -> None:
    """In a thread: beside a browser no query may run in this one."""

    def closed() -> None:
        work()
        connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(closed).result(20)


def becomes(deployment: Deployment, word: Status) -> None:
    """Its status changes and is pushed. That it changed is recorded, as passes do: a stream that opens a moment later
    asks for it."""

    def change() -> None:
        Deployment.objects.filter(pk=deployment.pk).update(
            status=word, observed_at=deployment.created_at, changed_at=Now()
        )
        recording.publish(deployment.pk)

    beside(change)


def unchanged() -> None:
    """For so long that no stream asks for it when it opens."""
    beside(lambda: Deployment.objects.update(changed_at=timezone.now() - timedelta(hours=1)))


def badge(page: Page, deployment: Deployment):
    return page.locator(f"#badge-{deployment.pk} .badge")


def live(page: Page) -> None:
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "open", timeout=15_000)


def test_eight_tabs_load_like_the_first_hear_the_same_and_outlive_the_one_that_listened(
    window, deployment, alice
):
    url, asked = deployment.url, []
    window.on("request", lambda request: asked.append(request.url) if "/stream/" in request.url else None)
    pages, took = [], []
    for _ in range(TABS):
        began = time.monotonic()
        page = window.new_page()
        page.goto(url, timeout=20_000)
        took.append(time.monotonic() - began)
        pages.append(page)
        live(page)
    assert len(asked) == 1, "one stream for all tabs"
    assert max(took[6:]) < 5 * max(took[:3]), took

    # A click in the first tab answers.
    pages[0].get_by_role("link", name="Logs").first.click(timeout=10_000)
    pages[0].wait_for_url("**/logs/**", timeout=10_000)
    for page in pages[1:]:
        live(page)
    becomes(deployment, Status.DELETING)
    for page in pages:
        expect(badge(page, deployment)).to_have_text("Deleting", timeout=10_000)

    # Who listened goes, and the next one listens.
    for number in range(3):
        pages.pop(0).close()
        for page in pages:
            live(page)
        word = (Status.CREATING, Status.DELETING)[number % 2]
        becomes(deployment, word)
        for page in pages:
            expect(badge(page, deployment)).to_have_text(word.label, timeout=10_000)


def test_a_tab_that_was_signed_out_does_not_keep_the_others_from_listening(window, deployment):
    out = window.new_page()
    out.route("**/stream/**", lambda route: route.fulfill(status=401, body=""))
    out.goto(deployment.url)
    expect(out.locator("[data-live]")).to_have_attribute("data-state", "out", timeout=15_000)
    other = window.new_page()
    other.goto(deployment.url)
    live(other)
    becomes(deployment, Status.DELETING)
    expect(badge(other, deployment)).to_have_text("Deleting", timeout=10_000)


def test_a_tab_that_joins_later_is_told_what_it_may_have_missed(window, deployment):
    first = window.new_page()
    first.goto(deployment.url)
    live(first)
    becomes(deployment, Status.DELETING)
    expect(badge(first, deployment)).to_have_text("Deleting", timeout=10_000)
    second = window.new_page()
    fetched: list[str] = []
    second.on("request", lambda request: fetched.append(request.url))
    second.goto(deployment.url)
    live(second)
    second.wait_for_timeout(500)
    assert any("/live/" in each for each in fetched)
    time.sleep(6)  # it was quiet for longer than a page takes
    third = window.new_page()
    missed: list[str] = []
    third.on("request", lambda request: missed.append(request.url))
    third.goto(deployment.url)
    live(third)
    third.wait_for_timeout(500)
    assert not any("/live/" in each for each in missed)


@pytest.mark.parametrize("region", ["badge", "rows"])
def test_an_answer_that_was_asked_for_before_a_change_was_pushed_does_not_undo_it(
    window, server, deployment, region
):
    listed = f"{server}{deployment.workspace.url_for('deployments:list')}"
    unchanged()
    page, held = window.new_page(), []
    page.goto(listed if region == "rows" else deployment.url)
    live(page)
    asked = listed if region == "rows" else f"{server}{deployment.url_for('badge')}"
    page.route(asked, lambda route: held.append((route, route.fetch())), times=1)
    element = "#rows" if region == "rows" else f"#badge-{deployment.pk}"
    page.evaluate("it => htmx.trigger(it, 'sse:resync')", element)
    while not held:
        page.wait_for_timeout(20)
    becomes(deployment, Status.DELETING)
    expect(badge(page, deployment)).to_have_text("Deleting", timeout=10_000)
    ((route, answer),) = held
    assert f"badge-{deployment.pk}" in answer.text() or region == "badge"
    assert "Deleting" not in answer.text()
    later: list[str] = []
    page.on("request", lambda request: later.append(request.url))
    route.fulfill(response=answer)
    page.wait_for_timeout(1000)
    expect(badge(page, deployment)).to_have_text("Deleting", timeout=1000)
    if region == "rows":
        assert listed not in later, "a storm of changes would have each open list ask all the time"


def test_a_part_that_was_refreshed_often_takes_what_is_pushed_once(window, deployment):
    page = window.new_page()
    page.goto(deployment.url)
    live(page)
    for _ in range(4):
        with page.expect_response("**/badge/"):
            page.evaluate("it => htmx.trigger(it, 'sse:resync')", f"#badge-{deployment.pk}")
        page.wait_for_timeout(200)
    page.evaluate(
        "() => { window.taken = [];"
        " addEventListener('htmx:sseBeforeMessage', ({ target }) => window.taken.push(target.id)); }"
    )
    becomes(deployment, Status.DELETING)
    expect(badge(page, deployment)).to_have_text("Deleting", timeout=10_000)
    page.wait_for_timeout(500)
    assert sorted(page.evaluate("window.taken")) == [f"badge-{deployment.pk}", f"live-{deployment.pk}"]
