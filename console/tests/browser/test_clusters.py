"""Two clusters in a real browser: registering one in Django admin, its checks, and the create form that follows the
chosen cluster, with and without JavaScript."""

import pytest
from playwright.sync_api import expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from deployments.actions import clusters
from deployments.actions.clusters import ClusterConnection
from deployments.clusters import checks
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState

pytestmark = pytest.mark.browser

FOUND = [
    Check("api", "API server", CheckState.OK, "Kubernetes v1.36.3 answers."),
    Check("domain", "Ingress domain", CheckState.WARNING, "No domain was given."),
    Check("isolation", "Network isolation", CheckState.UNCHECKED, "Not checked: no pod started within 60 s."),
]


@pytest.fixture
def production(cluster, monkeypatch):
    monkeypatch.setattr(checks, "examine", lambda config: FOUND)
    monkeypatch.setattr(checks, "try_out", lambda config: [])
    reach = ClusterConnection(
        Credentials("https://10.0.0.1:6443", "", "t"), "postgresql://a:b@db.example/postgres", {}
    )
    made = clusters.register(name="Zeta", reach=reach, by=None)
    checks.check(made.pk)
    return made


def test_the_form_follows_the_cluster_and_loses_nothing(live_server, as_, bob, workspace, production):
    cookies = cookies_of(as_(bob), live_server.url)
    url = f"/w/{workspace.pk}/deployments/new/"
    complaints: list[str] = []
    with chromium() as browser:
        for javascript in (True, False):
            size = {"width": 390, "height": 900}
            context = browser.new_context(
                viewport=size, base_url=live_server.url, java_script_enabled=javascript
            )
            context.add_cookies(cookies)
            page = context.new_page()
            page.on(
                "console",
                lambda message: complaints.append(message.text) if "Policy" in message.text else None,
            )
            page.goto(url)
            page.get_by_label("Name", exact=True).fill("Analytics")
            kubernetes = page.locator("input[name=executor][value=kubernetes]")
            for name, count in (("Zeta", 1), ("This machine", 0)):
                page.get_by_label("Cluster").focus()
                page.get_by_label("Cluster").select_option(label=name)
                if not javascript:
                    page.get_by_role("button", name="Show what the chosen cluster offers").click()
                expect(kubernetes).to_have_count(count)
                expect(page.get_by_label("Name", exact=True)).to_have_value("Analytics")
                if count:
                    kubernetes.check(force=True)  # its card covers it, and takes the click
            expect(page.get_by_text("This machine does not offer Executor Kubernetes")).to_be_visible()
            if javascript:
                expect(page.get_by_label("Cluster")).to_be_focused()
                assert axe_complaints(page) == []
                assert overflow(page) == 0
            context.close()
    assert complaints == []


def test_the_pages_of_clusters_can_be_used_by_everybody(live_server, as_, olga, production):
    cookies = cookies_of(as_(olga), live_server.url)
    with chromium() as browser:
        for width, scheme in ((1280, "light"), (390, "dark")):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, base_url=live_server.url, color_scheme=scheme
            )
            context.add_cookies(cookies)
            page = context.new_page()
            for url in ("add/", f"{production.pk}/change/", f"{production.pk}/reach/"):
                page.goto(f"/admin/deployments/cluster/{url}")
                assert own(axe_complaints(page)) == [], url
                assert overflow(page) == 0, url
            context.close()


def own(complaints: list[str]) -> list[str]:
    """Those that are not about Django admin's own frame and widgets."""
    return [c for c in complaints if not c.startswith(("region:", "landmark-")) and "select2" not in c]
