"""supervisord for a disk that may be full: what it cannot log is lost, and it goes on.

supervisord reports a line that it could not write on its stderr, which is a file on the same disk, and would end with
every process that it runs; where it cannot make a new log file, it would close the pipe of the program that speaks.
"""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from supervisor import loggers, supervisord

_roll = loggers.RotatingFileHandler.doRollover


class Forgiving:
    """A text stream whose writes never fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As much as there is room for."""
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Whatever can be."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def roll(handler: Any) -> None:
    """supervisord's `doRollover`. Where no new file can be made, lines are dropped until one can."""
    try:
        if getattr(handler.stream, "name", "") == os.devnull:
            handler.stream.close()
            handler.stream = open(handler.baseFilename, handler.mode)  # noqa: SIM115 - its own, for long
        _roll(handler)
    except OSError:
        with suppress(OSError):
            handler.stream.close()
        handler.stream = open(os.devnull, "ab")  # noqa: SIM115


def tolerate_full_disk() -> None:
    """Make this process's supervisord live without its logs."""
    sys.stdout, sys.stderr = Forgiving(sys.stdout), Forgiving(sys.stderr)
    loggers.RotatingFileHandler.doRollover = roll


if __name__ == "__main__":
    tolerate_full_disk()
    supervisord.main()
