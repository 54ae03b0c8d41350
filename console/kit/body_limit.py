"""How large a request may be. Django writes the whole body of a request to the disk before any view runs, so this
stands in front of it and refuses before a byte is stored. What a client still sends then is taken and dropped: one that
is cut off while it sends sees a broken connection and not why (RFC 9112, 9.6)."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from console.kit.problems import API
from console.kit.threads import App, Receive, Scope, Send

MIB = 1024 * 1024
DROPPED = 101 * MIB  # of a body that was refused; the largest that is ever taken. Then the connection is cut


class _TooLarge(Exception):
    """More came than was allowed, without having been announced."""


class BodyLimit:
    """At most `ordinary` bytes; for requests that `is_upload` names by path and method, and only of those who are
    `signed_in`, at most `upload` bytes. Others are answered 413, or 401, in one sentence."""

    def __init__(
        self,
        app: App,
        *,
        ordinary: int,
        upload: int,
        is_upload: Callable[[str], bool],
        signed_in: Callable[[Scope], Awaitable[bool]],
    ) -> None:
        self._app = app
        self._ordinary, self._upload = ordinary, upload
        self._is_upload, self._signed_in = is_upload, signed_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI. What the JSON API takes is limited by `api_body_limit`."""
        if scope["type"] != "http" or scope["path"].startswith(API):
            await self._app(scope, receive, send)
            return
        announced = announced_length(scope)
        is_upload = scope["method"] == "POST" and self._is_upload(scope["path"])
        limit = self._upload if is_upload else self._ordinary
        if announced is not None and announced > limit:
            await _answer(receive, send, 413, self._too_large(limit))
        elif (
            is_upload
            and (announced is None or announced > self._ordinary)
            and not await self._signed_in(scope)
        ):
            await _answer(receive, send, 401, "Sign in first. Nothing was stored.")
        else:
            too_large = partial(_answer, receive, send, 413, self._too_large(limit))
            await counted(self._app, scope, receive, send, limit=limit, too_large=too_large)

    def _too_large(self, limit: int) -> str:
        return f"This request has more than {limit // MIB} MiB. Go back and send less; nothing was stored."


async def counted(
    app: App,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    limit: int,
    too_large: Callable[[], Awaitable[None]],
) -> None:
    """Pass on to `app`, and stop where more than `limit` bytes come, whatever was announced."""
    came = 0
    answered = False

    async def counting() -> MutableMapping[str, Any]:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > limit:
            raise _TooLarge
        return message

    async def noting(message: MutableMapping[str, Any]) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        await app(scope, counting, noting)
    except _TooLarge:
        if not answered:
            await too_large()


def announced_length(scope: Scope) -> int | None:
    """The length that the client announces; None when it does not, or says nonsense that the server lets pass."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


async def answer_and_drop(
    receive: Receive, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """The whole answer at once, then the end of the connection once the client has sent what it had to send, without
    any of that being kept. `headers` say how long the body is, so that the client waits for no more."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    came, more = 0, True
    while more and came <= DROPPED:
        message = await receive()
        came += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    await send({"type": "http.response.body", "body": b""})


async def _answer(receive: Receive, send: Send, status: int, sentence: str) -> None:
    body = sentence.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store, private"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    await answer_and_drop(receive, send, status, headers, body)
