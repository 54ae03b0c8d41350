"""Files that only their owner reads, and perhaps one group; and what outlives a power cut."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path


def write_private(file: Path, text: str, *, mode: int = 0o600, group: int | None = None) -> bool:
    """Make `file` hold `text`, with this mode, for a `group` by number, and at once: after a crash it holds the old
    text or the new one, never half. Returns whether that changed anything."""
    with suppress(FileNotFoundError):
        found = file.stat()
        same = found.st_mode & 0o777 == mode and group in (None, found.st_gid)
        if same and file.read_text() == text:
            return False
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if group is not None:
        os.fchown(descriptor, -1, group)
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    return True


def flush(folder: Path) -> None:
    """Have everything that was written to the file system of `folder` on its disk. Raises OSError.

    Other disks are not waited for where the system has a word for that (Linux): one of them may hang.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
