"""Thousands of open streams over two web processes: every one gets every change, one each second.

Only when BENCH_STREAMS says how many, because it takes both cores for a minute.
"""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from console.bench import airflow, rows, streams
from console.bench.result import Figure, Result, percentile
from console.tests.system.installation import Installation, free_port, is_ready, wait_until
from deployments.domain.states import Status
from deployments.models import Deployment
from workspaces.models import Workspace
from workspaces.stream import STREAMS_PER_PERSON

STREAMS = int(os.environ.get("BENCH_STREAMS", "0"))
PER_WORKSPACE = 500
CHANGES = 30
MUST_P95 = 500.0  # ms
SPARE_FILES = 200

METHOD = (
    f"BENCH_STREAMS streams over loopback, {STREAMS_PER_PERSON} for each person and {PER_WORKSPACE} for each "
    "Workspace, one half on the web process of `manage.py up` and one on a second one beside it. In each Workspace "
    f"{CHANGES} changes, one each second, are committed through `deployments.status`, the Workspaces spread over the "
    "second; each stream's latency is from COMMIT until the client, which runs on the same two cores, has read the "
    "change. Once."
)


@dataclass(frozen=True)
class Hall:
    """A Workspace, what is changed in it, and its streams by the port that they are open on."""

    deployment: Deployment
    requests: dict[int, list[bytes]]


def measure(at: Installation) -> Result:
    """Two web processes, and as many streams as were asked for."""
    if not STREAMS:
        return Result((), "Not measured: BENCH_STREAMS is not set.")
    airflow.ensure_none(at)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, STREAMS + SPARE_FILES)), hard))
    streams.restart_web(at)
    try:
        with _second_web() as (port, pid):
            halls = [_hall(at, number, (at.port, port)) for number in range(STREAMS // PER_WORKSPACE)]
            return asyncio.run(_run(at, halls, (at.pid("web"), pid)))
    finally:
        rows.remove_deployments()


def _hall(at: Installation, number: int, ports: tuple[int, int]) -> Hall:
    workspace: Workspace
    workspace, cookies = rows.make_workspace(PER_WORKSPACE // STREAMS_PER_PERSON)
    (deployment,) = rows.make_deployments(workspace, 1, first=number)
    asks = [streams.request(at, f"/w/{workspace.pk}/stream/", cookie) for cookie in cookies]
    halves = (asks[::2], asks[1::2])
    return Hall(
        deployment, {port: half * STREAMS_PER_PERSON for port, half in zip(ports, halves, strict=True)}
    )


@contextmanager
def _second_web() -> Iterator[tuple[int, int]]:
    """Beside that of the installation, on its database and its Redis; its port and its process."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "LOG_LEVEL": "WARNING"}
    argv = [sys.executable, "-m", "console.processes", "web", "--host=127.0.0.1"]
    process = subprocess.Popen(argv, env=environment)
    try:
        wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"), 60)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


async def _run(at: Installation, halls: list[Hall], webs: tuple[int, int]) -> Result:
    """Open, change, look, close."""
    begun = time.monotonic()
    listening = [
        [one for port, asks in hall.requests.items() for one in await streams.open_all(at, asks, port)]
        for hall in halls
    ]
    opening = time.monotonic() - begun
    refused = [one for listeners in listening for one in listeners if one.ended]
    assert not refused, f"{len(refused)} streams were refused, such as with {refused[0].begin!r}"
    await asyncio.sleep(streams.SETTLE_SECONDS)
    opened = [_cpu(pid) for pid in webs]
    committed, late = await _change([hall.deployment for hall in halls])
    await asyncio.sleep(streams.GRACE_SECONDS)
    busy = [_cpu(pid) - before for pid, before in zip(webs, opened, strict=True)]
    latencies = [
        1000 * (read - moments[number])
        for moments, listeners in zip(committed, listening, strict=True)
        for one in listeners
        for number, read in one.watched.items()
    ]
    everyone = [one for listeners in listening for one in listeners]
    await streams.close(everyone)
    expected = len(everyone) * CHANGES
    p95 = percentile(latencies, 0.95)
    figure = Figure(
        f"{len(everyone):,} open streams over two web processes, one change a second each",
        f"nothing lost, p95 at most {MUST_P95:.0f} ms",
        f"{len(latencies):,} of {expected:,} deliveries, p95 {p95:.0f} ms",
        len(latencies) == expected and p95 <= MUST_P95,
    )
    details = (
        f"p50 {percentile(latencies, 0.5):.0f} ms, p99 {percentile(latencies, 0.99):.0f} ms, slowest "
        f"{max(latencies):.0f} ms. Opening all of them took {opening:.1f} s.",
        f"The web processes took {busy[0]:.1f} and {busy[1]:.1f} s of CPU for the {CHANGES} s of changes (and "
        f"{opened[0]:.1f} and {opened[1]:.1f} s before); the last change was {late:.1f} s behind its time.",
    )
    return Result((figure,), METHOD, details)


def _cpu(pid: int) -> float:
    """Seconds that a process took so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def _change(deployments: list[Deployment]) -> tuple[list[list[float]], float]:
    """One change each second in each Workspace, in a thread; the moments of COMMIT, and how late the last one was."""
    committed: list[list[float]] = [[] for _ in deployments]
    begun = time.monotonic()
    pause = 0.0
    for number in range(CHANGES):
        word = Status.HEALTHY if number % 2 else Status.UNHEALTHY
        for place, deployment in enumerate(deployments):
            pause = begun + number + place / len(deployments) - time.monotonic()
            await asyncio.sleep(max(0.0, pause))
            moment = await asyncio.to_thread(rows.change, deployment, word, f"Change {number}.")
            committed[place].append(moment)
    return committed, max(0.0, -pause)
