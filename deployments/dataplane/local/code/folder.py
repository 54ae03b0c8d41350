"""Reading the folder that people put DAG files into, as the version before the first deploy."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from deployments.domain import code_ignore
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_limits import CHUNK, LIMITS
from deployments.domain.code_manifest import CodeFile, Manifest
from deployments.domain.code_paths import clean_path

TOO_MUCH = (
    "The DAGs folder holds more than one version of code may: 20,000 files, or 500 MiB. Remove what is not "
    "code from it; its content becomes version 1 with the first deploy."
)


def take_folder(folder: Path, scratch: Path) -> Manifest:
    """Copy the contents of a folder into `scratch`, by their SHA-256. What no archive may hold (links, pipes, names
    that are refused) and what is always left out is not taken. Raises CodeRefused when there is more than a version may
    have."""
    found: list[CodeFile] = []
    total = 0
    for path, handle, status in _files(folder):
        with os.fdopen(handle, "rb") as source:
            total += status.st_size
            if len(found) >= LIMITS.entries or total > LIMITS.unpacked or status.st_size > LIMITS.file:
                raise CodeRefused(TOO_MUCH)
            sha256, size = _copy(source, scratch)
            found.append(CodeFile(path, sha256, size, bool(status.st_mode & 0o111)))
    return Manifest.of(found)


def _files(folder: Path) -> Iterator[tuple[str, int, os.stat_result]]:
    """Each file, open. The code of the Deployment may write here while we read, with the console's rights: no link is
    followed, at no level, and a pipe does not block."""
    for base, folders, names, here in os.fwalk(folder):
        near = Path(base).relative_to(folder)
        folders[:] = sorted(
            name for name in folders if not code_ignore.DEFAULTS.leaves_out(str(near / name / "x"))
        )
        for name in sorted(names):
            try:
                path = clean_path(str(near / name))
                if code_ignore.DEFAULTS.leaves_out(path):
                    continue
                handle = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here
                )
            except (CodeRefused, OSError):  # someone is working in it
                continue
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode):
                yield path, handle, status
            else:
                os.close(handle)


def _copy(source: IO[bytes], scratch: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    incoming = scratch / "incoming"
    with incoming.open("wb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += out.write(chunk)
    incoming.rename(scratch / digest.hexdigest())
    return digest.hexdigest(), size
