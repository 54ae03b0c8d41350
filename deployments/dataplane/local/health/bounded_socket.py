"""A socket for questions to a program that a Deployment's code may have put in Airflow's place."""

import socket
import time
from typing import Any, Self


class BoundedSocket(socket.socket):
    """Gives up, with an OSError, once `seconds` are over since it was made or more than `most_bytes` came. The timeout
    of an ordinary one is that of each single read: who sends a byte a second would keep us for ever."""

    def __init__(self, *arguments: Any, seconds: float, most_bytes: int, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._until, self._left = time.monotonic() + seconds, most_bytes
        self.settimeout(seconds)

    @classmethod
    def over(cls, connected: socket.socket, *, seconds: float, most_bytes: int) -> Self:
        """In place of a socket that is connected, which is used up."""
        return cls(fileno=connected.detach(), seconds=seconds, most_bytes=most_bytes)

    def recv_into(self, *arguments: Any, **more: Any) -> int:
        """As a file made of this socket reads, which is how everything here is read."""
        left = self._until - time.monotonic()
        if left <= 0 or self._left <= 0:
            raise TimeoutError("The answer is too long, or took too long.")
        self.settimeout(left)
        came = super().recv_into(*arguments, **more)
        self._left -= came
        return came
