"""Takes the pictures of docs/img again: a real console with real Airflows, as a person sees them in Chromium.

Run as: python -m console.tests.pictures. Takes about six minutes, and leaves nothing behind but the pictures.
"""

import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, expect

from console.embedded import programs
from console.tests.browser.chromium import SETTLE, chromium
from console.tests.system.installation import PASSWORD, Installation, wait_until

FOLDER = programs.BASE / "docs" / "img"
WIDTH, HEIGHT = 1100, 620
HEALTHY_SECONDS = 300_000  # milliseconds, for a first Airflow of a runtime
DOTENV = (
    "REGION=eu-west-1\nLOG_RETENTION_DAYS=30\nAPI_TOKEN=a-long-token\nAIRFLOW__CORE__EXECUTOR=LocalExecutor\n"
)


class Photographer:
    """One person's browser and where the pictures go."""

    def __init__(self, page: Page, at: Installation) -> None:
        self.page, self.at = page, at

    def take(self, name: str, *, height: int = HEIGHT) -> None:
        """One picture of the page as it stands, once nothing moves."""
        self.page.set_viewport_size({"width": WIDTH, "height": height})
        self.page.evaluate("scrollTo(0, 0)")
        self.page.evaluate(SETTLE)
        keep(name, self.page.screenshot())

    def open(self, path: str) -> None:
        """A page of the console."""
        self.page.goto(self.at.url + path)

    def sign_up(self, name: str, email: str) -> None:
        """Make an account and give it a name."""
        self.open("/accounts/signup/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.open("/account/")
        self.page.locator("#id_name").fill(name)
        self.page.get_by_role("button", name="Save changes").click()

    def create(self, name: str, executor: str) -> str:
        """A Deployment; the address of its page."""
        self.open("/")
        self.page.get_by_role("link", name="Create Deployment").first.click()
        self.page.locator("#id_name").fill(name)
        self.page.get_by_text(executor, exact=True).click()
        self.page.get_by_role("button", name="Create Deployment").click()
        self.page.wait_for_url("**/deployments/*-*-*/")
        return self.page.url.removeprefix(self.at.url)

    def wait_healthy(self, path: str) -> None:
        """Until its badge says so."""
        self.open(path)
        expect(self.page.locator("#head .badge").first).to_have_text("Healthy", timeout=HEALTHY_SECONDS)


def keep(name: str, picture: bytes) -> None:
    """Write a picture with a palette: two thirds of its bytes are shades that no eye tells apart."""
    colors = Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    colors.save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png", flush=True)


@contextmanager
def photographer(at: Installation) -> Iterator[Photographer]:
    """Alice, at a window of the width of the pictures."""
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
        )
        yield Photographer(context.new_page(), at)
        context.close()


def main() -> int:
    """Every picture, in the order of a Deployment's life."""
    with Installation() as at, photographer(at) as alice:
        alice.sign_up("Alice", "alice@example.org")
        analytics = alice.create("Analytics", "Celery")
        expect(alice.page.locator("#live-steps")).to_be_visible(timeout=60_000)
        alice.page.wait_for_timeout(5000)
        alice.take("creating", height=760)
        alice.wait_healthy(analytics)
        reports = alice.create("Reports", "Local")
        alice.wait_healthy(reports)
        _of_deploys(alice, analytics)
        _of_settings(alice, analytics)
        _of_signing_in(alice, analytics)
        _of_variables(alice, analytics)
        _of_what_it_does(alice, analytics)
        alerts = _of_rules(alice)
        alice.open(alerts.replace("alerts", "deployments"))
        alice.take("deployments", height=420)
        _of_a_failure(alice, analytics, alerts)
    return 0


def _of_settings(alice: Photographer, path: str) -> None:
    page = alice.page
    alice.open(f"{path}edit/")
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    page.locator("[name=scheduler_au]").fill("8")
    page.get_by_role("button", name="Review changes").click()
    alice.take("review", height=700)
    _of_a_difference(alice, path)
    alice.open(f"{path}queues/")
    alice.take("queues")
    alice.open(f"{path}schedule/?suggest=nights")
    page.locator("#id_hibernate_cron").press("End")
    page.wait_for_timeout(1000)
    alice.take("schedule", height=700)
    alice.open(f"{path}logs/?component=scheduler")
    page.wait_for_timeout(2000)
    alice.take("logs")


