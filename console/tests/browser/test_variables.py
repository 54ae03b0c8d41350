"""Environment variables in a real browser: add, import, apply, delete; and a question before typing is lost."""

import re

import pytest
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from deployments.domain.variables import Setting
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.browser

CANARY = "canary-b405e1"


def look(page: Page) -> None:
    assert axe_complaints(page) == []
    assert overflow(page) == 0
    assert CANARY not in page.content()


def a_secret_is_added_and_leaving_its_form_asks_first(page: Page) -> None:
    page.get_by_role("link", name="Add variable").click()
    look(page)
    page.get_by_label("Key").fill("TOKEN")
    page.get_by_label("Value").fill(f"{CANARY}\nsecond line")
    page.get_by_label("Secret").check()

    asked: list[str] = []

    def stay(dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_label("Key")).to_have_value("TOKEN")  # still here, nothing lost
    assert asked == ["beforeunload"]

    page.get_by_role("button", name="Add variable").click()  # and sending it asks nothing
    expect(page.get_by_role("row", name="TOKEN")).to_contain_text("Secret, set just now by Bob")
    look(page)


def a_dotenv_is_imported(page: Page) -> None:
    page.get_by_role("link", name="Import a .env").click()
    page.get_by_label("Paste the text").fill(f"REGION=eu\nTOKEN={CANARY}2\nPATH=/bin\n")
    page.get_by_label("New variables are secret").uncheck()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", name=re.compile("^Refused"))).to_be_visible()
    look(page)
    page.get_by_role("button", name="Apply 2 changes").click()
    expect(page.get_by_text("Revision 2 is saved.")).to_be_visible()
    expect(page.get_by_role("link", name="Variables 2")).to_have_attribute("aria-current", "page")


def one_is_deleted_and_the_revision_before_applied_again(page: Page) -> None:
    page.get_by_role("checkbox", name="REGION").check()
    page.get_by_role("button", name="Delete selected…").click()
    look(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 variable is deleted.")).to_be_visible()
    page.get_by_role("heading", name="Revisions").click()
    page.get_by_role("link", name="Apply again… revision 2").click()
    look(page)
    page.get_by_role("button", name="Apply 1 change").click()
    expect(page.get_by_text("Revision 4 is saved.")).to_be_visible()


def test_variables_are_added_imported_and_deleted(live_server, as_, bob, deployment, driver):
    settle(deployment)
    cookies = cookies_of(as_(bob), live_server.url)
    home = f"/deployments/{deployment.release_name}/variables/"
    complaints: list[str] = []
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 900}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if "Policy" in message.text else None
        )

        page.goto(home)
        look(page)
        a_secret_is_added_and_leaving_its_form_asks_first(page)
        a_dotenv_is_imported(page)
        one_is_deleted_and_the_revision_before_applied_again(page)
        context.close()
    assert complaints == []
    assert vault.variables_of(deployment) == {
        "REGION": Setting("eu", False),
        "TOKEN": Setting(f"{CANARY}2", True),
    }
