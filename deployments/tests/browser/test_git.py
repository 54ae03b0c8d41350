"""A repository is connected by SSH in a real Chromium, against a real Git server and the scripted data plane."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow, turn
from deployments.models import Deploy, GitSource
from deployments.outgoing.git import keys
from deployments.reconciler import git_sources as looking
from deployments.tests.git.fixtures import loopback, repository, ssh  # noqa: F401 - fixtures
from deployments.tests.reconciler.test_deploys import run
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def elsewhere(act):
    """Use the database on another thread: beside Playwright this one looks asynchronous to Django."""

    def work():
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


def seen(page, name: str) -> None:
    """Nothing to complain about in both themes and at both widths; a picture of each where `SHOTS` says so."""
    for width in (1280, 390):
        for theme in ("light", "dark"):
            turn(page, width, theme)
            assert overflow(page) <= 0, (name, width)
            if width == 1280:
                assert axe_complaints(page) == [], (name, theme)
            if folder := os.environ.get("SHOTS"):
                page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}.png", full_page=True)
    turn(page, 1280, "light")


def a_repository_is_connected(page, address: str) -> None:
    page.get_by_role("link", name="Connect a repository").click()
    page.get_by_label("Address").fill("http://127.0.0.1/x")
    page.get_by_role("button", name="Connect").click()
    page.get_by_text("http:// is not encrypted").first.wait_for()
    seen(page, "form")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Subfolder").fill("dags")
    page.get_by_label("Deploy newer commits automatically").uncheck()
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("heading", name="Airdeck's public key").wait_for()


def test_connect_compare_the_fingerprint_and_deploy_on_a_click(
    live_server,
    as_,
    bob,
    deployment,
    driver,
    ssh,  # noqa: F811
    repository,  # noqa: F811
):
    settle(deployment)
    cookies = cookies_of(as_(bob), live_server.url)
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
        context.add_cookies(cookies)
        context.route("**/stream/**", lambda route: route.abort())
        page = context.new_page()
        page.goto(f"/deployments/{deployment.release_name}/deploys/")
        page.get_by_role("link", name="Git", exact=True).click()
        seen(page, "empty")
        a_repository_is_connected(page, ssh.url("dags.git"))
        ssh.accepted.append(elsewhere(lambda: GitSource.objects.get().public_key))
        elsewhere(lambda: looking.check(deployment.pk))
        page.reload()
        page.get_by_text(ssh.host_key.get_fingerprint()).wait_for()
        assert keys.fingerprint(elsewhere(lambda: GitSource.objects.get().offered_host_key)) in page.content()
        seen(page, "host-key")
        page.get_by_role("button", name="Confirm this key").click()
        page.get_by_text("The host key is confirmed.").wait_for()
        elsewhere(lambda: looking.check(deployment.pk))
        page.reload()
        page.get_by_text("A newer commit is there").wait_for()
        seen(page, "newer")
        page.get_by_role("button", name="Deploy the newest commit").click()
        page.get_by_text("asked for the newest commit").wait_for()
        elsewhere(lambda: looking.check(deployment.pk))
        elsewhere(lambda: run(deployment))
        page.goto(f"/deployments/{deployment.release_name}/deploys/")
        page.get_by_text("The first DAG").wait_for()
        page.get_by_role("link", name="Deploy 1").click()
        page.get_by_text("Ada <ada@example.org>").wait_for()
    found = Deploy.objects.get()
    assert (found.git["sha"], found.by_id, found.status) == (repository.first, bob.pk, "deployed")
