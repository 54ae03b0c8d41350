"""How large a request of a program may be, and whether one that uploads may do so: judged before Django has seen a
byte, which writes the whole body of a request to the disk before any endpoint runs."""

import json
from collections.abc import Awaitable, Callable
from functools import partial

from console.kit import metrics
from console.kit.body_limit import MIB, announced_length, answer_and_drop, counted
from console.kit.problems import API, CONTENT_TYPE, SCHEME, document
from console.kit.threads import App, Receive, Scope, Send

type Refusal = tuple[int, str, str]  # status, code, sentence

UNKNOWN_LENGTH = "Say how long the archive is: send a Content-Length. Nothing was stored."


class ApiBodyLimit:
    """At most `ordinary` bytes to the API; for a POST to a path that `is_upload` names at most `upload` bytes, which
    are announced before, and only when `refusal` has nothing against the token. Other paths pass."""

    def __init__(
        self,
        app: App,
        *,
        ordinary: int,
        upload: int,
        is_upload: Callable[[str], bool],
        refusal: Callable[[Scope], Awaitable[Refusal | None]],
    ) -> None:
        self._app = app
        self._ordinary, self._upload = ordinary, upload
        self._is_upload, self._refusal = is_upload, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self._app(scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and self._is_upload(scope["path"])
        limit = self._upload if is_upload else self._ordinary
        announced = announced_length(scope)
        too_large = partial(answer, receive, send, (413, "too_large", _too_large(limit)))
        if announced is not None and announced > limit:
            await too_large()
        elif is_upload and announced is None:
            await answer(receive, send, (411, "length_required", UNKNOWN_LENGTH))
        elif is_upload and (refused := await self._refusal(scope)):
            await answer(receive, send, refused)
        else:
            await counted(self._app, scope, receive, send, limit=limit, too_large=too_large)


def _too_large(limit: int) -> str:
    return f"This request has more than {limit // MIB} MiB. Send less; nothing was stored."


async def answer(receive: Receive, send: Send, refusal: Refusal) -> None:
    """A problem document, and the end of the connection: what is left of the body is dropped."""
    status, code, sentence = refusal
    metrics.API_REQUESTS.add("before reading", "POST", str(status))
    body = json.dumps(document(status, code=code, detail=sentence)).encode()
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store, private"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", f'{SCHEME} realm="Airdeck"'.encode()))
    await answer_and_drop(receive, send, status, headers, body)
