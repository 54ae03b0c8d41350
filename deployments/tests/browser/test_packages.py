"""Packages of an upload in a real browser, on the scripted plane: the review waits for them and says what restarts."""

import threading

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.urls import reverse
from playwright.sync_api import expect

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow
from deployments.dataplane.contract import Ref
from deployments.tests.archives import tar_gz
from deployments.tests.reconciler.test_deploys import again, deployed, run
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FILES = {"one.py": b"X = 1\n", "requirements.txt": b"pandas>=2\n"}


def in_thread(act) -> None:
    """Queries run beside the browser's event loop only in a thread of their own."""

    def whole() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=whole)
    thread.start()
    thread.join()


def test_the_review_shows_the_packages_once_they_are_known_and_keeps_what_was_typed(
    live_server, as_, bob, deployment, driver
) -> None:
    settle(deployment)
    deployed(deployment, bob, FILES)
    run(deployment)
    store = driver.packages(Ref(str(deployment.pk), deployment.release_name))
    store.index["pandas"] = "2.3"
    store.slow_resolve = 1
    client = as_(bob)
    file = SimpleUploadedFile("code.tar.gz", tar_gz({**FILES, "requirements.txt": b"pandas>=2\npolars\n"}))
    new = reverse("deployments:deploy_new", args=[deployment.release_name])
    review = client.post(new, {"archive": file})["Location"]
    again(deployment)
    assert store.slow_resolve == 0  # asked once, and not known yet
    cookies = cookies_of(client, live_server.url)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
        context.add_cookies(cookies)
        context.route("**/stream/**", lambda route: route.abort())  # the page asks by itself
        page = context.new_page()
        page.goto(live_server.url + review)
        expect(page.get_by_text("Resolving the packages.")).to_be_visible()
        page.get_by_label("Description").fill("Newer pandas")
        in_thread(lambda: run(deployment))
        expect(page.get_by_text("pandas 1.0 → 2.3")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("Restarts the API server")).to_be_visible()
        expect(page.get_by_label("Description")).to_have_value("Newer pandas")
        page.wait_for_load_state("load")
        assert (overflow(page), axe_complaints(page)) == (0, [])
        page.get_by_role("button", name="Deploy 1 change").click()
        expect(page.get_by_role("heading", name="Deploy 2")).to_be_visible()
