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


def allot(paths: StateDir, release_name: str, claims: Path = CLAIMS) -> int:
    """The Deployment's number; a new one when it has none. Raises DataPlaneError when none is free."""
    claims.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{paths.root}\n{release_name}\n"
    held = _held(paths, release_name)
    if held is not None and _claim(claims, held, name):
        return held
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


def release(paths: StateDir, release_name: str, claims: Path = CLAIMS) -> None:
    """Give the number back. Its files must be gone."""
    held = _held(paths, release_name)
    if held is not None and _claim(claims, held, f"{paths.root}\n{release_name}\n"):
        (claims / str(held)).unlink(missing_ok=True)


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


def let_everybody_read(environment: Path) -> None:
    """A runtime's environment was made under the mask of private files. Done once; nothing secret is in it."""
    mark = environment / "airdeck-readable"
    if mark.exists():
        return
    for base, _, names, here in os.fwalk(environment):
        Path(base).chmod(0o755)
        for name in names:
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                os.chmod(name, 0o755 if mode & 0o100 else 0o644, dir_fd=here)
    mark.touch()


def _file(paths: StateDir, release_name: str) -> Path:
    return paths.deployment(release_name) / "account"


def _held(paths: StateDir, release_name: str) -> int | None:
    try:
        return int(_file(paths, release_name).read_text())
    except (OSError, ValueError):
        return None


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
                said = file.read_text()
                if said == name:
                    return True
                if Path(said.partition("\n")[0]).exists():
                    return False
                file.unlink(missing_ok=True)
        return False
    finally:
        draft.unlink(missing_ok=True)


def _used(number: int) -> bool:
    """Whether somebody has this number already, or runs as it."""
    with suppress(KeyError):
        return bool(pwd.getpwuid(number))
    with suppress(KeyError):
        return bool(grp.getgrgid(number))
    return any(p.info["uids"] and p.info["uids"].real == number for p in psutil.process_iter(["uids"]))
