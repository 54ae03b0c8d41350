"""What a real Airflow does and what goes wrong in it, in a real browser: DAGs that succeed, fail, wait in a queue that
does not exist and do not import are on every page that should show them, and a real mail server and a real webhook got
what they should. The tests run in order, each standing on the one before."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from console.embedded import postgres
from console.tests.browser.chromium import axe_complaints, chromium, overflow, turn
from console.tests.system.installation import EMAIL, Installation, free_port, wait_until
from deployments.actions.alerts import AGAIN_AFTER
from deployments.dataplane.postgres import databases
from deployments.tests.dataplane.local.reading_story import FILES, ONCE
from deployments.tests.receivers import Inbox, Receiver, signature

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.timeout(600)]

WORKS = {"works": ONCE.format(dag="works", queue="default", task="works", does="return 1")}
LIVING = "SELECT release_name, name FROM deployments_deployment WHERE deleted_at IS NULL"
SOON = "UPDATE deployments_latestreading SET due_at = now()"  # a minute is long for a test
SEEN = """
SELECT (SELECT import_error_count FROM deployments_latestreading),
  (SELECT lost_queues FROM deployments_latestreading),
  (SELECT json_object_agg(dag_id, last_state) FROM deployments_dag)
"""
ALL_SEEN = (1, ["nowhere"], {"works": "success", "failing": "failed", "lost": "running", "daily": ""})
NO_LONGER_LOST = """
UPDATE task_instance SET state = 'success' WHERE dag_id = 'lost';
UPDATE dag_run SET state = 'success', end_date = now() WHERE dag_id = 'lost'
"""
FAILED, BROKEN = "DAG failing failed in Pipelines", "1 file does not import in Pipelines"
LOST = "Tasks wait in worker queue nowhere, which Pipelines does not have"


@pytest.fixture(scope="module")
def inbox() -> Iterator[tuple[Inbox, int]]:
    """A mail server, and its port."""
    port = free_port()
    with Inbox().at(port) as made:
        yield made, port


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def it(shared, inbox) -> Iterator[Installation]:
    """That of the main job, started again with a mail server once the other files are done with it."""
    shared.come_back()
    with shared.database() as database:
        living = database.execute(LIVING).fetchall()
    for release, name in living:
        shared.delete_deployment(release, name)
    for release, _ in living:
        wait_until(lambda release=release: "Deleted" in shared.story(release), 60, every=0.3)
    shared.stop()
    mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(inbox[1]), "EMAIL_TLS": "False"}
    shared.start(environment={**mail, "WEBHOOK_ADDRESSES": "127.0.0.1"})
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def release(it) -> str:
    """A Deployment with Celery, which becomes Healthy while rules are set."""
    return it.create_deployment("Pipelines", executor="celery")


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """What the pages showed once."""
    return {}


@contextmanager
def signed_in(it: Installation) -> Iterator[Page]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": n, "value": v, "url": it.url} for n, v in it.client.cookies.items()])
        yield context.new_page()


def test_rules_and_a_webhook_are_set_up_by_hand(it, release, hook, secrets):
    with signed_in(it) as page:
        page.goto(f"{it.url}{it.workspace()}")
        page.get_by_role("link", name="Alerts", exact=True).click()
        page.get_by_role("button", name="Email these to the Admins").click()
        expect(page.get_by_text("4 rules are on; alerts are emailed to the Admins.")).to_be_visible()
        page.get_by_role("link", name="Channels", exact=True).click()
        page.get_by_role("link", name="Webhook", exact=True).click()
        page.get_by_label("Name", exact=True).fill("Pager")
        page.get_by_label("Address", exact=True).fill(hook.url)
        page.get_by_role("button", name="Add channel").click()
        expect(page.get_by_role("heading", name="Copy the secret now")).to_be_visible()
        secrets["webhook"] = str(page.locator("[data-copy^=whsec_]").get_attribute("data-copy"))
        page.get_by_role("link", name="I have copied it").click()
        for rule in ("DAG run failed", "Import errors", "Worker queue that does not exist"):
            page.get_by_role("link", name="Rules", exact=True).click()
            page.get_by_role("row", name=re.compile(rf"^{rule}")).get_by_role("link").click()
            page.get_by_label("Pager", exact=True).check(force=True)  # its card takes the click
            page.get_by_role("button", name="Save rule").click()
        page.get_by_role("link", name="Channels", exact=True).click()
        page.get_by_role("button", name="Send a test to Pager").click()
        wait_until(lambda: bool(hook.requests), 30)
    assert event(hook, 0)["event"] == "alert.test"


def event(hook: Receiver, number: int) -> dict:
    return json.loads(hook.requests[number][1])


def seen(it: Installation) -> tuple:
    """The present reading, and another one is asked for."""
    with it.database() as database:
        found = database.execute(SEEN).fetchone()
        database.execute(SOON)
    return found


def test_what_runs_fails_waits_and_does_not_import_is_on_every_page(it, release):
    it.wait_status(release, "Healthy", 240)
    for name, text in (FILES | WORKS).items():
        (it.state.deployment(release) / "dags" / f"{name}.py").write_text(text)
    wait_until(lambda: seen(it) == ALL_SEEN, 180, lambda: str(seen(it)), every=2.0)
    with signed_in(it) as page:
        _overview(page, it, release)
        _dags(page, it, release)
        _home_and_list(page, it)


def _overview(page: Page, it: Installation, release: str) -> None:
    page.goto(f"{it.url}/deployments/{release}/")
    figures = page.locator("#figures")
    for words in (
        "1 succeeded, 1 failed",
        "broken.py",
        "ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        "Tasks wait in a queue that no worker serves.",
        "last heartbeat",
    ):
        expect(figures).to_contain_text(words)
    expect(figures.get_by_role("row", name=re.compile("^nowhere 1"))).to_be_visible()
    tiles = dict(
        zip(figures.locator("dt").all_inner_texts(), figures.locator("dd").all_inner_texts(), strict=True)
    )
    assert tiles["DAGs"].split() == ["4", "1", "paused"]
    assert tiles["Import errors"] == "1"
    assert tiles["Workers"] == "1"
    assert re.fullmatch(r"[\d.]+ [MG]iB", tiles["Memory"]), tiles
    looks_right(page)
    for span, bars in (("1 hour", 30), ("7 days", 84), ("30 days", 90)):
        figures.get_by_role("link", name=span, exact=True).click()
        expect(figures.locator(".chip[aria-current]")).to_have_text(span)
        expect(figures.locator("tbody tr").first).to_be_attached()
        assert figures.locator("#figures-table tbody tr").count() == bars
        kind = "wait" if span == "1 hour" else "good"  # tasks that wait and run; else runs and their ends
        expect(figures.locator(f".chart__{kind}, .chart__open--{kind}").first).to_be_attached()


def _dags(page: Page, it: Installation, release: str) -> None:
    page.goto(f"{it.url}/deployments/{release}/dags/")
    for name, state in (
        ("works", "Succeeded"),
        ("failing", "Failed"),
        ("lost", "Running"),
        ("Each day", "Never ran"),
    ):
        expect(page.get_by_role("row", name=re.compile(f"^{name}"))).to_contain_text(state)
    expect(page.get_by_role("heading", name="1 file does not import")).to_be_visible()
    looks_right(page)


def _home_and_list(page: Page, it: Installation) -> None:
    page.goto(f"{it.url}{it.workspace()}")
    expect(page).to_have_title(re.compile(r"^\(2\) Home"))
    needs = page.locator("#needs")
    expect(needs).to_contain_text("Import errors")
    expect(needs).to_contain_text("Lost tasks")
    expect(page.locator("#day")).to_contain_text("1 succeeded, 1 failed")
    expect(page.locator("#day")).to_contain_text("failing in Pipelines")
    looks_right(page)
    page.goto(f"{it.url}{it.home()}")
    expect(page.locator("tbody .strip")).to_be_visible()
    expect(page.get_by_text("2 runs, 1 failed")).to_be_attached()


def looks_right(page: Page) -> None:
    """In both themes, wide and narrow: nothing scrolls sideways, and axe finds nothing."""
    for width, theme in ((390, "dark"), (390, "light"), (1280, "dark"), (1280, "light")):
        turn(page, width, theme)
        assert overflow(page) == 0, (page.url, width)
        if (width == 390) == (theme == "dark"):
            assert axe_complaints(page) == [], (page.url, width, theme)


def test_mail_server_and_webhook_got_what_they_should(it, release, inbox, hook, secrets):
    letters = inbox[0]
    wait_until(
        lambda: len(hook.requests) == 4, 90, lambda: str([event(hook, n) for n in range(len(hook.requests))])
    )
    wait_until(
        lambda: any(s.startswith(FAILED) for s in letters.subjects()), 60, lambda: str(letters.subjects())
    )
    messages = [event(hook, number) for number in (1, 2, 3)]
    assert {message["headline"] for message in messages} == {FAILED, BROKEN, LOST}
    for headers, body in hook.requests:
        assert headers["webhook-signature"] == signature(secrets["webhook"], headers, body)
    for message in messages:
        assert message["event"] == "alert.opened"
        assert message["deployment"]["release_name"] == release
        link = urlsplit(message["url"])
        assert link.netloc == f"127.0.0.1:{it.port}"
        assert it.client.get(link.path).status_code == 200
    (letter,) = [each for each in letters.letters if each["Subject"].startswith(FAILED)]
    assert letter["To"] == EMAIL
    text = letter.get_content()
    assert "failed in task breaks. Its log in Airflow says why." in " ".join(text.split())
    assert f"{it.url}/deployments/{release}/dags/" in text
    everything = str([body for _, body in hook.requests]) + str(
        [each.as_string() for each in letters.letters]
    )
    for secret in (secrets["webhook"], "s3cr3t", "on purpose"):
        assert secret not in everything


def test_an_alert_is_silenced_a_mail_sent_again_and_what_is_over_ends(it, release, inbox, hook):
    letters, alerts = inbox[0], f"{it.url}{it.workspace()}alerts/"
    with signed_in(it) as page:
        page.goto(alerts)
        expect(page.get_by_role("link", name="Alerts 3 open")).to_be_visible()
        looks_right(page)
        page.get_by_label(f"How long to silence {BROKEN}").select_option("1 hour")
        page.get_by_role("button", name=f"Silence {BROKEN}").click()
        expect(page.get_by_role("row", name=re.compile(BROKEN))).to_contain_text("Silenced")

        page.get_by_role("link", name="Deliveries", exact=True).click()
        mailed = page.get_by_role("row", name=re.compile(FAILED)).filter(has_text=EMAIL)
        expect(mailed).to_contain_text("The mail server took it.")
        expect(page.get_by_role("row", name=re.compile(LOST))).to_contain_text("200 ok")
        looks_right(page)
        page.wait_for_timeout(AGAIN_AFTER.total_seconds() * 1000)  # so long a message that was sent rests
        mailed.get_by_role("button", name="Send again").click()
        expect(page.get_by_text(f"The message to {EMAIL} is sent again.")).to_be_visible()
        wait_until(lambda: sum(s.startswith(FAILED) for s in letters.subjects()) == 2, 30)

        (it.state.deployment(release) / "dags" / "broken.py").unlink()
        with databases.connect(
            postgres.url(it.state, "postgres"), database=databases.database_name(release)
        ) as airflow:
            airflow.execute(NO_LONGER_LOST)
        wait_until(lambda: seen(it)[:2] == (0, []), 120, lambda: str(seen(it)), every=2.0)
        wait_until(lambda: len(hook.requests) == 5, 60)
        assert event(hook, 4)["event"] == "alert.resolved"
        assert event(hook, 4)["headline"] == LOST  # the other one was silenced
        wait_until(
            lambda: _one_is_open(page, alerts), 60
        )  # the silenced one ends by its own rule, without a message
        expect(page.get_by_role("region", name="Resolved in the last week")).to_contain_text(BROKEN)


def _one_is_open(page: Page, alerts: str) -> bool:
    page.goto(alerts)
    return page.get_by_role("link", name="Alerts 1 open").count() == 1
