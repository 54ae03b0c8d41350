"""Reading a .tar.gz as POSIX (ustar, pax) and GNU tar write it, header by header. Pure.

What a header's extension may hold is bounded; of pax records only the path and the size count.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import BinaryIO, cast

from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_limits import CHUNK, ArchiveEntry, Budget, EntryKind, Reader

BLOCK = 512
EXTENSION_BYTES = 64 * 1024  # of one extension of a header; a path may have 1,024
DAMAGED = "The .tar.gz is damaged or was cut short. Pack and upload it again."
NOT_TAR = "The .gz does not hold a tar archive. Pack the folder as .tar.gz or .zip."
ZEROS = bytes(BLOCK)

FILE, FOLDER = b"0\x007", b"5"
LINKS, DEVICES = b"12", b"346"
PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK, GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"


@dataclass
class Header:
    """One header block, and what extensions before it set."""

    name: bytes
    mode: int
    size: int
    form: bytes
    pax: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> EntryKind:
        """What it announces."""
        if any(key.startswith(b"GNU.sparse") for key in self.pax) or self.form == GNU_SPARSE:
            return EntryKind.SPARSE
        if self.form in LINKS:
            return EntryKind.LINK
        if self.form in DEVICES:
            return EntryKind.DEVICE
        if self.form == FOLDER or (self.form == b"\0" and self.name.endswith(b"/")):
            return EntryKind.FOLDER
        return EntryKind.FILE if self.form in FILE else EntryKind.STRANGE


class _Timed:
    """The packed file; its reader may go round for long without an answer, so time is counted here."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, size: int = -1) -> bytes:
        """For gzip."""
        self._budget.tick()
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """For gzip."""
        return self._stream.seek(offset, whence)


def entries(stream: BinaryIO, budget: Budget) -> Reader:
    """Every entry with its content, in order. Raises CodeRefused."""
    with gzip.GzipFile(fileobj=cast(BinaryIO, _Timed(stream, budget)), mode="rb") as unpacked:
        yield from _Tar(cast(BufferedIOBase, unpacked), budget).entries()


class _Tar:
    def __init__(self, stream: BufferedIOBase, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def entries(self) -> Reader:
        """Headers until the end mark; then the rest, which must be whole too."""
        first = True
        while header := self._header(first=first):
            first = False
            # A size in the header of anything else announces no content.
            bare = header.kind in {EntryKind.FOLDER, EntryKind.LINK, EntryKind.DEVICE}
            size = 0 if bare else header.size
            content = self._content(size)
            name = header.name.decode("utf-8", "surrogateescape")
            yield ArchiveEntry(name, header.kind, size, bool(header.mode & 0o111)), content
            for chunk in content:  # what is left out
                self._budget.more(len(chunk))
        while chunk := self._read(CHUNK):
            self._budget.more(len(chunk))

    def _read(self, count: int) -> bytes:
        try:
            return self._stream.read(count)
        except (EOFError, OSError, zlib.error):
            raise CodeRefused(DAMAGED) from None

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._read(count - len(data))
            if not more:
                raise CodeRefused(DAMAGED)
            data += more
        return data

    def _content(self, size: int) -> Iterator[bytes]:
        """So many bytes in chunks, and the padding after them."""
        left = size
        while left:
            chunk = self._exactly(min(CHUNK, left))
            left -= len(chunk)
            yield chunk
        self._exactly(-size % BLOCK)

    def _header(self, *, first: bool) -> Header | None:
        """The next header that names an entry; None at the end mark."""
        pax: dict[bytes, bytes] = {}
        long_name = b""
        while True:
            block = self._exactly(BLOCK)
            if block == ZEROS:
                return None
            header = _parse(block, first=first)
            self._budget.tick()
            if header.form in {PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK}:
                data = self._extension(header)
                self._budget.more(len(data) + BLOCK)
                first = False
                if header.form == PAX:
                    pax |= _pax(data)
                elif header.form == PAX_GLOBAL and _pax(data).keys() & {b"path", b"size"}:
                    raise CodeRefused(NOT_TAR)
                elif header.form == GNU_NAME:
                    long_name = data.rstrip(b"\0")
                continue
            header.pax = pax
            header.name = pax.get(b"path", long_name or header.name)
            header.size = _decimal(pax[b"size"]) if b"size" in pax else header.size
            return header

    def _extension(self, header: Header) -> bytes:
        if header.size > EXTENSION_BYTES:
            raise CodeRefused("The .tar.gz holds a name of more than 64 KiB. Rename the file and pack again.")
        return b"".join(self._content(header.size))


def _parse(block: bytes, *, first: bool) -> Header:
    """One header block, with its sum checked."""
    stated = _octal(block[148:156])
    sum_ = sum(block) - sum(block[148:156]) + 8 * 0x20
    if stated != sum_:
        raise CodeRefused(NOT_TAR if first else DAMAGED)
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and prefix:
        name = prefix + b"/" + name
    return Header(name, _octal(block[100:108]), _number(block[124:136]), block[156:157])


def _octal(text: bytes) -> int:
    digits = text.partition(b"\0")[0].strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return -1


def _number(text: bytes) -> int:
    """Octal, or GNU's base 256. Raises CodeRefused when it is none or below zero."""
    value = int.from_bytes(text[1:], "big") if text[0] == 0x80 else _octal(text)
    if value < 0:
        raise CodeRefused(DAMAGED)
    return value


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise CodeRefused(DAMAGED)
    return int(text)


def _pax(data: bytes) -> dict[bytes, bytes]:
    """Records "LENGTH KEY=VALUE\\n"."""
    found: dict[bytes, bytes] = {}
    while data:
        digits, blank, _ = data.partition(b" ")
        length = _decimal(digits) if blank else 0
        record = data[:length]
        key, equals, value = record[len(digits) + 1 :].removesuffix(b"\n").partition(b"=")
        if not equals or len(record) != length or not record.endswith(b"\n") or length <= len(digits):
            raise CodeRefused(DAMAGED)
        found[key] = value
        data = data[length:]
    return found
