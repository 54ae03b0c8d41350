"""The event stream: rendered fragments, published to Redis by the process that commits a change, fanned out by each web
process to its open pages. The only user of Redis pub/sub. Losing any message costs a refresh, never the truth.

A frame is a server-sent event. A publisher renders it once; a process encodes it once; every viewer gets the
same bytes.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import redis
import redis.asyncio
import structlog
from django.conf import settings

logger = structlog.get_logger(__name__)

PREFIX = "airdeck:"
_HEARTBEAT_CHANNEL = f"{PREFIX}heartbeat"
HEARTBEAT_SECONDS = 10.0  # own message: pub/sub health checks do not notice a half-open connection
QUEUE_LENGTH = 8  # a reader slower than this gets one "resync" in place of what it missed
BREAKER_SECONDS = 10.0  # in a web process, where people wait; others try again soon
BREAKER_SECONDS_ELSEWHERE = 1.0
READY_SECONDS = 1.0  # how long a new listener waits for the process's own subscription
# A frozen Redis costs a submit this once, of the 1.5 s within which it succeeds; a busy machine needs the rest.
TIMEOUT_SECONDS = 0.7


@dataclass(frozen=True)
class Frame:
    """One server-sent event: a name that the page listens for, and the HTML to swap in."""

    event: str
    html: str = ""


RESYNC = b"event: resync\ndata: \n\n"
PING = b": ping\n\n"


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the wire. Newlines in HTML become several data lines, as the format wants."""
    lines = frame.html.splitlines() or [""]
    data = "".join(f"data: {line}\n" for line in lines)
    return f"event: {frame.event}\n{data}\n".encode()


class Breaker:
    """Stops asking a Redis that failed: for BREAKER_SECONDS every call is skipped instead of waited for."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether calls are skipped now."""
        return time.monotonic() < self._open_until

    def trip(self) -> None:
        """A call failed."""
        with self._lock:
            patient = settings.PROCESS_ROLE in {"worker", "beat", "observer"}
            pause = BREAKER_SECONDS_ELSEWHERE if patient else BREAKER_SECONDS
            self._open_until = time.monotonic() + pause

    def reset(self) -> None:
        """A call worked."""
        self._open_until = 0.0


breaker = Breaker()
_client: redis.Redis | None = None


def _redis() -> redis.Redis:
    global _client  # noqa: PLW0603 - one pool per process
    if _client is None:
        _client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )
    return _client


def publish(topic: str, frames: Iterable[Frame]) -> bool:
    """Send frames to every page that watches `topic`. Never raises, never takes longer than about TIMEOUT_SECONDS;
    False when they were dropped (pages catch up on their next resync)."""
    if breaker.open:
        _catch_up.note(topic)
        return False
    message = json.dumps([[frame.event, frame.html] for frame in frames])
    try:
        _redis().publish(PREFIX + topic, message)
    except (redis.RedisError, OSError) as error:
        breaker.trip()
        _catch_up.note(topic)
        logger.warning("hint_dropped", kind="event", error=type(error).__name__)
        return False
    breaker.reset()
    return True


class CatchUp:
    """Topics of which something was dropped: their pages ask again as soon as Redis takes messages."""

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, topic: str) -> None:
        """Something about `topic` was dropped."""
        with self._lock:
            self._topics.add(topic)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="event-catch-up", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(BREAKER_SECONDS_ELSEWHERE)
            if breaker.open:
                continue
            with self._lock:
                waiting, self._topics = self._topics, set()
                if not waiting:
                    self._thread = None
                    return
            for topic in waiting:  # what fails again is noted again
                publish(topic, [Frame("resync")])


_catch_up = CatchUp()


@dataclass(eq=False)
class Subscription:
    """One open page or one program that waits: a short queue of encoded events. With `about` it gets only those that
    hold these bytes, and every resync."""

    topic: str
    about: bytes = b""
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))
    ended: bool = False

    def push(self, chunk: bytes | None) -> None:
        """Queue a chunk; a reader that fell behind gets one resync in place of everything missed. None ends it."""
        if chunk is not None and chunk != RESYNC and self.about not in chunk:
            return
        self.ended = self.ended or chunk is None
        try:
            self.queue.put_nowait(chunk)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None if self.ended else RESYNC)


class Hub:
    """One per event loop: one Redis subscription, fanned out to every open page of this process."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    @property
    def count(self) -> int:
        """How many pages listen."""
        return sum(len(subs) for subs in self._subscriptions.values())

    @contextlib.asynccontextmanager
    async def subscribe(self, topic: str, *, about: bytes = b"") -> AsyncIterator[Subscription]:
        """Listen to `topic` while the context lasts; with `about` to what holds these bytes alone."""
        subscription = Subscription(topic, about)
        self._subscriptions[topic].add(subscription)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="event-hub")
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listening.wait(), READY_SECONDS)
            yield subscription
        finally:
            watchers = self._subscriptions[topic]
            watchers.discard(subscription)
            if not watchers:
                del self._subscriptions[topic]

    def deliver(self, topic: str, chunk: bytes | None) -> None:
        """Hand one chunk to everybody who watches `topic`."""
        for subscription in self._subscriptions.get(topic, ()):
            subscription.push(chunk)

    def resync_all(self) -> None:
        """Something may have been missed: every page asks again."""
        for topic in list(self._subscriptions):
            self.deliver(topic, RESYNC)

    async def _run(self) -> None:
        """Keep one subscription alive for as long as a page listens."""
        missed = False
        while self._subscriptions:
            try:
                await self._listen(resync_first=missed)
            except Exception as error:
                logger.warning("event_hub_reconnects", error=type(error).__name__)
                missed = True
                await asyncio.sleep(1.0)
            finally:
                self._listening.clear()

    async def _listen(self, *, resync_first: bool) -> None:
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
        )
        async with client, client.pubsub() as pubsub:
            await pubsub.psubscribe(f"{PREFIX}*")
            self._listening.set()
            if resync_first:
                self.resync_all()
            beat = watched = time.monotonic()
            while self._subscriptions:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                now = time.monotonic()
                if message is not None:
                    watched = now
                    self._dispatch(message)
                elif now - watched > 2.5 * HEARTBEAT_SECONDS:
                    raise TimeoutError("Redis fell silent")
                if now - beat > HEARTBEAT_SECONDS:
                    beat = now
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        await client.publish(_HEARTBEAT_CHANNEL, "")

    def _dispatch(self, message: dict[str, bytes]) -> None:
        """Hand on one message. What is none is left out, and its pages ask again."""
        channel = message["channel"].decode(errors="replace")
        if channel == _HEARTBEAT_CHANNEL:
            return
        try:
            frames = [Frame(str(event), str(html)) for event, html in json.loads(message["data"])]
            chunk = b"".join(encode(frame) for frame in frames)
        except (ValueError, TypeError, RecursionError) as error:
            logger.warning("event_unreadable", channel=channel[:100], error=type(error).__name__)
            chunk = RESYNC
        self.deliver(channel.removeprefix(PREFIX), chunk)


_hubs: dict[int, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop."""
    key = id(asyncio.get_running_loop())
    if key not in _hubs:
        _hubs[key] = Hub()
    return _hubs[key]
