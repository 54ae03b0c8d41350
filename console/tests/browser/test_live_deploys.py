"""Open pages of deploys: what they offer and say when their Deployment or their deploy has moved on."""

# ruff: noqa: F811 - fixtures of another module

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from console.tests.browser.test_live_regions import beside, created, creating, refresh, window  # noqa: F401
from deployments.tests.one_of_everything import furnish

pytestmark = pytest.mark.browser


def test_the_page_of_deploys_offers_to_deploy_as_soon_as_that_can_be_done(
    window, live_server, deployment, beside
) -> None:
    beside(lambda: creating(deployment))
    page = window.new_page()
    page.goto(f"{live_server.url}{deployment.url}deploys/")
    expect(page.get_by_text("is being created")).to_be_visible()
    git = page.get_by_role("link", name="Git", exact=True)
    git.focus()
    beside(lambda: created(deployment))
    refresh(page, f"#badge-{deployment.pk}")
    expect(page.get_by_role("link", name="Deploy code")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy an example DAG")).to_be_visible()
    expect(page.get_by_text("is being created")).to_have_count(0)
    expect(page.get_by_text("Actions", exact=True)).to_be_visible()
    expect(git).to_be_focused()


def test_how_a_deploy_ended_is_shown_and_spoken_on_its_open_page_whose_details_stay_open(
    window, live_server, deployment, beside
) -> None:
    def under_way() -> None:
        created(deployment)
        furnish(deployment)
        deployment.deploys.update(status="activating", finished_at=None, packages={"pandas": "2.3"})

    beside(under_way)
    page = window.new_page()
    page.goto(f"{live_server.url}{deployment.url}deploys/1/")
    page.get_by_text("All 1 beyond those of the runtime").click()
    ended = timezone.now()
    beside(lambda: deployment.deploys.update(status="deployed", activated_at=ended, finished_at=ended))
    refresh(page, "#deploy")
    expect(page.locator("#deploy")).to_contain_text("Active since")
    expect(page.locator("#announce")).to_have_text("Deploy 1: Deployed.")
    expect(page.locator("#deploy details[open]")).to_contain_text("pandas 2.3")
