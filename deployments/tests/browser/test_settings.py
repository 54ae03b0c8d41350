"""Editing in a real browser, on the scripted plane: the form, the review, the queues, and the second editor."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connections
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from console.tests.forms import posted_forms
from deployments.models import Deployment, WorkerQueue
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(live_server, as_, bob, deployment, driver) -> Iterator[Page]:
    """Bob's browser on the page of a Healthy Deployment, on a phone."""
    settle(deployment)
    WorkerQueue.objects.update(live_workers=2, running=3)
    cookies = cookies_of(as_(bob), live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
        context.add_cookies(cookies)
        context.route("**/stream/**", lambda route: route.abort())
        page = context.new_page()
        page.goto(live_server.url + deployment.url)
        yield page


def in_thread(act) -> None:
    """Queries run beside the browser's event loop only in a thread of their own."""
    failed = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failed == []


def fields_of(answer) -> dict[str, str]:
    return next(fields for _, fields in posted_forms(answer.content.decode()) if "shown" in fields)


def keeps_the_rules(page: Page) -> None:
    page.wait_for_load_state("load")
    assert (overflow(page), axe_complaints(page)) == (0, [])


def a_queue_is_added_and_deleted(page) -> None:
    page.get_by_role("link", name="Worker queues").click()
    keeps_the_rules(page)
    page.get_by_role("link", name="Add queue").click()
    page.get_by_label("Name", exact=True).fill("ETL")
    page.get_by_role("button", name="Add queue").click()
    expect(page.get_by_role("alert")).to_be_focused()
    keeps_the_rules(page)
    page.get_by_label("Name", exact=True).fill("etl")
    page.get_by_role("button", name="Add queue").click()
    page.get_by_role("button", name="Apply changes").click()
    expect(page.get_by_text("Queue etl is added.")).to_be_visible()
    in_thread(lambda: WorkerQueue.objects.filter(name="etl").update(queued=5))
    expect(page.locator("#queues")).to_contain_text("5 tasks, ")  # by itself
    page.get_by_role("link", name="Delete… etl").click()
    keeps_the_rules(page)
    page.get_by_label("Type etl to confirm").fill("etl")
    page.get_by_role("button", name="Delete queue").click()
    expect(page.get_by_text("Queue etl is deleted.")).to_be_visible()


def test_edit_review_apply_and_a_queue(page, as_, alice, deployment) -> None:
    page.get_by_role("link", name="Edit the configuration").click()
    keeps_the_rules(page)
    page.get_by_label("Max workers").press_sequentially("0")  # 100
    page.get_by_label("Max workers").fill("4")
    expect(page.locator("#summary")).to_contain_text("4 workers × 16")
    page.get_by_label("Concurrency").fill("8")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", name="Review changes to Analytics")).to_be_visible()
    expect(page.locator("main")).to_contain_text("2 workers of default drain and are replaced")
    keeps_the_rules(page)
    page.get_by_role("button", name="Back to editing").click()
    expect(page.get_by_label("Concurrency")).to_have_value("8")

    def somebody_else() -> None:
        url, client = f"{deployment.url}edit/", as_(alice)
        review = client.post(url, {**fields_of(client.get(url)), "scheduler_replicas": "3"})
        assert client.post(url, fields_of(review)).status_code == 303

    in_thread(somebody_else)
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_text("Alice changed this while you were editing")).to_be_visible()
    expect(page.get_by_label("Scheduler replicas")).to_have_value("3")
    expect(page.locator("#summary")).to_contain_text("3 replicas")
    keeps_the_rules(page)
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Apply changes").click()
    expect(page.get_by_text("Your changes are saved.")).to_be_visible()
    expect(page.locator(".page-head .badge").first).to_have_text("Deploying")

    a_queue_is_added_and_deleted(page)
    in_thread(lambda: _as_saved(deployment))


def _as_saved(deployment: Deployment) -> None:
    row = Deployment.objects.get(pk=deployment.pk)
    queue = row.queues.get()
    assert (row.scheduler_replicas, queue.max_workers, queue.concurrency) == (3, 4, 8)
