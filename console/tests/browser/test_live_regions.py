"""A live region never takes from its reader what they hold: keyboard focus, caret, selection, scroll. And the page
of a Deployment is whole again when its stage changes. The stream is played by the test; the pages are real."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from console.tests.browser.chromium import chromium, cookies_of
from deployments.domain.states import ComponentState, Operation, Status, StepState
from deployments.models import ComponentStatus, Deployment, LatestReading, Step
from deployments.tests.one_of_everything import furnish
from deployments.tests.readings import all_sorts, remember

pytestmark = pytest.mark.browser
ERROR = "ModuleNotFoundError: No module named 'pandas'"
REFRESHES = 3


@pytest.fixture
def window(live_server, as_, alice, deployment) -> Iterator[BrowserContext]:
    """Alice's browser, without a stream."""
    cookies = cookies_of(as_(alice), live_server.url)
    with chromium() as browser:
        window = browser.new_context(viewport={"width": 1280, "height": 900})
        window.add_cookies(cookies)
        window.route("**/stream/**", lambda route: route.abort())
        yield window


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], object]], object]]:
    """Run something that asks the database beside the browser, whose thread may not."""
    with ThreadPoolExecutor(1) as pool:

        def run(work: Callable[[], object]) -> object:
            def closed() -> object:
                try:
                    return work()
                finally:
                    connection.close()

            return pool.submit(closed).result(20)

        yield run


def write(deployment: Deployment, status: Status, **more: object) -> None:
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        status=status, status_since=now, observed_at=now, due_at=now, **more
    )


def unhealthy(deployment: Deployment) -> None:
    """A scheduler that ended, with its last line."""
    ComponentStatus.objects.all().delete()
    for position, name in enumerate(("api-server", "scheduler", "triggerer")):
        bad = name == "scheduler"
        ComponentStatus.objects.create(
            deployment=deployment,
            position=position,
            name=name,
            state=ComponentState.FAILING if bad else ComponentState.READY,
            ready=0 if bad else 1,
            desired=1,
            reason="It ended with status 1." if bad else "",
            last_line=ERROR if bad else "",
        )
    reason = "The scheduler has crashed. ERROR-TO-COPY"
    write(deployment, Status.UNHEALTHY, first_healthy_at=timezone.now(), status_reason=reason)


def recovered(deployment: Deployment) -> None:
    ComponentStatus.objects.filter(name="triggerer").update(restarts=7)
    write(deployment, Status.DEPLOYING, status_reason="Changes are on their way.")


def refresh(page: Page, region: str) -> None:
    """Have the region ask for itself, as after a gap in the stream, and wait until it is drawn."""
    page.evaluate(
        """region => new Promise(done => {
            const it = document.querySelector(region);
            it.addEventListener("htmx:afterSettle", () => done(), {once: true});
            htmx.trigger(it, "sse:resync");
        })""",
        region,
    )


def select(page: Page, text: str) -> None:
    page.get_by_text(text).first.evaluate(
        "it => { const range = document.createRange(); range.selectNodeContents(it);"
        " getSelection().removeAllRanges(); getSelection().addRange(range); }"
    )


