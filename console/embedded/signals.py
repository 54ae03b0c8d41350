"""Waiting for signals without polling: an idle `up` costs no CPU."""

import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Self

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Signals:
    """Counts requests to stop (Ctrl-C, TERM, a closed terminal) while it is entered.

    `wait` returns early at any signal, also when a child ended (SIGCHLD).
    """

    def __init__(self) -> None:
        self.stops = 0
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        for number in (*STOPPING, signal.SIGCHLD):
            signal.signal(number, _ignore)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number in (*STOPPING, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)

    def wait(self, seconds: float | None) -> None:
        """Until a signal arrives, or `seconds` passed (None: without end)."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if ready:
            self.stops += sum(number in STOPPING for number in os.read(self._reader, 4096))

    def pause(self, seconds: float) -> None:
        """`seconds`, whatever child ends in the meantime; a request to stop cuts it short."""
        before, until = self.stops, time.monotonic() + seconds
        while self.stops == before and (left := until - time.monotonic()) > 0:
            self.wait(left)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler must exist for the wakeup descriptor to be written."""
