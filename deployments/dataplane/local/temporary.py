"""What the programs of a Deployment leave in its folder for temporary files: a killed task tidies nothing up, and
this folder, unlike /tmp, is emptied by no system."""

import os
import stat
import time
from pathlib import Path

from deployments.dataplane.local import hourly

FOLDER = "tmp"
OLD_SECONDS = 10 * 86_400.0  # as systemd-tmpfiles has it for /tmp
BUDGET_SECONDS = 1.0  # of one call; the next goes on


def clear(folder: Path, now: float | None = None) -> int:
    """Drop files that were neither written to nor read for OLD_SECONDS, and folders that are empty for as long, once an
    hour. `folder` is that of the Deployment. Returns how many went. Never raises for what is gone or cannot be dropped.

    As in `task_logs`, whose is what lies here decides what becomes a link: each folder is opened without following any.
    """
    moment = time.time() if now is None else now
    done = folder / ".tmp.cleared"
    if hourly.is_done(done, moment) or not (folder / FOLDER).is_dir():
        return 0
    dropped, deadline = 0, time.monotonic() + BUDGET_SECONDS
    for _, folders, names, here in os.fwalk(folder / FOLDER, topdown=False):
        dropped += sum(_dropped(here, name, moment) for name in (*names, *folders))
        if time.monotonic() > deadline:
            return dropped
    hourly.note(done, moment)
    return dropped


def _dropped(here: int, name: str, moment: float) -> bool:
    """Whether it was old, and went. Sockets and pipes are left: who listens there may wait for long."""
    try:
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
        if moment - max(found.st_mtime, found.st_atime, found.st_ctime) <= OLD_SECONDS:
            return False
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(name, dir_fd=here)
        elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            os.unlink(name, dir_fd=here)
        else:
            return False
    except OSError:
        return False
    return True
