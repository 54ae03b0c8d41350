"""A passkey in a real browser with a virtual authenticator: added, and signed in with, under our content policy."""

import pytest
from django.core.cache import cache
from playwright.sync_api import BrowserContext, Page, expect

from conftest import PASSWORD
from console.tests.browser.chromium import chromium

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def with_authenticator(context: BrowserContext) -> Page:
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return page


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_passkey_is_added_and_signs_in_without_a_password(live_server, alice) -> None:
    cache.clear()
    refused: list[str] = []
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url)
        page = with_authenticator(context)
        page.on("console", lambda message: refused.append(message.text) if "Policy" in message.text else None)

        page.goto("/accounts/login/?next=/accounts/2fa/webauthn/add/")
        page.fill("#id_login", alice.email)
        page.fill("#id_password", PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.fill("#id_password", PASSWORD)  # who is it, before a key is added
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Sign in without a password").check()
        page.get_by_role("button", name="Add passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")

        page.goto("/account/")
        page.get_by_role("button", name="Sign out").first.click()
        page.goto("/accounts/login/?next=/account/")
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page.get_by_text(f"Signed in as {alice.email}")).to_be_visible()
    assert refused == []
