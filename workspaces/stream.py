"""The event stream of a Workspace: what changes in it, pushed to every open page of its members.

One membership check per process and interval serves all streams, so that an open page costs neither a thread at
work nor a database connection. A stream lives ten minutes at most; the page opens the next one by itself.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone

from console.kit import metrics
from console.kit.events import PING, RESYNC, Subscription, hub
from workspaces.models import Membership, User

logger = structlog.get_logger(__name__)

type Right = tuple[int, UUID, str, str]  # user, Workspace, role, session
type ChangedSince = Callable[[UUID, datetime], bool]  # the app above knows what moves in a Workspace

PING_SECONDS = 12.0  # a stream ends this soon after its right ended: within 15 s, the look-up included
LIFE_SECONDS = 600.0
STREAMS_PER_PERSON = 20
LONG_AGO = datetime.fromtimestamp(0, UTC)
OVERLAP = timedelta(seconds=5)  # a change that committed just before the page was rendered is sent again


@dataclass(eq=False)
class EventStream:
    """One open page."""

    right: Right
    subscription: Subscription
    ends_at: float = field(default_factory=lambda: time.monotonic() + LIFE_SECONDS * random.uniform(0.8, 1.0))  # noqa: S311


class Registry:
    """All streams of one event loop, pinged and re-authorised together."""

    def __init__(self) -> None:
        self.streams: set[EventStream] = set()
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def enter(self, stream: EventStream) -> AsyncIterator[None]:
        """Keep the stream under watch while the context lasts."""
        self.streams.add(stream)
        metrics.STREAMS.add()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="stream-registry")
        try:
            yield
        finally:
            self.streams.discard(stream)
            metrics.STREAMS.add(amount=-1)

    def open_for(self, user_id: int) -> int:
        """How many streams one person has open in this process."""
        return sum(stream.right[0] == user_id for stream in self.streams)

    async def _watch(self) -> None:
        while self.streams:
            await asyncio.sleep(PING_SECONDS)
            await self.check()

    async def check(self) -> None:
        """End streams whose right or time has ended; ping the others."""
        desired = {s.right for s in self.streams}
        try:
            allowed = await sync_to_async(still_allowed, thread_sensitive=False)(desired)
        # Nothing is known of anybody's right: every page opens its stream again. Whatever it was, the watch goes on.
        except Exception as error:
            logger.warning("streams_not_checked", error=type(error).__name__)
            allowed = set()
        now = time.monotonic()
        for stream in list(self.streams):
            stays = stream.right in allowed and now < stream.ends_at
            stream.subscription.push(PING if stays else None)


def still_allowed(desired: set[Right]) -> set[Right]:
    """Those that may still listen. A change of role ends a stream too: the page opens the next one, under the new
    role. Two queries for all. Raises DatabaseError."""
    try:
        members = set(
            Membership.objects.filter(
                user_id__in={user for user, _, _, _ in desired},
                workspace_id__in={workspace for _, workspace, _, _ in desired},
                user__is_active=True,
            ).values_list("user_id", "workspace_id", "role")
        )
        sessions = set(
            Session.objects.filter(
                session_key__in={key for _, _, _, key in desired}, expire_date__gt=timezone.now()
            ).values_list("session_key", flat=True)
        )
    finally:
        connection.close()
    return {right for right in desired if right[:3] in members and right[3] in sessions}


_registries: dict[int, Registry] = {}


def registry() -> Registry:
    """The registry of the running event loop."""
    key = id(asyncio.get_running_loop())
    if key not in _registries:
        _registries[key] = Registry()
    return _registries[key]


def _role_of(user: User, workspace_id: UUID) -> str | None:
    """The role in which one may listen. The connection goes back to the pool at once."""
    try:
        members = Membership.objects.filter(user_id=user.pk, workspace_id=workspace_id)
        return members.values_list("role", flat=True).first()
    finally:
        connection.close()


def _look(changed_since: ChangedSince, workspace_id: UUID, since: datetime) -> bool:
    try:
        return changed_since(workspace_id, since - OVERLAP)
    except DatabaseError:
        return True
    finally:
        connection.close()


async def stream(
    request: HttpRequest, workspace_id: UUID, *, changed_since: ChangedSince
) -> HttpResponse | StreamingHttpResponse:
    """Server-sent events of one Workspace. `since` is when the page was rendered: what changed after it is
    answered by a resync at once; the URL map passes `changed_since`. Strangers get the same 404 in any case."""
    user = await request.auser()
    if not isinstance(user, User):
        return HttpResponse(status=401)
    role = await sync_to_async(_role_of)(user, workspace_id)
    if role is None:
        return HttpResponse("Not found.", status=404, content_type="text/plain")
    if registry().open_for(user.pk) >= STREAMS_PER_PERSON:
        return HttpResponse(
            "Too many pages are open. Close some of them.", status=429, headers={"Retry-After": "30"}
        )
    right = (user.pk, workspace_id, role, request.session.session_key or "")
    since = _moment(request.GET.get("since", ""))
    look = sync_to_async(partial(_look, changed_since, workspace_id, since), thread_sensitive=False)
    response = StreamingHttpResponse(_events(right, look), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


stream.renders_no_times = True  # type: ignore[attr-defined]


def _moment(text: str) -> datetime:
    """An ISO moment with its zone; long ago when there is none, so that the page is brought up to date."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return LONG_AGO
    return min(max(moment, LONG_AGO), timezone.now())


async def _events(right: Right, missed: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """Listen first and ask what was missed after it, so that no change falls between the two."""
    async with (
        hub().subscribe(f"w:{right[1]}") as subscription,
        registry().enter(EventStream(right, subscription)),
    ):
        yield RESYNC if await missed() else PING
        while (chunk := await subscription.queue.get()) is not None:
            yield chunk
