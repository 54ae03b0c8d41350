"""An environment appears at once: made in a fresh folder `env-…`, published by an atomic change of the symlink
`current`."""

import os
import shutil
from pathlib import Path

from deployments.dataplane.local.state_dir import StateDir


def remove_all_unfinished(paths: StateDir) -> None:
    """Whatever is not published, also what was replaced because its Python had gone. Only while nothing runs that was
    started from this state folder."""
    for folder in paths.runtimes.iterdir():
        remove_unfinished(folder)


def remove_unfinished(folder: Path) -> None:
    """Earlier attempts that were never published. The published one is kept: it may be in use."""
    published = os.path.realpath(folder / "current")
    for old in folder.glob("env-*"):
        if str(old) != published:
            shutil.rmtree(old, ignore_errors=True)


def publish(folder: Path, attempt: Path) -> None:
    """From now on `current` is this attempt."""
    link = folder / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(attempt.name)
    link.replace(folder / "current")
