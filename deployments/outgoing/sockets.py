"""Connecting to a host that a person named: its name is resolved once, each address it has is judged, and one of those
very addresses is connected to."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

CONNECT_SECONDS = 5.0  # to one address
MOST_TRIED = 3  # addresses: who owns a name can give it hundreds that do not answer


class NotReached(Exception):
    """No connection was made; `str()` is the sentence. `refused` when the address may not be asked at all."""

    def __init__(self, sentence: str, *, refused: bool = False) -> None:
        super().__init__(sentence)
        self.refused = refused


def connect(
    host: str, port: int, *, refusal: Callable[..., str], silence: float, until: float | None = None
) -> socket.socket:
    """A connected socket on which silence ends after so many seconds. `refusal(host)` and `refusal(host, address)` say
    why not, or "". Looking the name up and trying its addresses end at `until`, of `time.monotonic()`. Raises
    NotReached."""
    if why := refusal(host):
        raise NotReached(why, refused=True)
    try:
        found = _looked_up(host, port, until)
    except TimeoutError:
        raise NotReached(
            f"The name servers of {host} did not answer in time. Check the address for typos, and that they answer."
        ) from None
    except (OSError, UnicodeError):
        raise NotReached(f"The name {host} was not found. Check the address for typos.") from None
    for entry in found:
        if why := refusal(host, str(entry[4][0])):
            raise NotReached(why, refused=True)
    for family, kind, protocol, _, place in found[:MOST_TRIED]:
        left = CONNECT_SECONDS if until is None else min(CONNECT_SECONDS, until - time.monotonic())
        if left <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left)
            made.connect(place)
        except OSError:
            made.close()
            continue
        made.settimeout(silence)
        return made
    raise NotReached(
        f"No connection to {host}, port {port}, could be made. Check the address, and that the server is reached from "
        "where Airdeck runs."
    )


def _looked_up(host: str, port: int, until: float | None) -> list[tuple[Any, ...]]:
    """What the name resolves to. A look-up cannot be broken off, so the one of a name whose servers are silent is left
    to a thread, which ends when the resolver gives up. Raises TimeoutError at `until`, other OSErrors and
    UnicodeError."""
    if until is None:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    found: Future[list[tuple[Any, ...]]] = Future()

    def look() -> None:
        try:
            found.set_result(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:  # raised where it is waited for
            found.set_exception(error)

    Thread(target=look, name="look-up", daemon=True).start()
    return found.result(timeout=max(0, until - time.monotonic()))
