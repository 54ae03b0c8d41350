"""Connections of the web process, and how long they wait.

A server that is frozen, or behind a network that swallows packets, accepts a question and never answers. Its own time
limits do not help, and TCP's take minutes. So the client stops waiting, and once it has, no other request begins to
wait until one request, each second, has found that there is an answer again.
"""

import threading
import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

# A page is answered within 3 s, with what else it takes.
QUERY_SECONDS = 2.2  # for one answer; above the server's own limit, which leaves the connection usable
CHECK_SECONDS = 0.8  # for the empty question with which a connection is taken from the pool
PATIENCE_SECONDS = 0.5  # for one answer, once another request got none
POOL_SECONDS = 1.4  # for a connection; a check may begin at its end
BREAKER_RETRY_SECONDS = 1.0
SILENT = "The database does not answer."


class Silence:
    """Whether the server is known to be silent, and whose turn it is to ask again. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._next_trial = 0.0

    def note(self) -> None:
        """An answer did not come."""
        self._since = time.monotonic()

    def watched(self) -> None:
        """An answer came."""
        self._since = None

    def came_after(self, moment: float) -> bool:
        """Whether a request got no answer after that moment."""
        return self._since is not None and self._since > moment

    def permit(self) -> None:
        """Let the caller ask. Raises OperationalError while the server is silent and another request tries."""
        if self._since is None:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._next_trial:
                raise psycopg.OperationalError(SILENT)
            self._next_trial = now + BREAKER_RETRY_SECONDS


silence = Silence()


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that waits for an answer for QUERY_SECONDS, and is closed when none came."""

    patience = QUERY_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """psycopg's, with a limit. Raises OperationalError."""
        bounded = _bounded(gen, self.patience if timeout is None else timeout)
        try:
            return super().wait(bounded, interval=interval)
        except _Unanswered:
            self.close()  # what it would still answer, no one would expect
            silence.note()
            raise psycopg.OperationalError(SILENT) from None


class _Unanswered(Exception):
    """The server sent nothing in the time it had."""


def _bounded(question: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """One of psycopg's exchanges with the server, which ends after so many seconds; sooner when another request found
    the server silent in the meantime. It is handed 0 each interval in which the socket had nothing."""
    begun = time.monotonic()
    try:
        desired = next(question)
        while True:
            ready = yield desired
            waited = time.monotonic() - begun
            if not ready and (waited > seconds or (waited > PATIENCE_SECONDS and silence.came_after(begun))):
                raise _Unanswered
            desired = question.send(ready)
    except StopIteration as end:
        return end.value


def check(connection: BoundedConnection) -> None:
    """Whether a connection of the pool still answers. Raises OperationalError."""
    connection.patience = CHECK_SECONDS
    try:
        ConnectionPool.check_connection(connection)
    finally:
        connection.patience = QUERY_SECONDS


def pool_options(size: int) -> dict[str, Any]:
    """What Django's OPTIONS["pool"] holds for a web process: at most `size` connections."""
    return {
        "min_size": 1,
        "max_size": size,
        "timeout": POOL_SECONDS,
        "check": check,
        "connection_class": BoundedConnection,
        # Not with pauses that grow to minutes: a person waits for the next connection.
        "reconnect_timeout": 2.0,
    }
