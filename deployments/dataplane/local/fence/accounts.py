"""An account of its own for each Deployment, where `up` runs as root: a number, claimed on the whole machine, to which
its files belong. No entry in /etc/passwd: nothing signs in as it."""

import grp
import os
import pwd
import stat
import zlib
from contextlib import suppress
from pathlib import Path

import psutil

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.state_dir import MACHINE, StateDir

FIRST, LAST = 40_000, 49_999  # of no system's people or services by default, and below what containers map
CLAIMS = MACHINE / "accounts"


def allot(paths: StateDir, release_name: str, claims: Path | None = None) -> int:
    """The Deployment's number; a new one when it has none. Raises DataPlaneError when none is free."""
    claims = claims or CLAIMS
    claims.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{paths.root}\n{release_name}\n"
    before = held(paths, release_name)
    if before is not None and _claim(claims, before, name):
        return before
    start = zlib.crc32(name.encode()) % (LAST - FIRST + 1)
    for offset in range(LAST - FIRST + 1):
        number = FIRST + (start + offset) % (LAST - FIRST + 1)
        if not _used(number) and _claim(claims, number, name):
            file = _file(paths, release_name)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_text(str(number))
            return number
    raise DataPlaneError(
        f"No account between {FIRST} and {LAST} is free on this machine. Delete a Deployment."
    )


def held(paths: StateDir, release_name: str) -> int | None:
    """The number of a Deployment that has one."""
    try:
        return int(_file(paths, release_name).read_text())
    except (OSError, ValueError):
        return None


def release(paths: StateDir, release_name: str, number: int, claims: Path | None = None) -> None:
    """Give the number back, once its files are gone."""
    claims = claims or CLAIMS
    if _claim(claims, number, f"{paths.root}\n{release_name}\n"):
        (claims / str(number)).unlink(missing_ok=True)


def give(folder: Path, owner: int) -> None:
    """Make `folder`, private to `owner`; what is in it already becomes his as well. Links are not followed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.lstat().st_uid == owner:
        return
    for _, folders, names, here in os.fwalk(folder):
        for name in (*folders, *names):
            with suppress(FileNotFoundError):
                os.chown(name, owner, owner, dir_fd=here, follow_symlinks=False)
    os.chown(folder, owner, owner, follow_symlinks=False)  # last: an attempt that is cut short is made again


def let_in(path: Path, mode: int, group: int) -> None:
    """Let the group `group` reach a file or folder of ours as `mode` says."""
    found = path.lstat()
    if found.st_gid != group or stat.S_IMODE(found.st_mode) != mode:
        os.chown(path, -1, group, follow_symlinks=False)
        path.chmod(mode)


def let_everybody_read(folder: Path) -> None:
    """What was made under the mask of private files and holds nothing secret: a runtime's environment, a version of
    code. The folder above it decides who gets there. The folder's own mode says that it was done."""
    if folder.stat().st_mode & 0o005 == 0o005:
        return
    for _, folders, names, here in os.fwalk(folder):
        for name in (*folders, *names):
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if not stat.S_ISLNK(mode):
                open_mode = 0o755 if stat.S_ISDIR(mode) or mode & 0o100 else 0o644
                os.chmod(name, open_mode & ~0o200 | mode & 0o200, dir_fd=here)
    folder.chmod(0o755)


def _file(paths: StateDir, release_name: str) -> Path:
    return paths.deployment(release_name) / "account"


def _claim(claims: Path, number: int, name: str) -> bool:
    """Whether the number is claimed by this name, now or already. One of a state folder that is gone is free."""
    file, draft = claims / str(number), claims / f".{number}.{os.getpid()}"
    draft.write_text(name)
    try:
        for _ in range(2):
            try:
                os.link(draft, file)
                return True
            except FileExistsError:
                owner = file.read_text()
                if owner == name:
                    return True
                if Path(owner.partition("\n")[0]).exists():
                    return False
                file.unlink(missing_ok=True)
        return False
    finally:
        draft.unlink(missing_ok=True)


def _used(number: int) -> bool:
    """Whether an account has this number already, or a process runs as it."""
    with suppress(KeyError):
        return bool(pwd.getpwuid(number))
    with suppress(KeyError):
        return bool(grp.getgrgid(number))
    return any(p.info["uids"] and p.info["uids"].real == number for p in psutil.process_iter(["uids"]))