def selection(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def test_the_overview_keeps_focus_and_selection_over_refreshes_and_a_change_of_status(
    window, live_server, deployment, beside
) -> None:
    beside(lambda: unhealthy(deployment))
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    live = f"#live-{deployment.pk}"
    link = page.locator("#part-scheduler th a")
    link.focus()
    select(page, ERROR)
    marked = page.locator("#part-triggerer").element_handle()
    for _ in range(REFRESHES):
        refresh(page, live)
    expect(link).to_be_focused()
    assert selection(page) == ERROR
    assert marked is not None
    assert marked.evaluate("it => it.isConnected"), "the row was replaced"
    beside(lambda: recovered(deployment))
    refresh(page, live)
    expect(page.locator("#part-triggerer")).to_contain_text("7")
    expect(page.locator("#live-verdict")).to_contain_text("Changes are on their way.")
    expect(link).to_be_focused()
    assert selection(page) == ERROR


def test_the_figures_keep_the_focus_over_refreshes_and_another_span_of_time(
    window, live_server, deployment, beside
) -> None:
    def figures() -> None:
        unhealthy(deployment)
        day = [[timezone.now().replace(minute=0, second=0, microsecond=0).isoformat(), 3, 1]]
        LatestReading.objects.create(deployment=deployment, at=timezone.now(), dags=2, day=day)

    beside(figures)
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    week, table = page.locator("#span-7d"), page.locator("#figures-table")
    table.locator("summary").click()
    week.focus()
    for _ in range(REFRESHES):
        refresh(page, "#figures")
    expect(week).to_be_focused()
    expect(table).to_have_attribute("open", "")
    page.keyboard.press("Enter")
    expect(week).to_have_attribute("aria-current", "true")
    expect(week).to_be_focused()
    expect(page).to_have_url(f"{live_server.url}{deployment.url}?span=7d")
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)  # 20 ms later
    with page.expect_request("**/figures/?span=7d"):  # from now on it asks for that
        refresh(page, "#figures")


def test_a_selected_reason_stays_until_it_is_let_go_and_is_then_brought_up_to_date(
    window, live_server, deployment, beside
) -> None:
    beside(lambda: unhealthy(deployment))
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    select(page, "ERROR-TO-COPY")
    beside(lambda: recovered(deployment))
    refresh(page, f"#live-{deployment.pk}")
    assert "ERROR-TO-COPY" in selection(page)
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator("#live-verdict")).to_contain_text("Changes are on their way.")


def test_the_badge_keeps_the_focus_of_its_link(window, live_server, deployment, beside) -> None:
    beside(lambda: unhealthy(deployment))
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    why = page.locator(f"#badge-{deployment.pk} .why")
    why.focus()
    for _ in range(REFRESHES):
        refresh(page, f"#badge-{deployment.pk}")
    beside(lambda: recovered(deployment))
    refresh(page, f"#badge-{deployment.pk}")
    expect(page.locator(f"#badge-{deployment.pk}")).to_contain_text("Deploying")
    expect(why).to_be_focused()


def test_the_list_keeps_focus_caret_and_scroll(window, live_server, deployment, beside) -> None:
    page = window.new_page()
    page.set_viewport_size({"width": 1280, "height": 300})
    page.goto(live_server.url + deployment.workspace.url)
    search = page.get_by_label("Search")
    search.fill("analytics")
    search.evaluate("it => it.setSelectionRange(2, 5)")
    page.evaluate("scrollTo(0, 60)")
    at = page.evaluate("scrollY")
    for _ in range(REFRESHES):
        refresh(page, "#rows")
    beside(lambda: unhealthy(deployment))
    refresh(page, "#rows")
    expect(page.locator("#rows")).to_contain_text("Unhealthy")
    expect(search).to_be_focused()
    expect(search).to_have_value("analytics")
    assert search.evaluate("it => [it.selectionStart, it.selectionEnd]") == [2, 5]
    assert page.evaluate("scrollY") == at
    name = page.locator(f"#d-{deployment.pk}")
    name.focus()
    refresh(page, "#rows")
    expect(name).to_be_focused()


def test_worker_queues_keep_focus_and_selection(window, live_server, deployment, beside) -> None:
    beside(lambda: write(deployment, Status.HEALTHY, first_healthy_at=timezone.now()))
    page = window.new_page()
    page.goto(live_server.url + deployment.url + "queues/")
    edit = page.locator("#edit-default")
    edit.focus()
    select(page, "default")
    for _ in range(REFRESHES):
        refresh(page, "#queues")
    beside(lambda: deployment.queues.update(queued=41))
    refresh(page, "#queues")
    expect(page.locator("#queues")).to_contain_text("41")
    expect(edit).to_be_focused()
    assert selection(page) == "default"


