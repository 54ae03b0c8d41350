"""A Deployment sleeps and wakes in a real Chromium, against the scripted data plane."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from playwright.sync_api import expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of
from deployments.models import Deployment, HibernationSchedule
from deployments.tests.actions.test_hibernation import rest
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def elsewhere(act):
    """Use the database on another thread: beside Playwright this one looks asynchronous to Django."""

    def run():
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(30)


def a_schedule_is_previewed_and_saved(page) -> None:
    page.get_by_text("Actions", exact=True).click()
    page.get_by_role("link", name="Hibernation schedule").click()
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_label("Hibernate at").fill("15 21 * * 4")
    page.get_by_role("button", name="Weekends", exact=True).press("Enter")
    page.get_by_text("At 20:00, only on Friday, Europe/Berlin.").wait_for()
    expect(page.get_by_role("button", name="Weekends", exact=True)).to_be_focused()
    page.get_by_role("button", name="Undo").press("Enter")
    page.get_by_text("At 21:15, only on Thursday, Europe/Berlin.").wait_for()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.get_by_role("button", name="Weekends", exact=True).click()
    page.get_by_text("At 20:00, only on Friday, Europe/Berlin.").wait_for()
    page.get_by_label("Wake at").fill("30 6 * *")
    page.get_by_text("Enter five fields").wait_for()
    page.get_by_label("Wake at").fill("30 6 * * 1")
    page.get_by_text("At 06:30, only on Monday, Europe/Berlin.").wait_for()
    assert axe_complaints(page) == []
    page.get_by_label("Wake at").press("Enter")  # presses no preset
    page.get_by_text("The schedule is saved.").wait_for()


def test_a_schedule_is_previewed_and_saved_and_it_sleeps_and_wakes_by_hand(
    live_server, as_, bob, deployment, driver
):
    settle(deployment)
    driver.worlds[deployment.release_name].loads["default"] = (2, 3)
    cookies = cookies_of(as_(bob), live_server.url)
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
        context.add_cookies(cookies)
        context.route("**/stream/**", lambda route: route.abort())
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"/deployments/{deployment.release_name}/")

        a_schedule_is_previewed_and_saved(page)
        saved = elsewhere(lambda: HibernationSchedule.objects.get(deployment=deployment))
        assert (saved.wake_cron, saved.time_zone) == ("30 6 * * 1", "Europe/Berlin")

        page.goto(f"/deployments/{deployment.release_name}/hibernate/")
        page.get_by_text("3 tasks run now, and 2 wait.").wait_for()
        assert axe_complaints(page) == []
        page.get_by_role("button", name="Hibernate").click()
        page.get_by_role("button", name="Wake up").wait_for()
        elsewhere(lambda: rest(deployment))
        page.reload()
        page.get_by_text("Hibernated by Bob. It wakes up on Monday").wait_for()
        assert axe_complaints(page) == []
        page.get_by_role("button", name="Wake up").click()
        page.get_by_text("Actions", exact=True).wait_for()
        elsewhere(lambda: settle(deployment))
        page.reload()
        page.get_by_role("link", name="Open Airflow").wait_for()
        assert problems == []
    assert not Deployment.objects.get(pk=deployment.pk).hibernating
