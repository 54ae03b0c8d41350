"""Connecting to a Git server: its name is resolved once, each address it has is judged, and one of those very addresses
is connected to."""

import socket

from deployments.domain.git_hosts import Listed, refusal
from deployments.git.wish import SILENCE_SECONDS, GitRefused

CONNECT_SECONDS = 5.0  # to one address


def connect(host: str, port: int, listed: Listed) -> socket.socket:
    """A connected socket on which silence ends after SILENCE_SECONDS. Raises GitRefused."""
    if why := refusal(host, by=listed):
        raise GitRefused(why)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise GitRefused(f"The name {host} was not found. Check the address for a typing error.") from None
    for entry in found:
        if why := refusal(host, str(entry[4][0]), by=listed):
            raise GitRefused(why)
    for family, kind, protocol, _, place in found:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(CONNECT_SECONDS)
            made.connect(place)
        except OSError:
            made.close()
            continue
        made.settimeout(SILENCE_SECONDS)
        return made
    raise GitRefused(
        f"No connection to {host}, port {port}, could be made. Check the address, and that the server is reached from "
        "where Airdeck runs."
    )
