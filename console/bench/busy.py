"""Pages while an Airflow starts beside them: 600 requests at 20 a second, 200 streams open."""

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass

import httpx

from console.bench import airflow, rows, streams
from console.bench.result import Figure, Result, percentile
from console.tests.system.installation import Installation
from workspaces.models import Workspace
from workspaces.stream import STREAMS_PER_PERSON

REQUESTS = 600
A_SECOND = 20
STREAMS = 200
DEPLOYMENTS = 25
MUST_P95 = 2000.0  # ms

METHOD = (
    f"{STREAMS} streams are open, {STREAMS_PER_PERSON} for each of {STREAMS // STREAMS_PER_PERSON} people. The runtime "
    "is installed and its template migrated. At the press of Create for a Deployment under the Local executor "
    f"{REQUESTS} requests begin, {A_SECOND} a second whatever becomes of the earlier ones, alternately the list of "
    f"{DEPLOYMENTS} Deployments and the page of one, each as another of these people; each takes from the moment at "
    "which it was due to the last byte. Client, console and Airflow share the machine."
)


@dataclass(frozen=True)
class Answer:
    """One request: its status (0 for none) and the milliseconds from the moment at which it was due."""

    status: int
    ms: float


def measure(at: Installation) -> Result:
    """Start one Airflow under load."""
    airflow.ensure_healthy(at)
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(STREAMS // STREAMS_PER_PERSON)
    made = rows.make_deployments(workspace, DEPLOYMENTS)
    paths = [f"/w/{workspace.pk}/deployments/", made[0].url]
    try:
        answers, started = asyncio.run(_run(at, workspace, cookies, paths))
    finally:
        airflow.ensure_none(at)
        rows.remove_deployments()
    took = [answer.ms for answer in answers]
    p95 = percentile(took, 0.95)
    codes = Counter(answer.status for answer in answers)
    failed = len(answers) - codes[200]
    figure = Figure(
        f"{REQUESTS} requests at {A_SECOND} a second with {STREAMS} streams open while an Airflow starts beside them",
        f"all answered 200, p95 at most {MUST_P95:.0f} ms",
        f"{failed} not answered 200, p95 {p95:.0f} ms",
        failed == 0 and p95 <= MUST_P95,
    )
    reported = ", ".join(f"{count} x {code or 'none'}" for code, count in sorted(codes.items()))
    return Result(
        (figure,),
        METHOD,
        (
            f"Answers: {reported}. p50 {percentile(took, 0.5):.0f} ms, slowest {max(took):.0f} ms.",
            f"The Airflow was Healthy {started:.1f} s after the press; load average then {os.getloadavg()[0]:.1f}.",
        ),
    )


async def _run(
    at: Installation, workspace: Workspace, cookies: list[str], paths: list[str]
) -> tuple[list[Answer], float]:
    requests = [streams.request(at, f"/w/{workspace.pk}/stream/", cookie) for cookie in cookies]
    listeners = await streams.open_all(at, requests * STREAMS_PER_PERSON)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    async with httpx.AsyncClient(base_url=at.url, timeout=60, limits=limits) as client:
        for path in paths:
            (await client.get(path, headers={"cookie": cookies[0]})).raise_for_status()
        pressed = time.monotonic()
        release = await asyncio.to_thread(at.create_deployment, airflow.NAME, executor="local")
        begun = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(
                _ask(client, paths[n % 2], cookies[n % len(cookies)], begun + n / A_SECOND)
                for n in range(REQUESTS)
            )
        )
        await asyncio.to_thread(at.wait_status, release, "Healthy", airflow.LIMIT_SECONDS)
        started = time.monotonic() - pressed
    for listener in listeners:
        if listener.transport is not None:
            listener.transport.abort()
    return answers, started


async def _ask(client: httpx.AsyncClient, path: str, cookie: str, due: float) -> Answer:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, due - loop.time()))
    try:
        status = (await client.get(path, headers={"cookie": cookie})).status_code
    except httpx.HTTPError:
        status = 0
    return Answer(status, 1000 * (loop.time() - due))
