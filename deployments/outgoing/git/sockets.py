"""Connecting to a Git server, at an address where repositories may be."""

import socket
from functools import partial

from deployments.domain.public_hosts import REPOSITORIES, Listed
from deployments.outgoing import sockets
from deployments.outgoing.git.wish import SILENCE_SECONDS, GitRefused


def connect(host: str, port: int, listed: Listed) -> socket.socket:
    """A connected socket on which silence ends after SILENCE_SECONDS. Raises GitRefused."""
    try:
        return sockets.connect(
            host, port, refusal=partial(REPOSITORIES.refusal, by=listed), silence=SILENCE_SECONDS
        )
    except sockets.NotReached as error:
        raise GitRefused(str(error)) from None
