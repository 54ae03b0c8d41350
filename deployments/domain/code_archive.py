"""Taking an archive of code apart: a stranger's file, read once as a stream, into a scratch folder of contents by their
SHA-256. Pure but for that folder.

Own readers (`code_zip`, `code_tar`), because what is refused must be refused by its name, whatever the library thinks:
`tarfile` reads a header's extension of any length into memory and its filters had holes until Python 3.13.4, `zipfile`
builds an object per entry before anybody can count them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deployments.domain import code_ignore, code_tar, code_zip
from deployments.domain.code_errors import CodeRefused, shown
from deployments.domain.code_limits import LIMITS, ArchiveEntry, Budget, EntryKind, Limits, Reader
from deployments.domain.code_manifest import CodeFile, Manifest
from deployments.domain.code_paths import Names, clean_path


@dataclass(frozen=True)
class Unpacked:
    """What came out: the files that are code, and how many files were left out because they are not."""

    manifest: Manifest
    left_out: int


def unpack(stream: BinaryIO, scratch: Path, limits: Limits = LIMITS) -> Unpacked:
    """Take the archive apart. Contents are files in `scratch` (which exists and is empty), named by their SHA-256,
    nothing else is written anywhere; the caller moves or removes the folder. Raises CodeRefused, and OSError when the
    disk does not take it. Holds no more than a few chunks and the list of files in memory."""
    size = stream.seek(0, 2)
    budget = Budget(size, limits)
    return take(_reader(stream, size, budget), scratch, budget)


def take(entries: Reader, scratch: Path, budget: Budget) -> Unpacked:
    """What these entries are as code; all but the reading of an archive, so whatever else holds code is judged by the
    same rules. Raises as `unpack`."""
    taking = _Taking(scratch, budget)
    for entry, chunks in entries:
        budget.entry(entry)
        taking.take(entry, chunks)
    return taking.result()


def _reader(stream: BinaryIO, size: int, budget: Budget) -> Reader:
    stream.seek(0)
    head = stream.read(4)
    stream.seek(0)
    if head in {b"PK\x03\x04", b"PK\x05\x06"}:
        return code_zip.entries(stream, size, budget)
    if head[:2] == b"\x1f\x8b":
        return code_tar.entries(stream, budget)
    raise CodeRefused("This is neither a .zip nor a .tar.gz archive. Pack the folder as one of these.")


class _Taking:
    """The files taken so far."""

    def __init__(self, scratch: Path, budget: Budget) -> None:
        self._scratch, self._budget = scratch, budget
        self._names = Names()
        self._files: list[CodeFile] = []
        self._left_out = 0

    def take(self, entry: ArchiveEntry, chunks: Iterable[bytes]) -> None:
        """Judge an entry, and store it when it is a file of code."""
        path = clean_path(entry.name)
        if path and code_ignore.DEFAULTS.leaves_out(path):
            self._left_out += entry.kind is not EntryKind.FOLDER
            for chunk in chunks:
                self._budget.more(len(chunk))
            return
        if entry.kind is EntryKind.FOLDER:
            self._names.add_folder(path)
            return
        if entry.kind is not EntryKind.FILE:
            raise CodeRefused(
                f"{shown(entry.name)} is {entry.kind.value}. Only files and folders are taken: put the file itself in "
                "its place."
            )
        if not path:
            raise CodeRefused("The archive holds a file without a name. Pack again.")
        self._names.add_file(path)
        sha256, size = self._store(entry, chunks)
        self._files.append(CodeFile(path, sha256, size, entry.executable))

    def _store(self, entry: ArchiveEntry, chunks: Iterable[bytes]) -> tuple[str, int]:
        incoming = self._scratch / "incoming"
        digest, size = hashlib.sha256(), 0
        with incoming.open("wb") as out:
            for chunk in chunks:
                size += len(chunk)
                self._budget.size(entry.name, size)
                self._budget.more(len(chunk))
                digest.update(chunk)
                out.write(chunk)
        incoming.rename(self._scratch / digest.hexdigest())
        return digest.hexdigest(), size

    def result(self) -> Unpacked:
        """Leave out what the archive itself says, and drop those contents."""
        own = next((file for file in self._files if file.path == code_ignore.IGNORE_FILE), None)
        kept = self._files
        if own is not None:
            ignore = code_ignore.with_own(self._text(own))
            kept = [file for file in self._files if not ignore.leaves_out(file.path)]
            for gone in {file.sha256 for file in self._files} - {file.sha256 for file in kept}:
                (self._scratch / gone).unlink()
        if not kept:
            raise CodeRefused(self._budget.nothing)
        return Unpacked(Manifest.of(kept), self._left_out + len(self._files) - len(kept))

    def _text(self, file: CodeFile) -> str:
        if file.size > code_ignore.IGNORE_BYTES:
            code_ignore.parse("\n" * (code_ignore.IGNORE_LINES + 1))
        try:
            return (self._scratch / file.sha256).read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise CodeRefused(f"{code_ignore.IGNORE_FILE} is not UTF-8 text. Save it as UTF-8.") from None
