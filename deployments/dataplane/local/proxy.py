"""The reverse proxy of the embedded default: `<release>.localhost` is the Airflow of that release.

A pure ASGI app around the console's. Each Airflow UI has a host name of its own, so no page of it can read
the console and no cookie of the console reaches it. Bodies stream both ways, unread and still compressed;
when the browser goes away, the request to Airflow is cancelled. While an Airflow does not answer, a person who opens a
page of it is led to a page of the console that waits for it (`pages/opening.py`).
"""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

import httpx

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

HOST = re.compile(rb"([a-z]+-[a-z]+-[0-9]{4})\.localhost(?::[0-9]{1,5})?")
# RFC 9110 7.6.1: meant for one connection only. `Connection` may name more.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
# Ours to say; a browser that sends them could claim another address or another scheme.
FORWARDED = re.compile(rb"forwarded|x-forwarded-.*|x-real-ip")
# Browsers keep them apart by host names; should one ever not, an Airflow's cookie opens that Airflow.
AIRFLOW_COOKIE = re.compile(rb"_token|airdeck_(state|assertion)")
CONSOLE_COOKIE = re.compile(rb"(__Host-)?airdeck-(session|csrf|known)|sessionid|csrftoken")
# Seconds. Airflow may think for long about an answer; the browser decides how long to wait.
TIMEOUT = {"connect": 3.0, "pool": 3.0, "read": None, "write": None}
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20)


class AirflowProxy:
    """Answers for every `<release>.localhost`; everything else goes to `app`.

    `upstream` gives the port of a release's API server on 127.0.0.1, or None when there is no such release.
    It is asked for every request, so it must be quick. `console_url` is where the error pages link to.
    """

    def __init__(self, app: App, *, upstream: Callable[[str], int | None], console_url: str) -> None:
        self._app = app
        self._upstream = upstream
        self._console_url = console_url
        # Below httpx's client, which would keep one person's cookies and send them for the next.
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        found = HOST.fullmatch(_header(scope, b"host").lower())
        if found is None:
            await self._app(_without_airflows(scope), receive, send)
        elif scope["type"] == "http":
            await self._forward(found[1].decode(), scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})  # Airflow speaks none

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self._transport is not None:
                await self._transport.aclose()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _forward(self, release: str, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, cancelled as soon as the browser is gone."""
        port = self._upstream(release)
        if port is None:
            await self._page(send, 404, f"There is no Airflow named {release} on this machine.")
            return
        if not _target(scope).startswith(
            b"/"
        ):  # as in `OPTIONS *`, which asks about a server and not about a page
            await self._page(send, 400, "Ask for a path that begins with a slash.")
            return
        body = _Body(receive)
        request = httpx.Request(
            scope["method"],
            httpx.URL(scheme="http", host="127.0.0.1", port=port, raw_path=_target(scope)),
            headers=_request_headers(scope),
            content=body.chunks() if _has_body(scope) else None,
            extensions={"timeout": TIMEOUT},
        )
        exchange = asyncio.create_task(self._exchange(request, release, send, _waiting_page(scope, release)))
        gone = asyncio.create_task(body.disconnected())
        try:
            await asyncio.wait({exchange, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            exchange.cancel()
            gone.cancel()
            ended, _ = await asyncio.gather(exchange, gone, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _exchange(self, request: httpx.Request, release: str, send: Send, waiting_page: str) -> None:
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(limits=LIMITS, trust_env=False)
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.TimeoutException):
            if waiting_page:
                await self._redirect(send, self._console_url.rstrip("/") + waiting_page)
                return
            sentence = f"The Airflow of {release} does not answer yet. It may be starting, or hibernating: see Airdeck."
            await self._page(send, 503, sentence)
            return
        except httpx.HTTPError:
            sentence = f"The Airflow of {release} broke off its answer. Try again in a moment."
            await self._page(send, 502, sentence)
            return
        try:
            headers = _end_to_end(response.headers.raw)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except httpx.HTTPError:
            return  # an answer without its end: the server cuts the connection, and the browser notices
        finally:
            await response.aclose()

    async def _redirect(self, send: Send, to: str) -> None:
        headers = [(b"location", to.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _page(self, send: Send, status: int, sentence: str) -> None:
        link = html.escape(self._console_url, quote=True)
        body = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(sentence)}</title><h1>{html.escape(sentence)}</h1>"
            f'<p><a href="{link}">Back to Airdeck</a></p></html>'
        ).encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]
        if status == 503:
            headers.append((b"retry-after", b"3"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Body:
    """The browser's side: one reader, because ASGI's `receive` gives both the body and the disconnect."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)

    async def disconnected(self) -> None:
        """Read what the browser sends until it is gone."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            if message.get("body"):
                await self._queue.put(message["body"])
            if not message.get("more_body", False):
                await self._queue.put(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; a slow Airflow slows the browser down."""
        while (chunk := await self._queue.get()) is not None:
            yield chunk


def _waiting_page(scope: Scope, release: str) -> str:
    """The console page where a person waits for an Airflow that does not answer; "" for what no person looks at."""
    mode = _header(scope, b"sec-fetch-mode")
    looked_at = (
        scope["method"] == "GET" and b"text/html" in _header(scope, b"accept") and mode in {b"", b"navigate"}
    )
    return f"/deployments/{release}/opening/?to={quote(_target(scope), safe='')}" if looked_at else ""


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _has_body(scope: Scope) -> bool:
    return bool(_header(scope, b"transfer-encoding")) or _header(scope, b"content-length") not in {b"", b"0"}


def _target(scope: Scope) -> bytes:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path


def _request_headers(scope: Scope) -> Headers:
    headers = [
        (name, value) for name, value in _end_to_end(scope["headers"]) if not FORWARDED.fullmatch(name)
    ]
    kept = [
        (name, _without(CONSOLE_COOKIE, value) if name == b"cookie" else value) for name, value in headers
    ]
    client = scope.get("client") or ("127.0.0.1", 0)
    return [
        *((name, value) for name, value in kept if name != b"cookie" or value),
        (b"x-forwarded-for", client[0].encode()),
        (b"x-forwarded-proto", scope.get("scheme", "http").encode()),
        (b"x-forwarded-host", _header(scope, b"host")),
    ]


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without those of one hop, names in lower case."""
    listed = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for key, value in listed if key == b"connection" for word in value.split(b",")
    }
    return [(name, value) for name, value in listed if name not in HOP_BY_HOP and name not in named]


def _without_airflows(scope: Scope) -> Scope:
    """A request to the console, without cookies of Airflows."""
    if not _header(scope, b"cookie"):
        return scope
    headers = [
        (name, _without(AIRFLOW_COOKIE, value) if name == b"cookie" else value)
        for name, value in scope["headers"]
    ]
    return {**scope, "headers": headers}


def _without(theirs: re.Pattern[bytes], cookies: bytes) -> bytes:
    pairs = [pair.strip() for pair in cookies.split(b";")]
    return b"; ".join(pair for pair in pairs if not theirs.fullmatch(pair.split(b"=", 1)[0].strip()))
