"""Removing the files of a Deployment."""

import os
import subprocess
import sys
from pathlib import Path

from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir

NAME = "calm-orbit-0012"
REMOVE = f"""
import sys
from pathlib import Path
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.removal import remove_files
remove_files(StateDir(Path(sys.argv[1])), "{NAME}")
"""
# Root without its rights is an ordinary owner of its files.
ORDINARY = () if os.getuid() else ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--")


def test_folders_that_tasks_closed_to_everybody_go_as_well(tmp_path: Path) -> None:
    paths = StateDir(tmp_path / "state")
    paths.create()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o500)
    home = paths.deployment(NAME) / "home"
    module, hidden = home / "go" / "pkg" / "mod" / "x@v1", home / "hidden" / "inner"
    for folder in (module, hidden):
        folder.mkdir(parents=True)
        (folder / "file").touch(mode=0o400)
    (home / "link").symlink_to(elsewhere)
    for closed, mode in (
        (module, 0o555),
        (module.parent, 0o555),
        (hidden, 0),
        (hidden.parent, 0),
        (home, 0o500),
    ):
        closed.chmod(mode)
    command = [*ORDINARY, sys.executable, "-c", REMOVE, str(paths.root)]
    done = subprocess.run(command, cwd=runtimes.PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not paths.deployment(NAME).exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o500
