"""A connection to a database whose owner may wish us ill: how much it may send, and for how long it may keep us, is
held here, not there. What the server is asked to hold (statement_timeout, LIMIT, the size of a value) a function in the
place of a table can undo, and a notice or an error can be as large as a row."""

import fcntl
import struct
import termios
import time
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Closed, with a DataPlaneError, once the server has sent more than `limit` allows, or has taken longer."""

    _most_bytes: float = float("inf")
    _until: float = float("inf")
    _received = 0

    def limit(self, *, seconds: float, most_bytes: int) -> None:
        """From now on, for all statements together."""
        self._until, self._most_bytes = time.monotonic() + seconds, most_bytes

    def wait[T](self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """As psycopg's, which comes by here before libpq reads anything, and ten times a second while nothing comes."""
        return super().wait(self._held(gen), *args, **kwargs)

    def _held[T](self, gen: PQGen[T]) -> PQGen[T]:
        try:
            needs = next(gen)
            while True:
                ready = yield needs
                self._judge(ready)
                needs = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result

    def _judge(self, ready: int) -> None:
        if ready & Ready.R:
            # What the kernel holds, which is a few hundred KB: libpq makes room for a whole message, but fills it with
            # what has come.
            waiting = fcntl.ioctl(self.pgconn.socket, termios.FIONREAD, bytes(4))
            self._received += struct.unpack("i", waiting)[0]
        if self._received > self._most_bytes:
            self.pgconn.finish()
            raise DataPlaneError(
                f"Its metadata database answers with more than {self._most_bytes / 2**20:.0f} MiB, which no Airflow "
                "does. Look whether its tables were replaced."
            )
        if time.monotonic() > self._until:
            self.pgconn.finish()
            raise DataPlaneUnreachable("Its metadata database did not finish its answer in time.")
