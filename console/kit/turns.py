"""How many pages one web process makes at a time. The others wait for their turn, in the order in which they came.

Python makes one page at a time whatever happens, so more threads only slow each other down; while Airflow takes the
cores, forty at once would hold every database connection and wait for each other. A request that waits for something
else (a cluster, a mail server) gives its turn away in the meantime.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.kit.http import HybridMiddleware
from console.kit.long_requests import is_long

WAIT_SECONDS = 15.0  # then a person is asked to come back rather than left to wait


class TooBusy(Exception):
    """No turn came in WAIT_SECONDS."""


@dataclass(frozen=True)
class _Turn:
    loop: asyncio.AbstractEventLoop
    turns: asyncio.Semaphore


_mine: ContextVar[_Turn | None] = ContextVar("turn", default=None)
_of_loop: dict[int, asyncio.Semaphore] = {}


def _turns() -> asyncio.Semaphore:
    key = id(asyncio.get_running_loop())
    if key not in _of_loop:
        _of_loop[key] = asyncio.Semaphore(settings.PAGES_AT_ONCE)
    return _of_loop[key]


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Wait for something else without keeping others waiting. For the threads of requests; elsewhere nothing
    happens."""
    turn = _mine.get()
    if turn is None:
        yield
        return
    turn.loop.call_soon_threadsafe(turn.turns.release)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(turn.turns.acquire(), turn.loop).result()


class TurnMiddleware(HybridMiddleware):
    """Lets a request in when it is its turn. Long ones take none: they wait for most of their life."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if not self.is_async or is_long(request.path_info):
            return self.get_response(request)
        return self._in_turn(request)

    async def _in_turn(self, request: HttpRequest) -> HttpResponseBase:
        turns = _turns()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turns.acquire()
        except TimeoutError:
            raise TooBusy from None
        _mine.set(_Turn(asyncio.get_running_loop(), turns))
        try:
            response = self.get_response(request)
            assert not isinstance(response, HttpResponseBase)  # noqa: S101 - the async branch
            return await response
        finally:
            _mine.set(None)
            turns.release()
