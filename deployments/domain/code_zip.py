"""Reading a .zip as APPNOTE.TXT 6.3.10 has it, entry by entry, with nothing of it held but one central record. Pure.

Only what packers of folders write: one disk, no encryption, stored or deflated. Where the central directory and an
entry's own header name different things, readers disagree on what is in the archive, so it is refused.
"""

import contextlib
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from deployments.domain.code_errors import CodeRefused, shown
from deployments.domain.code_limits import CHUNK, ArchiveEntry, Budget, EntryKind, Reader

END = struct.Struct("<4s4H2LH")  # end of central directory
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
LONGEST_COMMENT = 0xFFFF
SAYS_64, SAYS_16 = 0xFFFFFFFF, 0xFFFF  # the figure stands in a 64-bit field instead
ENCRYPTED, UTF_8 = 0x1 | 0x40, 0x800
STORED, DEFLATED = 0, 8
UNIX = {3, 19}  # 19 is macOS, which mostly calls itself Unix

DAMAGED = "The .zip is damaged or was cut short. Pack and upload it again."


@dataclass(frozen=True)
class ZipRecord:
    """What the central directory says of one entry."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int
    system: int = 0  # on which it was packed

    @property
    def name(self) -> str:
        """Decoded; bytes that are no UTF-8 although they claim to be stay recognizable as such. Finder of macOS packs
        in UTF-8 without saying so."""
        if self.flags & UTF_8:
            return self.raw_name.decode("utf-8", "surrogateescape")
        if self.system in UNIX:
            with contextlib.suppress(UnicodeDecodeError):
                return self.raw_name.decode()
        return self.raw_name.decode("cp437")

    @property
    def kind(self) -> EntryKind:
        """By the Unix mode, when the packer wrote one, and by the name."""
        form = stat.S_IFMT(self.mode)
        if form == stat.S_IFLNK:
            return EntryKind.LINK
        if form == stat.S_IFDIR or (not form and self.raw_name.endswith(b"/")):
            return EntryKind.FOLDER
        return EntryKind.FILE if form in {0, stat.S_IFREG} else EntryKind.DEVICE


def entries(stream: BinaryIO, size: int, budget: Budget) -> Reader:
    """Every entry with its content, in the order of the central directory. Raises CodeRefused."""
    at, end = _directory(stream, size)
    begin = at
    while at < end:
        stream.seek(at)
        record, length = _record(stream, end - at)
        at += length
        yield (
            ArchiveEntry(record.name, record.kind, record.size, bool(record.mode & 0o111)),
            _content(stream, record, begin, budget),
        )


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise CodeRefused(DAMAGED)
    return data


def _directory(stream: BinaryIO, size: int) -> tuple[int, int]:
    """Where the central directory begins and ends. It ends where the end record begins, or what was put between is
    read by some and not by others."""
    start = max(0, size - END.size - LONGEST_COMMENT)
    stream.seek(start)
    tail = stream.read()
    at = len(tail) - END.size
    while (at := tail.rfind(b"PK\x05\x06", 0, at + 4)) >= 0:
        if at + END.size + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
            break
        at -= 1
    if at < 0:
        raise CodeRefused(DAMAGED)
    _, disk, first_disk, here, total, length, begin, _ = END.unpack_from(tail, at)
    end = start + at
    if SAYS_64 in {length, begin} or SAYS_16 in {here, total}:
        end, disk, first_disk, length, begin = _directory_64(stream, end)
    if disk or first_disk:
        raise CodeRefused("The .zip is one part of several. Pack everything into one file.")
    if begin + length != end:
        raise CodeRefused(DAMAGED)
    return begin, end


def _directory_64(stream: BinaryIO, end: int) -> tuple[int, int, int, int, int]:
    stream.seek(max(0, end - LOCATOR_64.size))
    signature, _, at, _ = LOCATOR_64.unpack(_exactly(stream, LOCATOR_64.size))
    if signature != b"PK\x06\x07" or at + END_64.size > end:
        raise CodeRefused(DAMAGED)
    stream.seek(at)
    found = END_64.unpack(_exactly(stream, END_64.size))
    if found[0] != b"PK\x06\x06":
        raise CodeRefused(DAMAGED)
    _, _, _, _, disk, first_disk, _, _, length, begin = found
    return at, disk, first_disk, length, begin


def _record(stream: BinaryIO, room: int) -> tuple[ZipRecord, int]:
    """The record here, and its length."""
    fields = CENTRAL.unpack(_exactly(stream, CENTRAL.size))
    signature, made_by, _, flags, method, _, _, crc, packed, size = fields[:10]
    name_length, extra_length, comment_length, disk, _, outer, offset = fields[10:]
    length = CENTRAL.size + name_length + extra_length + comment_length
    if signature != b"PK\x01\x02" or length > room or disk not in {0, SAYS_16}:
        raise CodeRefused(DAMAGED)
    name = _exactly(stream, name_length)
    extra = _exactly(stream, extra_length)
    if SAYS_64 in {packed, size, offset}:
        size, packed, offset = _wide(extra, size, packed, offset)
    return ZipRecord(name, flags, method, crc, packed, size, offset, outer >> 16, made_by >> 8), length


def _wide(extra: bytes, *figures: int) -> tuple[int, int, int]:
    """Size, packed size and offset, from the extra field of 64-bit figures where they say so."""
    at, wide = 0, b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
            break
        at += 4 + length
    found = []
    for figure in figures:
        if figure == SAYS_64:
            if len(wide) < 8:
                raise CodeRefused(DAMAGED)
            figure = struct.unpack_from("<Q", wide)[0]  # noqa: PLW2901 - the same figure, in full
            wide = wide[8:]
        found.append(figure)
    return found[0], found[1], found[2]


def _content(stream: BinaryIO, record: ZipRecord, limit: int, budget: Budget) -> Iterator[bytes]:
    """The entry's content in chunks, checked against its size and sum at the end."""
    if record.flags & ENCRYPTED:
        raise CodeRefused(f"{shown(record.name)} is encrypted. Pack without a password.")
    if record.method not in {STORED, DEFLATED}:
        raise CodeRefused(
            f"{shown(record.name)} is packed by method {record.method}, which is not read here. Pack it as .tar.gz."
        )
    if record.offset > limit:  # a figure of 64 bits, which no seek takes
        raise CodeRefused(DAMAGED)
    stream.seek(record.offset)
    fields = LOCAL.unpack(_exactly(stream, LOCAL.size))
    name_length, extra_length = fields[-2:]
    data = record.offset + LOCAL.size + name_length + extra_length
    if (
        fields[0] != b"PK\x03\x04"
        or _exactly(stream, name_length) != record.raw_name
        or data + record.packed > limit
    ):
        raise CodeRefused(DAMAGED)
    stream.seek(data)
    found = crc = 0
    for chunk in _raw(stream, record, budget):
        found += len(chunk)
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if found != record.size or crc != record.crc:
        raise CodeRefused(f"{shown(record.name)} is damaged in the archive. Pack and upload it again.")


def _raw(stream: BinaryIO, record: ZipRecord, budget: Budget) -> Iterator[bytes]:
    left = record.packed
    if record.method == STORED:
        while left:
            chunk = _exactly(stream, min(CHUNK, left))
            left -= len(chunk)
            yield chunk
        return
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    waiting = b""
    try:
        while not unpacker.eof:
            budget.tick()
            if not waiting and left:
                waiting = _exactly(stream, min(CHUNK, left))
                left -= len(waiting)
            ended = not waiting  # what zlib still holds comes out without further input, or nothing does
            chunk = unpacker.decompress(waiting, CHUNK)
            waiting = unpacker.unconsumed_tail
            if chunk:
                yield chunk
            elif ended and not unpacker.eof:
                raise CodeRefused(DAMAGED)
    except zlib.error:
        raise CodeRefused(
            f"{shown(record.name)} is damaged in the archive. Pack and upload it again."
        ) from None
    if left or unpacker.unused_data:
        raise CodeRefused(DAMAGED)
