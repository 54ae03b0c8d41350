"""The code server of one Deployment: hands its deployed code to the pods of its Airflow.

    GET /active              {"version": "7-0123456789ab"}, or "" before the first deploy
    GET /code/VERSION.tar    manifest.json, then files/PATH for each file; with the SHA-256 of the whole
    GET /ready               whether it has reached its database since it began; the only one without a token

The code is in the cluster's primary Postgres, where the console put it; a role reads this Deployment's schema and
nothing else. What was put together once stays in CACHE, so that a hundred pods that start at once cost the database one
reading. While the database is away the active version is the one that was heard last, and what is in CACHE is served.

It is copied into the cluster as it stands: only the standard library and the Postgres driver of Airflow's image.
"""

import hashlib
import hmac
import io
import json
import os
import re
import shutil
import signal
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

VERSION = re.compile(r"/code/([0-9a-z][0-9a-z.-]{0,199})\.tar")
PART = 1024 * 1024  # of content, as stored
TOGETHER = 4 * PART  # small files are read so many bytes at a time
FRESH_SECONDS = 2.0  # how old the word of the active version may be
CACHE_BYTES = 1024**3
MOST_REQUESTS = 64  # at once; more are told to come again
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
    """Which version is active, by one connection that stays. Whoever asks within FRESH_SECONDS gets the same answer."""

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
    wanted = sorted({sha256 for _, sha256, _, _ in batch})
    contents = dict.fromkeys(wanted, b"")
    found = rows(
        connection, "SELECT sha256, data FROM chunks WHERE sha256 = ANY(%s) ORDER BY sha256, part", wanted
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


class Server(ThreadingHTTPServer):
    """Answers with a thread for each request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], token: str, active: Active, versions: Versions) -> None:
        super().__init__(address, Handler)
        self.token, self.active, self.versions = token.encode(), active, versions
        self.room = threading.BoundedSemaphore(MOST_REQUESTS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; of anything else the kind is enough."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            say(f"A request failed: {type(error).__name__}")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_version, sys_version = "airdeck-code-server", ""
    timeout = 30
    server: Server

    def do_GET(self) -> None:
        """See the module."""
        if not self.server.room.acquire(blocking=False):
            self._answer(503, b"Busy. Come again.", retry=True)
            return
        try:
            self._get()
        finally:
            self.server.room.release()

    def _get(self) -> None:
        if self.path == "/ready":
            self._ready()
        elif not self._may():
            self._answer(401, b"The token is not this Deployment's.")
        elif self.path == "/active":
            self._active()
        elif match := VERSION.fullmatch(self.path):
            self._code(match[1])
        else:
            self._answer(404, b"There is nothing here.")

    def _may(self) -> bool:
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(given, b"Bearer " + self.server.token)

    def _ready(self) -> None:
        with suppress(Exception):
            if self.server.active.heard or self.server.active.ask() is not None:
                self._answer(200, b"Ready.")
                return
        self._answer(503, b"The database has not answered yet.", retry=True)

    def _active(self) -> None:
        try:
            version = self.server.active.ask()
        except Exception:
            self._answer(503, b"The database does not answer.", retry=True)
        else:
            self._answer(200, json.dumps({"version": version}).encode(), "application/json")

    def _code(self, version: str) -> None:
        try:
            file, digest = self.server.versions.archive(version)
            stream = file.open("rb")
        except NotKept:
            self._answer(404, b"This version is not kept any more.")
        except Exception as error:
            say(f"Version {version} cannot be put together: {type(error).__name__}")
            self._answer(503, b"The code cannot be read now.", retry=True)
        else:
            with stream:
                self.send_response(200)
                self.send_header("Content-Type", "application/x-tar")
                self.send_header("Content-Length", str(os.fstat(stream.fileno()).st_size))
                self.send_header("X-Airdeck-Digest", digest)
                self.end_headers()
                shutil.copyfileobj(stream, self.wfile, PART)

    def _answer(
        self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8", *, retry: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry:
            self.send_header("Retry-After", "2")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not written down: there is one every few seconds."""


def say(sentence: str) -> None:
    """A line of the log."""
    print(sentence, flush=True)


def main() -> None:
    """Serve until told to end."""
    database = Database(os.environ["AIRDECK_CODE_DATABASE"])
    versions = Versions(database, Path(os.environ["AIRDECK_CODE_CACHE"]))
    address = (os.environ.get("AIRDECK_CODE_HOST", ""), int(os.environ["AIRDECK_CODE_PORT"]))
    server = Server(address, os.environ["AIRDECK_CODE_TOKEN"], Active(database), versions)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    say(f"Listening on port {server.server_address[1]}")
    server.serve_forever()


if __name__ == "__main__":
    main()
