"""Archives for tests, good and hostile, built by hand where libraries refuse to."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

DAG = b"from airflow.sdk import DAG\n\nwith DAG('one'):\n    pass\n"


def tar_gz(files: Mapping[str, bytes], *, prefix: str = "", form: int = tarfile.PAX_FORMAT) -> bytes:
    """An ordinary .tar.gz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An ordinary .zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tar_of(*infos: tuple[str, bytes, int]) -> bytes:
    """A .tar.gz of entries by (name, type, size), each with its zeros as content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, form, size in infos:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = form, size, "/etc/passwd"
            archive.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


def zip_link(name: str) -> bytes:
    """A .zip with a symbolic link, as Info-ZIP's -y writes it."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def raw_zip(
    name: bytes,
    content: bytes,
    *,
    local_name: bytes | None = None,
    flags: int = 0,
    method: int = 8,
    claims: int | None = None,
    crc: int | None = None,
    after: bytes = b"",
    system: int = 0,
) -> bytes:
    """A .zip of one entry, lying as told."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush() if method == 8 else content
    crc = zlib.crc32(content) if crc is None else crc
    size = len(content) if claims is None else claims
    said = local_name if local_name is not None else name
    sizes = (crc, len(packed), size)
    local = (
        struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, flags, method, 0, 0, *sizes, len(said), 0) + said + packed
    )
    central = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        system << 8 | 20,
        20,
        flags,
        method,
        0,
        0,
        *sizes,
        len(name),
        0,
        0,
        0,
        0,
        0,
        0,
    )
    central += name
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + after + end


def raw_tar(
    name: bytes, *, form: bytes = b"0", size: int = 0, content: bytes = b"", spoil: bool = False
) -> bytes:
    """A .tar.gz of one header made by hand."""
    header = bytearray(512)
    header[0 : len(name[:100])] = name[:100]
    header[100:108] = b"0000644\0"
    header[124:136] = f"{size:011o}\0".encode()
    header[156:157] = form
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    if spoil:
        header[0:1] = b"?"
    body = bytes(header) + content + bytes(-len(content) % 512) + bytes(1024)
    return gzip.compress(body)


def zip_of_nowhere() -> bytes:
    """A .zip whose one entry begins at the last byte that 64 bits can count."""
    whole = zipped({"a.py": b"a"}, method=zipfile.ZIP_STORED)
    begin, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    wide = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    central = bytearray(whole[begin:end] + wide)
    struct.pack_into("<H", central, 30, len(wide))
    struct.pack_into("<L", central, 42, 0xFFFFFFFF)
    return whole[:begin] + central + whole[end : end + 12] + struct.pack("<LLH", len(central), begin, 0)


def zip_with_hidden_record() -> bytes:
    """A .zip whose end record covers only the first of two entries: some readers see one file, some two."""
    whole = zipped({"a.py": b"a", "b.py": b"b"}, method=zipfile.ZIP_STORED)
    end = whole.index(b"PK\x05\x06")
    length = struct.unpack_from("<L", whole, end + 12)[0]
    return whole[: end + 8] + struct.pack("<HHL", 1, 1, length // 2) + whole[end + 16 :]
