"""Connecting to a host that a person named: its name is resolved once, each address it has is judged, and one of those
very addresses is connected to."""

import socket
from collections.abc import Callable

CONNECT_SECONDS = 5.0  # to one address


class NotReached(Exception):
    """No connection was made; `str()` is the sentence. `refused` when the address may not be asked at all."""

    def __init__(self, sentence: str, *, refused: bool = False) -> None:
        super().__init__(sentence)
        self.refused = refused


def connect(host: str, port: int, *, refusal: Callable[..., str], silence: float) -> socket.socket:
    """A connected socket on which silence ends after so many seconds. `refusal(host)` and `refusal(host, address)` say
    why not, or "". Raises NotReached."""
    if why := refusal(host):
        raise NotReached(why, refused=True)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotReached(f"The name {host} was not found. Check the address for typos.") from None
    for entry in found:
        if why := refusal(host, str(entry[4][0])):
            raise NotReached(why, refused=True)
    for family, kind, protocol, _, place in found:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(CONNECT_SECONDS)
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
