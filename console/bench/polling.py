"""Programs that wait: 100 long polls on one web process."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import psutil

from console.bench import airflow, rows, streams
from console.bench.result import Figure, Result, each, median, percentile
from console.tests.system.installation import Installation
from deployments.domain.states import Status
from deployments.models import Deployment
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import Membership, Workspace
from workspaces.permissions import Role

CLIENTS = 100
DEPLOYMENTS = 10  # each is waited for by as many clients as any other
CHANGES, EVERY = 10, 3.0  # seconds from one to the next: all wait again by then
REPEATS = 3
WARM_CLIENTS, WARM_CHANGES = 25, 3
WAIT = 30  # seconds that one request waits at most
SETTLE_SECONDS, GRACE_SECONDS = 3.0, 5.0
MUST_P95, MUST_KIB = 500.0, 60.0
ANSWER = re.compile(rb"HTTP/1.1 (\d+).*?\r\n\r\n", re.DOTALL)
CHANGE = re.compile(rb'"sentence": ?"Change ([0-9]+)\."')

METHOD = (
    f"{CLIENTS} programs, each with a connection and a token of its own, wait for operations of {DEPLOYMENTS} "
    f"Deployments (`GET /api/v1/operations/{{id}}?wait={WAIT}` with the ETag of the last answer) on the one web "
    f"process of `manage.py up`, and ask again as soon as they are answered. {CHANGES} changes, one every {EVERY:.0f} "
    "s, are committed to all Deployments one after the other; a delivery's latency is from the COMMIT of that "
    "Deployment's change until the client has read it. Memory is the web process's PSS with all waiting, before the "
    "changes and after them, less its PSS with none, per client; the larger one counts. "
    f"{REPEATS} times, each on a freshly started web process that has told {WARM_CLIENTS} such clients of "
    f"{WARM_CHANGES} changes and served as many pages; p95 over all deliveries, median of the memory."
)


@dataclass
class Waiter(asyncio.Protocol):
    """One program: what it was told, and when."""

    path: str
    head: str
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # answered once, and waiting
    told: dict[int, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    transport: asyncio.Transport | None = None
    _read: bytes = b""
    _etag: str = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask how it is, without waiting."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask(0)

    def _ask(self, wait: int) -> None:
        assert self.transport is not None
        known = f"If-None-Match: {self._etag}\r\n" if self._etag else ""
        self.transport.write(f"GET {self.path}?wait={wait} HTTP/1.1\r\n{self.head}{known}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Once the whole answer is there: note the change that it tells of, and wait again."""
        self._read += data
        found = ANSWER.match(self._read)
        if found is None:
            return
        fields = dict(
            line.lower().split(": ", 1) for line in found[0].decode().splitlines()[1:] if ": " in line
        )
        end = found.end() + int(fields["content-length"])
        if len(self._read) < end:
            return
        body, self._read = self._read[found.end() : end], self._read[end:]
        if found[1] != b"200":
            self.problems.append(found[0].decode()[:200])
        self._etag = fields.get("etag", "")
        for number in CHANGE.findall(body):
            self.told.setdefault(int(number), time.time())
        self._ask(WAIT)
        self.asked.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server ended it, or we."""
        self.asked.set()


@dataclass(frozen=True)
class Run:
    """One repetition."""

    latencies: list[float]  # ms
    kib: list[float]  # per client, before the changes and after them
    problems: list[str]


def measure(at: Installation) -> Result:
    """Three fresh web processes."""
    airflow.ensure_none(at)
    workspace, _ = rows.make_workspace(1)
    made = rows.make_deployments(workspace, DEPLOYMENTS)
    values = _tokens(workspace)
    try:
        runs = [asyncio.run(_run(at, made, values)) for _ in range(REPEATS)]
    finally:
        rows.remove_deployments()
    latencies = [ms for run in runs for ms in run.latencies]
    expected = REPEATS * CLIENTS * CHANGES
    p95, kib = percentile(latencies, 0.95), median([max(run.kib) for run in runs])
    problems = [problem for run in runs for problem in run.problems]
    figure = Figure(
        f"{CLIENTS} clients waiting by long poll on one web process",
        f"every one told within {MUST_P95:.0f} ms (p95), at most {MUST_KIB:.0f} KiB each",
        f"{len(latencies):,} of {expected:,} told, p95 {p95:.0f} ms, {kib:.0f} KiB each",
        len(latencies) == expected and not problems and p95 <= MUST_P95 and kib <= MUST_KIB,
    )
    return Result(
        (figure,),
        METHOD,
        (
            f"p50 {percentile(latencies, 0.5):.0f} ms, slowest {max(latencies):.0f} ms.",
            f"PSS per client {each([run.kib[0] for run in runs], 'KiB', 0)} before the changes, "
            f"{each([run.kib[1] for run in runs], 'KiB', 0)} after them.",
            *problems[:1],
        ),
    )


def _tokens(workspace: Workspace) -> list[str]:
    maker = Membership.objects.select_related("user").filter(workspace=workspace)[0].user
    scope = Scope(workspace)
    wishes = [TokenWish(f"bench {number}", "", Role.MEMBER, 1) for number in range(CLIENTS)]
    return [tokens.make(scope=scope, by=maker, wish=wish).value for wish in wishes]


async def _run(at: Installation, made: list[Deployment], values: list[str]) -> Run:
    """Fresh web, warm it, wait, change, look."""
    await asyncio.to_thread(streams.restart_web, at)
    warm = await _open(at, made, values[:WARM_CLIENTS])
    for _ in range(WARM_CLIENTS):
        await asyncio.to_thread(at.client.get, at.home())
    await _change(made, WARM_CHANGES)
    await _close(warm)
    web = psutil.Process(at.pid("web"))
    before = web.memory_full_info().pss
    waiters = await _open(at, made, values)
    await asyncio.sleep(SETTLE_SECONDS)
    waiting = web.memory_full_info().pss
    committed = await _change(made, CHANGES)
    await asyncio.sleep(GRACE_SECONDS)  # what has not come by now is missed
    after = web.memory_full_info().pss
    latencies = [
        1000 * (moment - committed[number][index % DEPLOYMENTS])
        for index, waiter in enumerate(waiters)
        for number, moment in waiter.told.items()
    ]
    problems = [problem for waiter in waiters for problem in waiter.problems]
    await _close(waiters)
    kib = [(held - before) / 1024 / len(waiters) for held in (waiting, after)]
    return Run(latencies, kib, problems)


async def _open(at: Installation, made: list[Deployment], values: list[str]) -> list[Waiter]:
    """All clients, each answered once and waiting since."""
    gate = asyncio.Semaphore(streams.OPEN_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(index: int, value: str) -> Waiter:
        path = f"/api/v1/operations/{made[index % DEPLOYMENTS].release_name}.change.1"
        head = f"Host: 127.0.0.1:{at.port}\r\nAuthorization: Bearer {value}\r\n"
        async with gate:
            _, waiter = await loop.create_connection(lambda: Waiter(path, head), "127.0.0.1", at.port)
            await asyncio.wait_for(waiter.asked.wait(), 30)
            return waiter

    return list(await asyncio.gather(*(one(*each_) for each_ in enumerate(values))))


async def _change(made: list[Deployment], changes: int) -> list[list[float]]:
    """One change of every Deployment, then the next, in a thread; the moments of their COMMITs."""
    committed: list[list[float]] = []
    begun = time.monotonic()
    for number in range(changes):
        committed.append(await asyncio.to_thread(_change_all, made, f"Change {number}."))
        await asyncio.sleep(max(0.0, begun + (number + 1) * EVERY - time.monotonic()))
    return committed


def _change_all(made: list[Deployment], reason: str) -> list[float]:
    return [rows.change(row, Status.HEALTHY, reason) for row in made]


async def _close(waiters: list[Waiter]) -> None:
    for waiter in waiters:
        assert waiter.transport is not None
        waiter.transport.abort()
    await asyncio.sleep(1.0)
