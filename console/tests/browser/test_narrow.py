"""Pages from 320 px, which is 400 % zoom of a window of 1280, to 1280, with the longest names and 201 variables; and in
print."""

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow, spilled, turn
from deployments.domain.names import NAME_LENGTH, name_key
from deployments.domain.states import Status
from deployments.models import Alert, Deployment, EnvironmentVariable
from deployments.tests.one_of_everything import furnish_alerts
from workspaces.models import User, Workspace

pytestmark = pytest.mark.browser
LONGEST = "W" * NAME_LENGTH  # the widest letter, and no place to break
WIDTHS = (320, 560, 768, 900, 1024, 1100, 1280)
PAGES = (
    "",
    "variables/",
    "deploys/",
    "queues/",
    "logs/",
    "activity/",
    "settings/",
    "edit/",
    "schedule/",
    "delete/",
    "dags/",
    "alerts/",
    "tokens/",
    "airflow-token/",
    "git/",
)
OF_WORKSPACE = (
    "deployments/",
    "members/",
    "tokens/",
    "alerts/",
    "alerts/rules/",
    "dags/",
    "activity/",
    "settings/",
)
OWN = ("/account/", "/account/tokens/", "/accounts/sessions/", "/device/", "/search/?q=w", "/docs/api/")


@pytest.fixture
def crowded(deployment, alice) -> Deployment:
    """Everything that has a length has its greatest."""
    User.objects.filter(pk=alice.pk).update(name="Wilhelmina-Wolfeschlegelsteinhausen" * 2)
    Workspace.objects.filter(pk=deployment.workspace_id).update(name="W" * 50)
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        name=LONGEST,
        name_key=name_key(LONGEST),
        description="https://example.org/" + "a" * 900,
        status=Status.UNHEALTHY,
        status_reason="x" * 1000,
        first_healthy_at=now,
        observed_at=now,
        airflow_url=f"http://{deployment.release_name}.localhost:8000",
    )
    EnvironmentVariable.objects.bulk_create(
        EnvironmentVariable(deployment=deployment, key=f"{'KEY' * 60}_{number:03}", value="v" * 2000)
        for number in range(201)
    )
    furnish_alerts(deployment.workspace)
    Alert.objects.update(sentence=f"Scheduler keeps ending. Last line: [airflow.jobs.{'W' * 60}]")
    deployment.refresh_from_db()
    return deployment


def test_no_page_scrolls_sideways_or_spills_out_of_its_boxes_and_the_printed_one_has_no_controls(
    live_server, as_, alice, crowded
):
    cookies = cookies_of(as_(alice), live_server.url)
    workspace = crowded.workspace.url
    home = reverse("deployments:home", args=[crowded.workspace_id])
    addresses = [workspace, f"{workspace}new/", *OWN, *(f"{home}{page}" for page in OF_WORKSPACE)]
    addresses += [f"{crowded.url}{page}" for page in PAGES]
    sideways, outside, complaints, printed = {}, {}, {}, {}
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 320, "height": 900}, base_url=live_server.url)
        context.route("**/stream/**", lambda route: route.abort())
        context.add_cookies(cookies)
        page = context.new_page()
        for address in addresses:
            page.goto(address)
            for width in reversed(WIDTHS):
                turn(page, width, "light")
                sideways[address, width] = overflow(page)
                outside[address, width] = spilled(page)
            if address in {workspace, crowded.url}:
                complaints[address] = axe_complaints(page)
            page.emulate_media(media="print")
            controls = page.locator(".side, nav[aria-label='Main'], .tabs, button, .btn")
            printed[address] = [each for each in controls.all() if each.is_visible()]
            page.emulate_media(media="screen")
        context.close()
    assert {where: pixels for where, pixels in sideways.items() if pixels} == {}
    assert {where: found for where, found in outside.items() if found} == {}
    assert {address: found for address, found in complaints.items() if found} == {}
    assert {address: len(found) for address, found in printed.items() if found} == {}


def test_the_longest_workspace_name_fits_a_narrow_window_and_the_switcher_shows_all_of_it(
    live_server, as_, alice, deployment
) -> None:
    name = "Machine learning platform, forecasting, Northwest"
    Workspace.objects.update(name=name.ljust(50, "x"))
    cookies = cookies_of(as_(alice), live_server.url)
    with chromium() as browser:
        window = browser.new_context()
        window.add_cookies(cookies)
        page = window.new_page()
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for address in (deployment.workspace.url, deployment.url, "/account/"):
                page.goto(live_server.url + address)
                assert overflow(page) == 0, (width, address)
            page.locator(".side > .menu > summary").click()
            switcher = page.locator(".side > .menu > .menu__list")
            box = switcher.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            inside = switcher.evaluate("it => it.scrollWidth - it.clientWidth")
            side = page.locator(".side").evaluate("it => it.scrollWidth - it.clientWidth")
            assert (inside, side) <= (0, 0), width


def test_what_comes_next_stands_first_on_a_phone_and_beside_the_status_on_a_screen(
    live_server, as_, alice, deployment
) -> None:
    cookies = cookies_of(as_(alice), live_server.url)
    with chromium() as browser:
        window = browser.new_context(base_url=live_server.url)
        window.route("**/stream/**", lambda route: route.abort())
        window.add_cookies(cookies)
        page = window.new_page()
        page.goto(deployment.url)
        boxes = {}
        for width in (1280, 390):
            turn(page, width, "light")
            names = {"next": "#first-steps", "status": "#live-verdict", "facts": "#facts"}
            boxes[width] = {name: page.locator(each).bounding_box() for name, each in names.items()}
        complaints = axe_complaints(page)
        window.close()
    wide, phone = boxes[1280], boxes[390]
    assert wide["next"]["y"] == wide["status"]["y"]
    assert wide["next"]["x"] == wide["facts"]["x"] > wide["status"]["x"] + wide["status"]["width"]
    assert 0 < wide["facts"]["y"] - wide["next"]["y"] - wide["next"]["height"] < 40
    assert phone["next"]["y"] + phone["next"]["height"] < phone["status"]["y"] < phone["facts"]["y"]
    assert phone["next"]["x"] == phone["status"]["x"]
    assert complaints == []
