"""One POST to a webhook: to a judged address, no proxy, no redirect, a bounded answer, and an end in any case."""

import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from threading import Timer

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Timeout

from deployments.domain.alert_rules import BUSY
from deployments.domain.public_hosts import WEBHOOKS, Listed
from deployments.domain.webhook_url import WebhookTarget
from deployments.outgoing import sockets

TOTAL_SECONDS = 10.0  # from the look-up of the name to the last byte that is read
MOST_BYTES = 4096  # of the answer
LINE_LENGTH = 200
GONE = "It says that this address is gone for good, so it is not tried again. Enter the present one."


@dataclass(frozen=True)
class WebhookAnswer:
    """What came back. `status` is None when there was no answer; `line` is the sentence of the server, or ours."""

    status: int | None
    line: str
    final: bool = False  # trying again is no use
    wait: float = 0  # seconds that the server asks to wait before the next try

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300


def post(target: WebhookTarget, body: bytes, headers: Mapping[str, str], *, listed: Listed) -> WebhookAnswer:
    """Send `body`, which is JSON, once. Never raises for what a network or a server does."""
    every = {"Content-Type": "application/json", "User-Agent": "airdeck", "Connection": "close", **headers}
    pool, ends = _pool(target, listed, until=time.monotonic() + TOTAL_SECONDS)
    try:
        answer = pool.urlopen(
            "POST",
            target.path,
            body=body,
            headers=every,
            redirect=False,
            retries=False,
            timeout=Timeout(total=TOTAL_SECONDS),
            preload_content=False,
        )
        return _judged(target, answer)
    except sockets.NotReached as error:
        return WebhookAnswer(None, str(error), final=error.refused)
    except SSLError as error:
        return WebhookAnswer(None, _not_trusted(target, error))
    except (HTTPError, OSError):
        line = f"{target.host} did not answer within {TOTAL_SECONDS:.0f} seconds, or cut the connection."
        return WebhookAnswer(None, line)
    finally:
        for timer, other in ends:
            timer.cancel()
            other.close()
        pool.close()


def _judged(target: WebhookTarget, answer: urllib3.BaseHTTPResponse) -> WebhookAnswer:
    if 300 <= answer.status < 400:
        return WebhookAnswer(
            answer.status, "It redirects, which is not followed. Enter the present address.", True
        )
    line = ""
    with suppress(HTTPError, OSError):  # the status is known; the words may be missing
        line = _first_line(answer.read(MOST_BYTES, decode_content=False))
    if answer.status == HTTPStatus.GONE:
        return WebhookAnswer(answer.status, f"{GONE} It said: {line}" if line else GONE, final=True)
    wait = seconds_of(answer.headers.get("Retry-After", "")) if answer.status in BUSY else 0
    return WebhookAnswer(answer.status, line, wait=wait)


def seconds_of(retry_after: str) -> float:
    """How long a Retry-After asks to wait, as seconds or until a date; 0 for none and for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _first_line(body: bytes) -> str:
    lines = body.decode(errors="replace").strip().splitlines()
    text = lines[0] if lines else ""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:LINE_LENGTH]


def _not_trusted(target: WebhookTarget, error: SSLError) -> str:
    inner = error.args[0] if error.args else None
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"The certificate of {target.host} is not trusted: {inner.verify_message.rstrip('.')}."
    return f"No TLS connection to {target.host} could be made. Check the address and its port."


type Ends = list[tuple[Timer, socket.socket]]


def _pool(target: WebhookTarget, listed: Listed, *, until: float) -> tuple[HTTPConnectionPool, Ends]:
    """A pool of one connection, and what ends it at `until`, of `time.monotonic()`."""
    ends: Ends = []

    def connect() -> socket.socket:
        may = partial(WEBHOOKS.refusal, by=listed)
        silence = TOTAL_SECONDS  # the timer ends it earlier, when connecting took a while
        made = sockets.connect(target.host, target.port, refusal=may, silence=silence, until=until)
        other = made.dup()  # TLS takes the first one over
        timer = Timer(max(0, until - time.monotonic()), _end, [other])
        timer.daemon = True
        timer.start()
        ends.append((timer, other))
        return made

    class Plain(HTTPConnection):
        """urllib3's, to an address that was judged."""

        def _new_conn(self) -> socket.socket:
            return connect()

    class Secure(HTTPSConnection):
        """The same, over TLS."""

        def _new_conn(self) -> socket.socket:
            return connect()

    class PlainPool(HTTPConnectionPool):
        """A pool of plain connections."""

        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        """A pool of connections over TLS."""

        ConnectionCls = Secure

    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.scheme == "http":
        return PlainPool(host, target.port, maxsize=1), ends
    context = ssl.create_default_context()
    return SecurePool(host, target.port, maxsize=1, ssl_context=context), ends


def _end(made: socket.socket) -> None:
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)
