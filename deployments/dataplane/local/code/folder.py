"""Reading the folder that people put DAG files into, as the version before the first deploy."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deployments.domain import code_ignore
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_limits import CHUNK, LIMITS
from deployments.domain.code_manifest import CodeFile, Manifest
from deployments.domain.code_paths import clean_path

TOO_MUCH = (
    "The DAGs folder holds more than one version of code may: 20,000 files, or 500 MiB. Take out of it what is no "
    "code; its content becomes version 1 with the first deploy."
)


def take_folder(folder: Path, scratch: Path) -> Manifest:
    """Copy the contents of a folder into `scratch`, by their SHA-256. What no archive may hold (links, pipes, names
    that are refused) and what is always left out is not taken. Raises CodeRefused when there is more than a version may
    have."""
    found: list[CodeFile] = []
    total = 0
    for path, file, status in _files(folder):
        total += status.st_size
        if len(found) >= LIMITS.entries or total > LIMITS.unpacked or status.st_size > LIMITS.file:
            raise CodeRefused(TOO_MUCH)
        with suppress(FileNotFoundError):  # someone is working in it
            sha256, size = _copy(file, scratch)
            found.append(CodeFile(path, sha256, size, bool(status.st_mode & 0o111)))
    return Manifest.of(found)


def _files(folder: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    for base, folders, names in os.walk(folder):
        near = Path(base).relative_to(folder)
        folders[:] = sorted(
            name for name in folders if not code_ignore.DEFAULTS.leaves_out(str(near / name / "x"))
        )
        for name in sorted(names):
            file = Path(base) / name
            try:
                path, status = clean_path(str(near / name)), file.lstat()
            except (CodeRefused, FileNotFoundError):
                continue
            if stat.S_ISREG(status.st_mode) and not code_ignore.DEFAULTS.leaves_out(path):
                yield path, file, status


def _copy(file: Path, scratch: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    incoming = scratch / "incoming"
    with file.open("rb") as source, incoming.open("wb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += out.write(chunk)
    incoming.rename(scratch / digest.hexdigest())
    return digest.hexdigest(), size
