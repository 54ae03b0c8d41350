"""Ending a Deployment's processes and removing its files: for a delete, and for its sleep."""

import shutil

from deployments.dataplane.base import Outcome, Progress
from deployments.dataplane.local import ports
from deployments.dataplane.local.paths import StateDir
from deployments.dataplane.local.processes import Processes, tagged


def end_processes(paths: StateDir, processes: Processes, release_name: str, *, step: str) -> Progress | None:
    """End everything that runs of it, within a few seconds per call; None when nothing does any more."""
    if not processes.known() and not tagged(paths.root, release_name):
        return None
    processes.end_all()
    left = len(processes.known())
    if left:
        return Progress(step, Outcome.WAITING, f"Waiting for {count(left, 'process', 'processes')} to end.")
    return Progress(step, Outcome.PROGRESSED, "Ended every process.")


def remove_files(paths: StateDir, release_name: str) -> None:
    """Remove its files, its groups and its ports. Last: what is left of it is found through these."""
    (paths.run_dir / f"{release_name}.redis.sock").unlink(missing_ok=True)
    for file in (
        *paths.groups.glob(f"{release_name}.*.conf"),
        *paths.logs.glob(f"{release_name}.upgrade.log*"),
    ):
        file.unlink(missing_ok=True)
    ports.release_all(paths, release_name)
    folder = paths.deployment(release_name)
    if folder.exists():
        shutil.rmtree(folder)


def count(number: int, one: str, many: str) -> str:
    """ "1 process", "2 processes"."""
    return f"{number} {one if number == 1 else many}"
