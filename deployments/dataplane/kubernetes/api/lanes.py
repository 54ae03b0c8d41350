"""How many objects of one process go to an API server at a time: as many as the server itself lets through.

It begins with a few, adds one for each round of answers, and halves when the server asks for rest (429, 503, 504),
which then counts for all lanes, for as long as Retry-After says. The server's own flow control shares it out between
accounts and processes; this keeps us from asking while it lets nothing through.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread

FIRST, MOST = 4.0, 8.0
ROUND_SECONDS = 1.0  # answers of one crowd halve it once
REST_SECONDS = 0.2  # where the server names none
LONGEST_REST = 5.0  # of those that wait here; each request waits for as long as its own answer says


class Lanes:
    """Of one connection. Safe between threads."""

    def __init__(self) -> None:
        self._limit = FIRST
        self._under_way = 0
        self._slowed_at = self._closed_until = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many there are now."""
        return max(1, int(self._limit))

    @contextmanager
    def lane(self, patience: float) -> Iterator[bool]:
        """Go when it is one's turn. False when that does not come within `patience` seconds: then do not go."""
        with self._changed:
            open_ = self._changed.wait_for(self._is_free, 0) or self._wait(patience)
            self._under_way += open_
        try:
            yield open_
        finally:
            if open_:
                with self._changed:
                    self._under_way -= 1
                    self._changed.notify()

    def each[Key, Answer](
        self, sends: Mapping[Key, Callable[[], Answer]], *, left: Callable[[], float]
    ) -> dict[Key, Answer]:
        """The answers of what does not wait for each other, side by side. Once no seconds are `left` no further one
        begins, and those are missing. Raises the first error, after the others that began have ended."""
        done: dict[Key, Answer] = {}
        failed: list[Exception] = []
        waiting = deque(sends)

        def work() -> None:
            while not failed and left() > 0:
                with self.lane(left()) as is_open:
                    if not is_open or failed:
                        continue
                    try:
                        key = waiting.popleft()
                    except IndexError:  # all have begun
                        return
                    try:
                        done[key] = sends[key]()
                        self.answered()
                    except Exception as error:
                        failed.append(error)

        threads = [Thread(target=work, daemon=True) for _ in range(min(int(MOST), len(sends)) - 1)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return done

    def answered(self) -> None:
        """The server took one."""
        with self._changed:
            self._limit = min(MOST, self._limit + 1.0 / self._limit)
            self._changed.notify()

    def slow_down(self, rest: float) -> None:
        """The server asks for rest, of so many seconds; 0 when it says nothing."""
        now = time.monotonic()
        with self._changed:
            self._closed_until = max(self._closed_until, now + min(rest or REST_SECONDS, LONGEST_REST))
            if now - self._slowed_at > ROUND_SECONDS:
                self._slowed_at = now
                self._limit = max(1.0, self._limit / 2)

    def _is_free(self) -> bool:
        return self._under_way < self.limit and time.monotonic() >= self._closed_until

    def _wait(self, patience: float) -> bool:
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            closed = self._closed_until - time.monotonic()
            if self._changed.wait_for(self._is_free, min(left, closed if closed > 0 else left)):
                return True
        return False
