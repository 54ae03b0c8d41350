"""Where the blocking parts of a long-lived request run."""

import itertools
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]

THREADS = 4  # enough to open streams while one of them waits for the database


class SharedThreads:
    """Requests that `is_long` names by their path share a few threads.

    Django gives each request a thread of its own for its middleware, and ends it with the request: one per open
    stream, for ten minutes, for the milliseconds in which it is opened (docs/performance.md). All blocking
    parts of one request still run on one thread, in order.
    """

    def __init__(self, app: App, *, is_long: Callable[[str], bool]) -> None:
        self._app = app
        self._is_long = is_long
        threads = [ThreadPoolExecutor(1, thread_name_prefix="long-lived") for _ in range(THREADS)]
        self._threads = itertools.cycle(threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI; no page speaks WebSocket, so that is refused (403), where Django would raise."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http" or not self._is_long(scope["path"]):
            await self._app(scope, receive, send)
            return
        async with ThreadSensitiveContext(executor=next(self._threads)):
            await self._app(scope, receive, send)