def test_rows_that_come_before_it_take_the_focus_from_none(window, live_server, deployment, beside) -> None:
    def failing() -> None:
        write(deployment, Status.HEALTHY, first_healthy_at=timezone.now())
        remember(deployment, all_sorts())
        furnish(deployment)

    def more() -> None:
        first = deployment.deploys.get()
        first.pk, first.number, first.idempotency_key = None, 2, uuid4()
        first.save(force_insert=True)
        unhealthy(deployment)

    beside(failing)
    home, deploys = window.new_page(), window.new_page()
    home.goto(live_server.url + reverse("deployments:home", args=[deployment.workspace_id]))
    deploys.goto(f"{live_server.url}{deployment.url}deploys/")
    need, deploy = (
        home.locator("a[href$='#import-errors']"),
        deploys.get_by_role("link", name="Deploy 1", exact=True),
    )
    watched = (
        (home, need, "#home", "ERROR-TO-COPY"),
        (deploys, deploy, f"#deploys-{deployment.pk}", "Deploy 2"),
    )
    for page, link, region, _ in watched:
        link.focus()
        for _ in range(REFRESHES):
            refresh(page, region)
        expect(link).to_be_focused()
    beside(more)
    for page, link, region, words in watched:
        refresh(page, region)
        expect(page.locator(region)).to_contain_text(words)
        expect(link).to_be_focused()


def created(deployment: Deployment) -> None:
    now = timezone.now()
    Step.objects.filter(deployment=deployment).update(state=StepState.DONE, sentence="", finished_at=now)
    ComponentStatus.objects.update(state=ComponentState.READY, ready=1, reason="")
    write(
        deployment, Status.HEALTHY, first_healthy_at=now, airflow_url="http://a.localhost", status_reason=""
    )


def creating(deployment: Deployment) -> None:
    begun = timezone.now() - timedelta(seconds=40)
    waits = "Waiting for the API server."
    for number, title in enumerate(("Runtime", "Database", "Configuration", "Components")):
        running = title == "Components"
        Step.objects.create(
            deployment=deployment,
            operation=Operation.CREATE,
            position=number,
            key=title.lower(),
            title=title,
            state=StepState.RUNNING if running else StepState.DONE,
            sentence=waits if running else "",
            started_at=begun,
            finished_at=None if running else begun,
        )
    for position, name in enumerate(("api-server", "scheduler", "dag-processor", "triggerer")):
        ComponentStatus.objects.create(
            deployment=deployment,
            position=position,
            name=name,
            state=ComponentState.STARTING,
            ready=0,
            desired=1,
        )
    write(deployment, Status.CREATING, status_reason=waits, signs_in=True)


def test_a_deployment_that_becomes_healthy_completes_its_open_page_and_nothing_jumps(
    window, live_server, deployment, beside
) -> None:
    beside(lambda: creating(deployment))
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    expect(page.get_by_text("Actions", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Edit the configuration")).to_have_count(0)
    watched = ["#live-steps", "#parts", "#part-triggerer", "#first-steps", "#facts"]
    tops = {each: top(page, each) for each in watched}
    beside(lambda: created(deployment))
    refresh(page, f"#badge-{deployment.pk}")
    refresh(page, f"#live-{deployment.pk}")
    expect(page.get_by_text("Actions", exact=True)).to_be_visible()
    expect(page.locator("#facts").get_by_role("link", name="Edit the configuration")).to_be_visible()
    expect(page.get_by_role("link", name="Open Airflow").first).to_be_visible()
    expect(page.locator("#live-steps")).to_contain_text("Created")
    moved = {each: abs(top(page, each) - was) for each, was in tops.items()}
    assert max(moved.values()) <= 24, moved


def top(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    return float(box["y"]) + float(page.evaluate("scrollY"))


def test_a_deployment_that_is_gone_turns_its_open_page_into_the_receipt(
    window, live_server, deployment, beside
) -> None:
    beside(lambda: write(deployment, Status.DELETING, delete_requested_at=timezone.now()))
    page = window.new_page()
    page.goto(live_server.url + deployment.url)
    beside(lambda: write(deployment, Status.DELETED, deleted_at=timezone.now()))
    refresh(page, f"#badge-{deployment.pk}")
    expect(page.get_by_role("heading", name="What was removed")).to_be_visible()
    expect(page.locator("nav.tabs")).to_have_count(0)
    expect(page).to_have_title("Analytics is deleted – Acme Data – Airdeck")
