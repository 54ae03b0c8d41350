"""What a code server hands out: which version is active, and each version as one archive.

The code is in the cluster's primary Postgres, where the console put it; a role reads this Deployment's schema and
nothing else. While the database is away the active version is the last known one, and what was put together
stays. It is copied into the cluster beside `code_server.py` as it stands: only the standard library and the Postgres
driver of Airflow's image.
"""

import hashlib
import io
import json
import os
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

PART = 1024 * 1024  # of content, as stored
TOGETHER = 4 * PART  # small files are read so many bytes at a time
FRESH_SECONDS = 2.0  # how old the word of the active version may be
CACHE_BYTES = 1024**3
CONNECT_SECONDS, STATEMENT_MS = 5, 60_000


class Content(Protocol):
    """What is put into an archive."""

    def read(self, count: int, /) -> bytes:
        """The next bytes."""


class NotKept(Exception):
    """There is no such version."""


class Database:
    """The Deployment's schema. Both drivers that Airflow's images have speak the same way."""

    def __init__(self, url: str) -> None:
        try:
            self._driver = import_module("psycopg2")
        except ImportError:
            self._driver = import_module("psycopg")
        self._url = url

    def connect(self) -> Any:
        """A connection. The role sees its own schema's tables and no others."""
        options = f"-c statement_timeout={STATEMENT_MS}"
        connection = self._driver.connect(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            options=options,
            application_name="airdeck-code-server",
        )
        connection.autocommit = True
        return connection


def rows(connection: Any, question: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows of an answer."""
    cursor = connection.cursor()
    try:
        cursor.execute(question, values)
        return list(cursor.fetchall())
    finally:
        cursor.close()


class Active:
    """Which version is active, by one connection that stays. All who ask within FRESH_SECONDS get the same answer."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._connection: Any = None
        self._at = 0.0
        self._known: str | None = None

    @property
    def heard(self) -> bool:
        """Whether the database has answered since this process began."""
        return self._known is not None

    def ask(self) -> str:
        """The version, the last known one when the database does not answer. Raises when it never did."""
        with self._lock:
            if self._known is None or time.monotonic() - self._at > FRESH_SECONDS:
                self._look()
            return self._known or ""

    def _look(self) -> None:
        for last in (False, True):  # a connection that was cut is found out by using it
            try:
                if self._connection is None:
                    self._connection = self._database.connect()
                found = rows(self._connection, "SELECT name FROM active JOIN versions USING (name)")
                self._known, self._at = (str(found[0][0]) if found else ""), time.monotonic()
                return
            except Exception as error:
                with suppress(Exception):
                    self._connection.close()
                self._connection = None
                if last:
                    say(
                        f"The database does not answer: {type(error).__name__}"
                    )  # its message may hold the URL
                    self._at = time.monotonic()
                    if self._known is None:
                        raise


class Versions:
    """Archives of versions, put together once."""

    def __init__(self, database: Database, cache: Path) -> None:
        self._database, self._cache = database, cache
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        cache.mkdir(parents=True, exist_ok=True)
        for draft in cache.glob(".draft-*"):
            draft.unlink()

    def archive(self, version: str) -> tuple[Path, str]:
        """The file and the SHA-256 of its content. Raises NotKept, and what the database raises."""
        with self._lock:
            lock = self._locks.setdefault(version, threading.Lock())
        with lock:
            found = self._cached(version) or self._make(version)
        with suppress(OSError):
            os.utime(found)
        return found, found.name.rpartition("=")[2]

    def _cached(self, version: str) -> Path | None:
        return next(self._cache.glob(f"{version}=*"), None)

    def _make(self, version: str) -> Path:
        draft = self._cache / f".draft-{version}"
        connection = self._database.connect()
        try:
            digest = _write(connection, version, draft)
        finally:
            connection.close()
        made = self._cache / f"{version}={digest}"
        draft.rename(made)
        self._make_room(made)
        say(f"Put version {version} together: {made.stat().st_size} bytes")
        return made

    def _make_room(self, kept: Path) -> None:
        """What was asked for longest ago goes. Who is just sending it has it open."""
        total = 0
        for file in sorted(self._cache.glob("*=*"), key=lambda each: each.stat().st_mtime, reverse=True):
            total += file.stat().st_size
            if total > CACHE_BYTES and file != kept:
                file.unlink()


class Hashed:
    """A file that is written once, and its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and count in."""
        self.digest.update(data)
        return self._file.write(data)


def _write(connection: Any, version: str, draft: Path) -> str:
    found = rows(
        connection,
        "SELECT document FROM versions JOIN manifests ON digest = manifest WHERE name = %s",
        version,
    )
    if not found:
        raise NotKept
    document = zlib.decompress(bytes(found[0][0]))
    with draft.open("wb") as file:
        out = Hashed(file)
        with tarfile.open(fileobj=cast(BinaryIO, out), mode="w|", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "manifest.json", io.BytesIO(document), len(document))
            for path, content, size, executable in _contents(connection, json.loads(document)):
                _add(archive, f"files/{path}", content, size, 0o555 if executable else 0o444)
    return out.digest.hexdigest()


def _add(archive: tarfile.TarFile, name: str, content: Content, size: int, mode: int = 0o444) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    archive.addfile(entry, cast(BinaryIO, content))


def _contents(connection: Any, listed: list[list[Any]]) -> Iterator[tuple[str, Content, int, bool]]:
    """Every file with its content. Small ones are read many at a time, large ones part by part."""
    batch: list[tuple[str, str, int, bool]] = []
    held = 0
    for path, sha256, size, executable in listed:
        if size > TOGETHER:
            yield path, Parts(connection, sha256), size, executable
            continue
        batch.append((path, sha256, size, executable))
        held += size
        if held >= TOGETHER or len(batch) >= 1000:
            yield from _small(connection, batch)
            batch, held = [], 0
    yield from _small(connection, batch)


def _small(
    connection: Any, batch: list[tuple[str, str, int, bool]]
) -> Iterator[tuple[str, Content, int, bool]]:
    if not batch:
        return
    sums = sorted({sha256 for _, sha256, _, _ in batch})
    contents = dict.fromkeys(sums, b"")
    found = rows(
        connection, "SELECT sha256, data FROM chunks WHERE sha256 = ANY(%s) ORDER BY sha256, part", sums
    )
    for sha256, data in found:
        contents[sha256] += unpacked(data)
    for path, sha256, size, executable in batch:
        yield path, io.BytesIO(contents[sha256]), size, executable


class Parts:
    """The content of one large file, a part at a time."""

    def __init__(self, connection: Any, sha256: str) -> None:
        self._connection, self._sha256 = connection, sha256
        self._number, self._rest = 0, b""

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer at the end."""
        while len(self._rest) < count:
            question = "SELECT data FROM chunks WHERE sha256 = %s AND part = %s"
            found = rows(self._connection, question, self._sha256, self._number)
            if not found:
                break
            self._rest, self._number = self._rest + unpacked(found[0][0]), self._number + 1
        part, self._rest = self._rest[:count], self._rest[count:]
        return part


def unpacked(data: Any) -> bytes:
    """A stored part, bounded whatever was stored."""
    return zlib.decompressobj().decompress(bytes(data), PART)


def say(sentence: str) -> None:
    """A line of the log."""
    print(sentence, flush=True)
