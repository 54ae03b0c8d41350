"""Sign-up to the first invitation accepted by a second person, in two browsers."""

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import chromium

PASSWORD = "a long enough passphrase"


def sign_up(page: Page, email: str) -> None:
    if page.locator("#id_email").input_value() != email:
        page.fill("#id_email", email)
    page.fill("#id_password1", PASSWORD)
    page.get_by_role("button", name="Create account").click()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_two_people_become_a_team(live_server, settings) -> None:
    settings.BASE_URL = live_server.url  # where links in invitations lead
    cache.clear()
    with chromium() as browser:
        admin, guest = (browser.new_context(base_url=live_server.url) for _ in range(2))
        for context in (admin, guest):
            context.route("**/stream/**", lambda route: route.abort())
        mine, theirs = admin.new_page(), guest.new_page()

        # The first person signs up, renames nothing, and invites.
        mine.goto("/accounts/signup/")
        sign_up(mine, "ada@example.org")
        mine.get_by_role("link", name="Members").click()
        mine.get_by_role("link", name="Invite people").click()
        mine.fill("textarea", "Grace@Example.org")
        mine.get_by_text("Editor", exact=True).click()
        mine.get_by_role("button", name="Invite", exact=True).click()
        expect(mine.get_by_role("heading", level=1)).to_have_text("1 person invited")
        expect(mine.get_by_role("button", name="Copy")).to_be_visible()
        link = mine.locator(".copy code").inner_text()

        # The second person follows the copied link in a browser of their own, and comes back after sign-up.
        theirs.goto(link)
        theirs.get_by_role("link", name="Create an account").click()
        sign_up(theirs, "grace@example.org")
        theirs.get_by_role("button", name="Join Ada's Workspace").click()
        expect(theirs.get_by_text("You have joined Ada's Workspace. Your role is Editor.")).to_be_visible()
        expect(theirs.get_by_role("link", name="Create Deployment").first).to_be_visible()
        expect(theirs.get_by_role("link", name="Settings")).to_have_count(0)

        # The first person sees it, and the link is used up.
        mine.get_by_role("link", name="Members", exact=True).first.click()
        expect(mine.get_by_role("row", name="grace@example.org")).to_be_visible()
        expect(mine.get_by_text("Sent", exact=True)).to_have_count(0)
        mine.get_by_role("link", name="Activity").click()
        expect(mine.get_by_text("joined Workspace")).to_be_visible()
        theirs.goto(link)
        expect(theirs.get_by_text("You are already a member of Ada's Workspace")).to_be_visible()
