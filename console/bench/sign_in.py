"""One sign-in: from the click to Airflow's home, and what our auth manager costs a request."""

import json
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import jwt
from playwright.sync_api import BrowserContext, Page, expect

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.tests.browser.chromium import chromium
from console.tests.system.installation import EMAIL, PASSWORD, Installation, wait_until

OPENINGS = 7
REQUESTS = 300
MUST_OPEN, MUST_REQUEST = 1.3, 1.05
PATH = "/api/v2/dags"
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"

METHOD = (
    f"In Chromium, {OPENINGS} times by turns, each in a tab of its own with one cache: from the click on Open Airflow "
    "on the Deployment's page until the home of Airflow shows its heading; and from the address of that home until "
    "the same, with the cookie that the click before it left. Then two further API servers of the same Deployment run "
    "side by side, one with our auth manager and one with Airflow's SimpleAuthManager and everything else equal, and "
    f"each is asked for {PATH} {REQUESTS} times by turns, by one connection each and with a token that has what "
    "Airflow's own tokens have (a number, by which it could be revoked); medians."
)


def measure(at: Installation) -> Result:
    """Both; Airflow is the one that other rows share."""
    release = airflow.ensure_healthy(at)
    airflow.wait_answering(at)
    opened, shown = _opened(at, release)
    ours, simple = _asked(at, release)
    open_ratio, request_ratio = median(opened) / median(shown), median(ours) / median(simple)
    figures = (
        Figure(
            "Click on Open Airflow to its home shown, against that home with a valid cookie",
            f"at most {MUST_OPEN} times",
            f"{open_ratio:.2f} times ({median(opened):.2f} s against {median(shown):.2f} s)",
            open_ratio <= MUST_OPEN,
        ),
        Figure(
            "A request to Airflow's API with our auth manager, against SimpleAuthManager",
            f"at most {MUST_REQUEST} times",
            f"{request_ratio:.3f} times ({median(ours) * 1000:.2f} ms against {median(simple) * 1000:.2f} ms)",
            request_ratio <= MUST_REQUEST,
        ),
    )
    details = (f"Clicks took {each(opened, 's', 2)}, homes {each(shown, 's', 2)}.",)
    return Result(figures, METHOD, details)


def _opened(at: Installation, release: str) -> tuple[list[float], list[float]]:
    opened, shown = [], []
    with chromium() as browser, browser.new_context() as context:
        page = _signed_in(context, at)
        for number in range(OPENINGS + 1):
            page.goto(f"{at.url}/deployments/{release}/")
            began = time.monotonic()
            with context.expect_page() as found:
                page.get_by_role("link", name=re.compile("Open Airflow")).click()
            clicked = _until_shown(found.value, began)
            home = context.new_page()
            began = time.monotonic()
            home.goto(f"http://{release}.localhost:{at.port}/", wait_until="commit")
            plain = _until_shown(home, began)
            if number:  # the first one fills the cache
                opened.append(clicked)
                shown.append(plain)
    return opened, shown


def _signed_in(context: BrowserContext, at: Installation) -> Page:
    page = context.new_page()
    page.goto(f"{at.url}/accounts/login/")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Deployments", level=1)).to_be_visible()
    return page


def _until_shown(page: Page, began: float) -> float:
    expect(page.get_by_role("heading", name="Stats", exact=True)).to_be_visible(timeout=60_000)
    took = time.monotonic() - began
    page.close()
    return took


def _asked(at: Installation, release: str) -> tuple[list[float], list[float]]:
    spec = json.loads((at.state.deployment(release) / "specs" / "api-server.json").read_text())
    now = int(time.time())
    claims = {
        "sub": "admin",
        "role": "ADMIN",
        "aud": "apache-airflow",
        "jti": uuid.uuid4().hex,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    }
    theirs = jwt.encode(claims, spec["env"]["AIRFLOW__API_AUTH__JWT_SECRET"], algorithm="HS512")
    with (
        _further(spec, {}) as ours,
        _further(spec, {"AIRFLOW__CORE__AUTH_MANAGER": SIMPLE}) as simple,
        httpx.Client(base_url=f"http://127.0.0.1:{ours}", headers=_with(at.airflow_token(release))) as first,
        httpx.Client(base_url=f"http://127.0.0.1:{simple}", headers=_with(theirs)) as other,
    ):
        wait_until(lambda: _answers(first) and _answers(other), 120)
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(REQUESTS + 20):
            for client, times in zip((first, other), taken, strict=True):
                began = time.perf_counter()
                client.get(PATH).raise_for_status()
                if number >= 20:
                    times.append(time.perf_counter() - began)
    return taken


def _with(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get(PATH).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@contextmanager
def _further(spec: dict[str, object], changes: dict[str, str]) -> Iterator[int]:
    """The same API server on another port, with `changes` in its environment. Gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    argv, given = spec["argv"], spec["env"]
    assert isinstance(argv, list)
    assert isinstance(given, dict)
    changed = {**changes, "AIRFLOW__API__PORT": str(port)}
    place = argv.index("--port")
    argv = [*argv[: place + 1], str(port), *argv[place + 2 :]]
    process = subprocess.Popen(
        argv,
        env={**given, **changed},
        cwd=str(spec["cwd"]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)
