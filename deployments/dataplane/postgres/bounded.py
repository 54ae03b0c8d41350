"""A connection to a database whose owner may wish us ill: how much it may send, and for how long it may keep us, is
held here, not there. What the server is asked to hold (statement_timeout, LIMIT, the size of a value) a function in the
place of a table can undo, and a notice or an error can be as large as a row.

libpq reads for as long as the server keeps up, a message of a gigabyte at once. So it does not hold the socket to the
server: it has one end of a pair, and what the server sends is handed into the other one piece by piece, and counted.
"""

import os
import select
import socket
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable

PIECE = 32 * 1024  # a pair of sockets holds six times as much


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Closed, with a DataPlaneError, once the server has sent more than `limit` allows, or has taken longer."""

    _server: "_Server | None" = None

    def limit(self, *, seconds: float, most_bytes: int) -> None:
        """From now on, for all statements together. Once for each connection."""
        self._server = _Server(self.pgconn.socket, seconds, most_bytes)

    def wait[T](self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """As psycopg's, which comes by here whenever libpq has something to send, or needs more to go on."""
        if self._server is None:
            return super().wait(gen, *args, **kwargs)
        try:
            needs = next(gen)
            while True:
                needs = gen.send(self._server.ready(needs))
        except StopIteration as end:
            result: T = end.value
            return result
        except DataPlaneError:
            self.pgconn.finish()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            if self._server is not None:
                self._server.close()
                self._server = None


class _Server:
    """The socket to the server, which it takes out of libpq's hands: under libpq's number is one of a pair then."""

    def __init__(self, libpq: int, seconds: float, most_bytes: int) -> None:
        self._until, self._left, self._most_bytes = time.monotonic() + seconds, most_bytes, most_bytes
        self._far = socket.socket(fileno=os.dup(libpq))
        self._near, inner = socket.socketpair()
        with inner:
            inner.setblocking(False)  # as libpq has it
            os.dup2(inner.fileno(), libpq, inheritable=False)
        self._near.setblocking(False)
        self._unread = select.poll()
        self._unread.register(libpq, select.POLLIN)

    def ready(self, needs: int) -> Ready:
        """Once libpq can do what it needs to. Raises DataPlaneError for an answer that is too long, or takes too
        long; what else can happen to a connection libpq finds out by itself."""
        try:
            self._send()
            if needs & Wait.W:
                return Ready.W
            if not self._unread.poll(0):
                self._receive()
        except TimeoutError:
            raise DataPlaneUnreachable("Its metadata database did not finish its answer in time.") from None
        except OSError:
            self._end()
        return Ready.R

    def close(self) -> None:
        """End the connection, after libpq has."""
        with suppress(OSError):
            self._send()  # that it ends
        self._near.close()
        self._far.close()

    def _send(self) -> None:
        with suppress(BlockingIOError):
            while piece := self._near.recv(PIECE):
                self._far.settimeout(self._seconds_left())
                self._far.sendall(piece)

    def _receive(self) -> None:
        self._far.settimeout(self._seconds_left())
        piece = self._far.recv(PIECE)
        self._left -= len(piece)
        if self._left < 0:
            raise DataPlaneError(
                f"Its metadata database answers with more than {self._most_bytes / 2**20:.0f} MiB, which no Airflow "
                "does. Look whether its tables were replaced."
            )
        if piece:
            self._near.sendall(piece)
        else:
            self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self._near.shutdown(socket.SHUT_WR)

    def _seconds_left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
