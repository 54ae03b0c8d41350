"""Ending a Deployment's processes and removing its files: for a delete, and for its sleep."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from console.kit.wording import counted
from deployments.dataplane.contract import Leftover, Outcome, Progress, Ref
from deployments.dataplane.local import ports
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.processes import Processes, tagged
from deployments.dataplane.postgres import databases


def end_processes(paths: StateDir, processes: Processes, release_name: str, *, step: str) -> Progress | None:
    """End everything that runs of it, within a few seconds per call; None when nothing does any more."""
    if not processes.known() and not tagged(paths.root, release_name):
        return None
    processes.end_all()
    left = len(processes.known())
    if left:
        return Progress(step, Outcome.WAITING, f"Waiting for {counted(left, 'process', 'processes')} to end.")
    return Progress(step, Outcome.PROGRESSED, "Ended every process.")


def drop_data(admin_url: str, ref: Ref) -> Progress | None:
    """Drop its database, then its role, one per call; None when both are gone."""
    name = databases.database_name(ref.release_name)
    if databases.drop_database(admin_url, ref.release_name, ref.deployment_id):
        return Progress("database", Outcome.PROGRESSED, f"Dropped database {name}.")
    if databases.drop_role(admin_url, ref.release_name, ref.deployment_id):
        return Progress("role", Outcome.PROGRESSED, f"Dropped role {name}.")
    return None


def remove_files(paths: StateDir, release_name: str) -> None:
    """Remove its files, its groups and its ports. Last: what is left of it is found through these."""
    shutil.rmtree(paths.sockets(release_name), ignore_errors=True)
    for file in (
        *paths.groups.glob(f"{release_name}.*.conf"),
        *paths.logs.glob(f"{release_name}.upgrade.log*"),
    ):
        file.unlink(missing_ok=True)
    ports.release_all(paths, release_name)
    folder = paths.deployment(release_name)
    if folder.exists():
        try:
            shutil.rmtree(folder)
        except PermissionError:
            _open_up(folder)
            shutil.rmtree(folder)


def _open_up(folder: Path) -> None:
    """Give us back what tasks took from us, who run as the same user: Go's module cache, for one, is of folders that
    no one may write to. Links are not followed."""
    for _, folders, _, here in os.fwalk(folder):  # it opens each of `folders` afterwards
        for name in folders:
            with suppress(OSError):
                if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    os.chmod(name, 0o700, dir_fd=here)


def leftovers(paths: StateDir, admin_url: str, ref: Ref, known: int) -> tuple[Leftover, ...]:
    """All that still exists of it. `known` is how many of its processes supervisord knows; orphans are looked for
    when it knows none."""
    found: list[Leftover] = []
    running = known or len(tagged(paths.root, ref.release_name))
    if running:
        found.append(Leftover("processes", counted(running, "process", "processes")))
    name = databases.database_name(ref.release_name)
    there = databases.find(admin_url, ref.release_name, ref.deployment_id)
    found += [Leftover("database", f"database {name}")] if there.database else []
    copy = f"database {databases.snapshot_name(ref.release_name)}"
    found += [Leftover("database", copy)] if there.snapshot is not None else []
    found += [Leftover("role", f"role {name}")] if there.role else []
    folder = paths.deployment(ref.release_name)
    found += [Leftover("files", f"files in {folder}")] if folder.exists() else []
    return tuple(found)