def _of_signing_in(alice: Photographer, path: str) -> None:
    """One click into Airflow as oneself, a token for scripts, and the command line by a code."""
    page = alice.page
    alice.open(path)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open Airflow").first.click()
    airflow = opened.value
    airflow.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    airflow.wait_for_url(re.compile(r"localhost:\d+/$"))
    expect(airflow.get_by_role("heading", name="Stats", exact=True)).to_be_visible(timeout=60_000)
    airflow.get_by_text("User", exact=True).click()  # its menu names who is signed in
    airflow.wait_for_timeout(2000)
    keep("airflow", airflow.screenshot())
    airflow.close()
    alice.open(f"{path}airflow-token/")
    alice.take("airflow-token", height=460)
    fields = {"client_id": "airdeck-cli", "device": "laptop"}
    begun = httpx.post(f"{alice.at.url}/identity/o/api/device/code", data=fields, trust_env=False).json()
    alice.open(f"/device/?code={begun['user_code']}")
    if "reauthenticate" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/device/**")
    alice.take("command-line", height=560)


def _of_a_difference(alice: Photographer, path: str) -> None:
    """Somebody else saves first: here the same person in a second tab, who takes nothing away from what is shown."""
    page = alice.page
    alice.open(f"{path}edit/")
    page.locator("#id_description").fill("Loads of the warehouse.")
    other = page.context.new_page()
    other.goto(f"{alice.at.url}{path}edit/")
    other.locator("#id_description").fill("Nightly loads of the warehouse, by team Data.")
    other.get_by_role("button", name="Review changes").click()
    other.wait_for_load_state()
    other.close()
    page.get_by_role("button", name="Review changes").click()
    page.wait_for_load_state()
    alice.take("difference", height=560)


def _of_variables(alice: Photographer, path: str) -> None:
    page = alice.page
    alice.open(f"{path}variables/import/")
    page.get_by_label("Paste the text").fill(DOTENV)
    page.get_by_role("button", name="Review changes").click()
    alice.take("variables-import", height=700)
    page.get_by_role("button", name=re.compile("^Apply")).click()
    alice.wait_healthy(path)
    alice.open(f"{path}variables/")
    alice.take("variables", height=560)


def _of_deploys(alice: Photographer, path: str) -> None:
    page = alice.page
    alice.open(f"{path}deploys/")
    page.get_by_role("button", name="Deploy an example DAG").first.click()
    expect(page.locator("main .badge").first).to_have_text(
        re.compile("Active|Deployed"), timeout=HEALTHY_SECONDS
    )
    alice.take("deploy", height=760)
    alice.open(f"{path}deploys/")
    alice.take("deploys")


def _of_what_it_does(alice: Photographer, path: str) -> None:
    """Figures and DAGs, once a reading has seen the run of the example."""
    page = alice.page

    def read() -> bool:
        alice.open(f"{path}dags/")
        row = page.get_by_role("row").filter(has_text="hello_airdeck")
        return row.is_visible() and "Succeeded" in row.inner_text()

    wait_until(read, 240, lambda: page.inner_text("main")[:500], every=5)
    alice.take("dags", height=460)
    alice.open(f"{path}?span=1h")
    page.set_viewport_size({"width": WIDTH, "height": 760})
    page.locator("#figures").evaluate("each => each.scrollIntoView({block: 'start'})")
    page.evaluate(SETTLE)
    keep("overview", page.screenshot())


def _of_rules(alice: Photographer) -> str:
    """The usual rules, one of them made quick; the address of the alerts."""
    page = alice.page
    alice.open("/")
    page.get_by_role("link", name="Alerts", exact=True).first.click()
    page.wait_for_url("**/alerts/")
    alerts = page.url.removeprefix(alice.at.url)
    page.get_by_role("button", name="Email these to the Admins").click()
    alice.open(f"{alerts}rules/")
    page.get_by_role("link", name="Edit Unhealthy").click()
    page.locator("#id_amount").fill("1")
    page.get_by_role("button", name="Save rule").click()
    page.wait_for_url("**/rules/")
    alice.take("alert-rules", height=700)
    return alerts


def _of_a_failure(alice: Photographer, path: str, alerts: str) -> None:
    """A scheduler that is killed again and again, until a rule has seen it."""
    page, release = alice.page, path.strip("/").split("/")[-1]

    def killed_until(address: str, sentence: str) -> None:
        def seen() -> bool:
            for process in alice.at.supervisor.processes():
                if process.full_name.startswith(f"{release}.scheduler") and process.pid:
                    os.kill(process.pid, signal.SIGKILL)
            page.wait_for_timeout(3000)
            alice.open(address)
            return page.get_by_text(sentence).first.is_visible()

        wait_until(seen, 300, lambda: page.inner_text("main")[:500], every=1)

    killed_until(path, "Failing")
    page.get_by_role("link", name="Why?").first.click()
    page.wait_for_timeout(3000)
    alice.take("why", height=1000)
    killed_until(alerts, "Analytics is Unhealthy")
    alice.take("alerts", height=420)


if __name__ == "__main__":
    Path(FOLDER).mkdir(exist_ok=True)
    sys.exit(main())
