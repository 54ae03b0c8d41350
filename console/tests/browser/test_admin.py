"""The operators' pages in a real browser: they work under the console's content security policy, in both themes."""

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow, turn
from console.tests.test_pages import in_full
from deployments.models import Cluster
from workspaces.models import AuditEvent

pytestmark = pytest.mark.browser
# Django's table of inline rows has two heads without words; see templates/admin/edit_inline of its wheel.
DJANGO_S_OWN = ("empty-table-header", 'label: <input class="select2-search__field"')
SHOTS = os.environ.get("SHOTS", "")  # a folder: keep what the pages look like


def admin_page(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def left(page: Page, selector: str) -> str:
    """How far its words are from its left edge."""
    return str(page.locator(selector).evaluate("it => getComputedStyle(it).paddingInlineStart"))


@pytest.fixture
def pages(deployment, workspace, alice, cluster) -> dict[str, str]:
    in_full(deployment)
    names = ("user", "workspace", "membership", "invitation", "auditevent")
    lists = {name: reverse(f"admin:workspaces_{name}_changelist") for name in names}
    names = (
        "cluster",
        "runtimerelease",
        "workertype",
        "deployment",
        "step",
        "componentstatus",
        "statuschange",
    )
    lists |= {name: reverse(f"admin:deployments_{name}_changelist") for name in names}
    rows = {row._meta.model_name: row for row in (deployment, workspace, alice, cluster, deployment.runtime)}
    return {"index": "/admin/", **lists} | {f"one_{name}": admin_page(row) for name, row in rows.items()}


def test_pages_work_under_the_policy_in_both_themes_and_widths(live_server, as_, olga, pages):
    cookies = cookies_of(as_(olga), live_server.url)
    complaints, wide, unfit, uneven = [], [], [], []
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "response",
            lambda answer: (
                complaints.append(f"{answer.status} {answer.url}") if answer.status > 399 else None
            ),
        )
        for name, url in pages.items():
            page.goto(live_server.url + url)
            for width, theme in ((1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")):
                turn(page, width, theme)
                found = axe_complaints(page) if (width, theme) in {(1280, "light"), (390, "dark")} else []
                unfit += [
                    f"{name} at {width}, {theme}: {each}"
                    for each in found
                    if not each.startswith(DJANGO_S_OWN)
                ]
                wide += [f"{name} at {width}"] * bool(overflow(page))
                uneven += [f"{name} at {width}"] * (left(page, "#footer") != left(page, "#content"))
                if SHOTS:
                    page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{theme}.png", full_page=True)
    assert complaints == []
    assert wide == []
    assert uneven == []  # the footer stands as far in as what is above it
    assert unfit == []


def test_an_operator_suspends_a_workspace_and_restricts_a_cluster_by_hand(
    live_server, as_, olga, pages, workspace, cluster
):
    cookies, complaints = cookies_of(as_(olga), live_server.url), []
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(live_server.url + pages["one_workspace"])
        page.get_by_label("Action:").select_option("Suspend")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("heading", name="Suspend")).to_be_visible()
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "confirm.png")
        page.get_by_role("button", name="Suspend").click()
        expect(page.locator(".messagelist .success")).to_contain_text("Acme Data is suspended")
        page.goto(live_server.url + pages["one_cluster"])
        page.get_by_label("Restrict to the Workspaces below").check()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".errorlist")).to_contain_text("Deployments of Acme Data are on This machine.")
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "refused.png")
        page.locator(".select2-selection").click()
        page.keyboard.type("acme")
        page.locator(".select2-results__option", has_text="Acme Data").click()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".messagelist .success")).to_contain_text("was changed successfully")
    assert complaints == []
    assert Cluster.objects.get().workspaces.get() == workspace
    assert list(AuditEvent.objects.order_by("-pk").values_list("verb", "actor_id")[:2]) == [
        ("changed who may use", olga.pk),
        ("suspended", olga.pk),
    ]
