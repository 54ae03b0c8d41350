"""What every program may reach of the machine itself: programs, libraries and settings to read, a few devices to use.

Not here: anybody's home, /tmp, /var, /run, and whatever in /etc not everybody may read. Standard library only.
"""

import glob
import os
import stat
from collections.abc import Iterator

from deployments.dataplane.local.fence.landlock import (
    IOCTL_DEVICE,
    READ,
    READ_DIR,
    READ_FILE,
    WRITE,
    WRITE_FILE,
)

PROGRAMS = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/opt",
)
SETTINGS = "/etc"
# Landlock keeps what belongs to other processes apart by itself: their memory, environment and open files.
KERNEL = ("/proc", "/sys")
DATA = ("/var/lib/ca-certificates", "/var/cache/fontconfig")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "fd", "dri", "kfd", "nvidia*")
# glibc makes its semaphores here under names that it forgets at once; no program may list them.
SHARED_MEMORY = "/dev/shm"  # noqa: S108
# A folder in which a file of /etc really lies may be allowed, but none of these.
TOO_MUCH = ("/", "/run", "/var", "/var/run", "/tmp", "/home", "/root", "/mnt")  # noqa: S108


def paths(*, root: bool) -> Iterator[tuple[str, int]]:
    """Paths and rights. `root` says that the program runs as root, who owns files that no other user may read."""
    for path in (*PROGRAMS, *KERNEL, *DATA):
        if path != "/opt" or not root:
            yield path, READ
    if root:
        for path in read_by_everybody(SETTINGS):
            yield path, READ
    else:
        yield SETTINGS, READ
    for folder in linked_from_settings():
        yield folder, READ_FILE | READ_DIR
    for name in DEVICES:
        for path in glob.glob(f"/dev/{name}"):
            yield path, READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEVICE
    yield SHARED_MEMORY, WRITE & ~READ_DIR


def read_by_everybody(folder: str) -> list[str]:
    """The fewest paths that hold all that everybody may read below `folder`, and nothing else."""
    return [folder] if (found := _public(folder)) is None else found


def _public(folder: str) -> list[str] | None:
    """None when everybody may read all of it; else the parts of which that is so."""
    parts: list[str] = []
    whole = bool(os.stat(folder).st_mode & stat.S_IROTH and os.stat(folder).st_mode & stat.S_IXOTH)
    if not whole:
        return []
    for entry in os.scandir(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            continue  # what it leads to has a rule, or none
        if stat.S_ISDIR(mode):
            below = _public(entry.path)
            whole = whole and below is None
            parts += [entry.path] if below is None else below
        elif mode & stat.S_IROTH:
            parts.append(entry.path)
        else:
            whole = False
    return None if whole else parts


def linked_from_settings() -> set[str]:
    """The folders in which files of /etc really lie: who resolves names keeps them in /run."""
    found = set()
    for name in ("resolv.conf", "localtime", "hosts", "nsswitch.conf", "ssl/certs", "pki/tls/certs"):
        real = os.path.realpath(f"{SETTINGS}/{name}")
        folder = real if os.path.isdir(real) else os.path.dirname(real)
        if not folder.startswith((SETTINGS, *PROGRAMS)) and folder not in TOO_MUCH:
            found.add(folder)
    return found
