"""Upkeep that is done once an hour: when it was done last is the time of an empty file beside what it is of."""

import os
from contextlib import suppress
from pathlib import Path

EVERY_SECONDS = 3600.0


def is_done(stamp: Path, moment: float) -> bool:
    """Whether it was done within the hour before `moment` (Unix seconds). A time in the future does not count: the
    clock was set back."""
    with suppress(FileNotFoundError):
        return 0 <= moment - stamp.stat().st_mtime < EVERY_SECONDS
    return False


def note(stamp: Path, moment: float) -> None:
    """It was done at `moment`. On a full disk that is not noted, and it is done again."""
    with suppress(OSError):
        stamp.touch(mode=0o600)
        os.utime(stamp, (moment, moment))
