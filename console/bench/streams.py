"""Row 3: 500 open streams on one web process, one change each second."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import psutil

from console.bench import airflow, rows
from console.bench.result import Figure, Result, each, median, percentile
from console.tests.system.installation import Installation, wait_until
from deployments.domain.states import Status
from deployments.models import Deployment
from workspaces.models import Workspace
from workspaces.stream import STREAMS_PER_PERSON

STREAMS = 500
CHANGES = 20
REPEATS = 3
OPEN_AT_ONCE = 10
SETTLE_SECONDS = 3.0
GRACE_SECONDS = 5.0
MUST_P95 = 500.0  # ms
MUST_KIB = 60.0
CHANGE = re.compile(rb"Change ([0-9]+)\.")

METHOD = (
    f"{STREAMS} streams over loopback, {STREAMS_PER_PERSON} for each of {STREAMS // STREAMS_PER_PERSON} people "
    f"of one Workspace, all on the one web process of `manage.py up`. {CHANGES} changes, one each second, are "
    "committed through `deployments.status`; each stream's latency is from COMMIT until the client has read the "
    "change. Memory is the web process's PSS with all streams open and after the changes, less its PSS before, "
    f"per stream. {REPEATS} times, each on a freshly started web process that has served {STREAMS_PER_PERSON} "
    "streams and as many pages; p95 over all deliveries, median of the memory."
)


@dataclass
class Listener(asyncio.Protocol):
    """One open stream: what it reported, and when."""

    request: bytes
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    watched: dict[int, float] = field(default_factory=dict)
    ended: bool = False
    transport: asyncio.Transport | None = None
    begin: bytes = b""  # of what was answered
    _tail: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Note the first time that each change was read."""
        now = time.time()
        text = self._tail + data
        if not self.opened.is_set():
            self.begin = text[:200]
            assert text.startswith(b"HTTP/1.1 200"), text[:200]
            self.opened.set()
        for message in CHANGE.findall(text):
            self.watched.setdefault(int(message), now)
        self._tail = text[-32:]

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or we, ended it."""
        self.ended = True
        self.opened.set()


@dataclass(frozen=True)
class Run:
    """One repetition."""

    latencies: list[float]  # ms, of every delivery
    missed: int
    kib_pss: float  # per stream
    kib_rss: float
    opening: float  # s, for all


def measure(at: Installation) -> Result:
    """Three fresh web processes."""
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(STREAMS // STREAMS_PER_PERSON)
    made = rows.make_deployments(workspace, 1)
    try:
        runs = [asyncio.run(_run(at, workspace, cookies, made[0])) for _ in range(REPEATS)]
    finally:
        rows.remove_deployments()
    latencies = [ms for run in runs for ms in run.latencies]
    p50, p95 = percentile(latencies, 0.5), percentile(latencies, 0.95)
    missed, kib = sum(run.missed for run in runs), median([run.kib_pss for run in runs])
    expected = REPEATS * STREAMS * CHANGES
    figure = Figure(
        f"{STREAMS} open streams on one web process, one change each second",
        f"every stream gets every change, p95 at most {MUST_P95:.0f} ms, at most {MUST_KIB:.0f} KiB more memory "
        "per stream",
        f"{expected - missed:,} of {expected:,} deliveries, p95 {p95:.0f} ms, {kib:.0f} KiB per stream",
        missed == 0 and p95 <= MUST_P95 and kib <= MUST_KIB,
    )
    return Result(
        (figure,),
        METHOD,
        (
            f"p50 {p50:.0f} ms, slowest {max(latencies):.0f} ms.",
            f"PSS per stream {each([r.kib_pss for r in runs], 'KiB', 0)}; "
            f"RSS per stream {each([r.kib_rss for r in runs], 'KiB', 0)}.",
            f"Opening all of them, {OPEN_AT_ONCE} at once, took {each([r.opening for r in runs], 's')}.",
        ),
    )


async def _run(at: Installation, workspace: Workspace, cookies: list[str], deployment: Deployment) -> Run:
    """Fresh web, warm it, open, change, look, close."""
    await asyncio.to_thread(restart_web, at)
    requests = [request(at, f"/w/{workspace.pk}/stream/", cookie) for cookie in cookies]
    warm = await open_all(at, requests[:1] * STREAMS_PER_PERSON)
    for _ in range(STREAMS_PER_PERSON):
        await asyncio.to_thread(at.client.get, at.home())
    await close(warm)
    web = psutil.Process(at.pid("web"))
    before = web.memory_full_info()
    begun = time.monotonic()
    listeners = await open_all(at, requests * STREAMS_PER_PERSON)
    opening = time.monotonic() - begun
    await asyncio.sleep(SETTLE_SECONDS)
    committed = await _change(deployment)
    await asyncio.sleep(GRACE_SECONDS)  # what has not come by now is missed
    after = web.memory_full_info()
    latencies = [1000 * (at_ - committed[number]) for one in listeners for number, at_ in one.watched.items()]
    await close(listeners)
    return Run(
        latencies,
        STREAMS * CHANGES - len(latencies),
        (after.pss - before.pss) / 1024 / STREAMS,
        (after.rss - before.rss) / 1024 / STREAMS,
        opening,
    )


def restart_web(at: Installation) -> None:
    """A web process that has served nobody yet."""
    at.supervisor.stop("web:web", wait=True)
    at.supervisor.start("web:web")
    wait_until(at.answers, 60)


def request(at: Installation, path: str, cookie: str) -> bytes:
    """What a browser sends to open a stream."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))  # nothing is newer: no resync
    return (
        f"GET {path}?since={now} HTTP/1.1\r\nHost: 127.0.0.1:{at.port}\r\nCookie: {cookie}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()


async def open_all(at: Installation, requests: list[bytes], port: int = 0) -> list[Listener]:
    """All streams, each with its first bytes read, on the installation's web process or that of `port`."""
    gate = asyncio.Semaphore(OPEN_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(request: bytes) -> Listener:
        async with gate:
            _, listener = await loop.create_connection(
                lambda: Listener(request), "127.0.0.1", port or at.port
            )
            await asyncio.wait_for(listener.opened.wait(), 30)
            return listener

    return list(await asyncio.gather(*map(one, requests)))


async def _change(deployment: Deployment) -> list[float]:
    """One change each second, in a thread; the moments of COMMIT."""
    committed: list[float] = []
    begun = time.monotonic()
    for number in range(CHANGES):
        word = Status.HEALTHY if number % 2 else Status.UNHEALTHY
        committed.append(await asyncio.to_thread(rows.change, deployment, word, f"Change {number}."))
        await asyncio.sleep(max(0.0, begun + number + 1 - time.monotonic()))
    return committed


async def close(listeners: list[Listener]) -> None:
    """Hang up; fails when the server did so before."""
    ended = [each for each in listeners if each.ended]
    assert not ended, f"{len(ended)} streams were ended by the server"
    for each_ in listeners:
        assert each_.transport is not None
        each_.transport.abort()
    await asyncio.sleep(1.0)
