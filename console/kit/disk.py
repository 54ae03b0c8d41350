"""Room on a disk, and what is shown when there is none."""

import errno
import shutil
from pathlib import Path

LOW_BYTES = (
    256 * 1024**2
)  # Postgres writes logs of 16 MiB and must never meet a full disk; so that people see it before
FULL = "The disk on which Airdeck keeps its state is full, so nothing can be saved. Make room; it recovers by itself."
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def shortage(folder: Path) -> str:
    """A sentence when the disk of `folder` is full or nearly so; "" while there is room, or when that is unknown."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    if free >= LOW_BYTES:
        return ""
    if free < 1024**2:
        return FULL
    return (
        f"The disk on which Airdeck keeps its state has only {free // 1024**2} MiB left. Make room, or nothing can be "
        "saved soon."
    )


def is_full(error: BaseException | None) -> bool:
    """Whether this error, or what led to it, is a disk without room: a file's, or one that Postgres reports."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        if getattr(error, "sqlstate", None) == "53100":  # disk_full
            return True
        error = error.__cause__ or error.__context__
    return False
