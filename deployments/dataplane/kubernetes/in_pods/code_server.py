"""The code server of one Deployment: hands its deployed code to the pods of its Airflow, and keeps their tasks' logs.

    GET /active              {"version": "7-0123456789ab"}, or "" before the first deploy
    GET /code/VERSION.tar    manifest.json, then files/PATH for each file; with the SHA-256 of the whole
    PUT /logs/PATH?from=N    what a task's log says from byte N on; answers with its size
    GET /logs/PATH           that log, or with ?names those of the same attempt, as a list
    GET /ready               whether it has reached its database since it began; the only one without a token

What was put together once stays in its cache (`code_versions`), so that a hundred pods that start at once cost the
database one reading.

The console reads logs at another port (`log_reader`), because this one is for pods of the same Deployment alone.

It is copied into the cluster as it stands, beside the other files: only the standard library.
"""

import hmac
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

code_versions: Any = import_module("code_versions")  # beside this file
log_bucket: Any = import_module("log_bucket")
log_reader: Any = import_module("log_reader")
log_store: Any = import_module("log_store")

VERSION = re.compile(r"/code/([0-9a-z][0-9a-z.-]{0,199})\.tar")
LOGS, NUMBER = "/logs/", re.compile(r"[0-9]{1,12}")
MOST_REQUESTS = 64  # at once; more are asked to come again
CHUNK = 1024 * 1024


class Server(ThreadingHTTPServer):
    """Answers with a thread for each request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], token: str, active: Any, versions: Any, logs: Any) -> None:
        super().__init__(address, Handler)
        self.token, self.active, self.versions, self.logs = token.encode(), active, versions, logs
        self.room = threading.BoundedSemaphore(MOST_REQUESTS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; of anything else the kind is enough."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            code_versions.say(f"A request failed: {type(error).__name__}")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_version, sys_version = "airdeck-code-server", ""
    timeout = 30
    server: Server

    def do_GET(self) -> None:
        """Code, logs or readiness; 503 while too many are answered."""
        self._with_room(self._get)

    def do_PUT(self) -> None:
        """Append to the log of a task; 503 while too many are answered."""
        self._with_room(self._put)

    def _with_room(self, answer: Callable[[], None]) -> None:
        if not self.server.room.acquire(blocking=False):
            self._answer(503, b"Busy. Come again.", retry=True)
            return
        try:
            answer()
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
        elif self.path.startswith(LOGS):
            self._log()
        else:
            self._answer(404, b"There is nothing here.")

    def _log(self) -> None:
        path, _, query = self.path.removeprefix(LOGS).partition("?")
        try:
            found = self.server.logs.found(unquote(path))
        except log_store.BadPath:
            self._answer(400, b"This is no path of a log.")
            return
        if query == "names":
            names = [each.name for each in found]
            self._answer(200, json.dumps(names).encode(), "application/json")
        elif found and found[0].name == unquote(path).rpartition("/")[2]:
            with found[0].open("rb") as stream:
                self._stream(stream, "text/plain; charset=utf-8")
        else:
            self._answer(404, b"There is no such log.")

    def _put(self) -> None:
        """The body of a refused request is not read: the connection ends with it."""
        path, _, query = self.path.removeprefix(LOGS).partition("?from=")
        length = self.headers.get("Content-Length", "")
        if not self._may():
            self._answer(401, b"The token is not this Deployment's.")
        elif not (self.path.startswith(LOGS) and NUMBER.fullmatch(query) and NUMBER.fullmatch(length)):
            self._answer(400, b"Give a path below /logs/, where to write it, and its length.")
        elif int(length) > log_store.PART_BYTES:
            self._answer(413, b"Send it in smaller parts.")
        else:
            self._write(unquote(path), int(query), int(length))

    def _write(self, path: str, offset: int, length: int) -> None:
        try:
            size = self.server.logs.write(path, offset, self.rfile, length)
        except log_store.BadPath:
            self._answer(400, b"This is no path of a log.")
        except log_store.TooLarge:
            self._answer(413, b"This log is as long as one may be.")
        except log_store.Gap as gap:
            self._answer(409, json.dumps({"size": gap.size}).encode(), "application/json")
        except log_store.Away:
            self._answer(503, b"The bucket that has this log is away.", retry=True)
        except ConnectionError:
            raise
        except OSError as error:
            code_versions.say(f"A log cannot be kept: {error.strerror}")
            self._answer(507, b"There is no room for logs.", retry=True)
        else:
            self._answer(200, json.dumps({"size": size}).encode(), "application/json")

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
        except code_versions.NotKept:
            self._answer(404, b"This version is not kept any more.")
        except Exception as error:
            code_versions.say(f"Version {version} cannot be put together: {type(error).__name__}")
            self._answer(503, b"The code cannot be read now.", retry=True)
        else:
            with stream:
                self._stream(stream, "application/x-tar", digest)

    def _stream(self, stream: BinaryIO, kind: str, digest: str = "") -> None:
        """As many bytes as there are now: a log may grow in the meantime."""
        left = os.fstat(stream.fileno()).st_size
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(left))
        if digest:
            self.send_header("X-Airdeck-Digest", digest)
        self.end_headers()
        while left > 0 and (chunk := stream.read(min(left, CHUNK))):
            self.wfile.write(chunk)
            left -= len(chunk)

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


def main() -> None:
    """Serve until SIGTERM."""
    database = code_versions.Database(os.environ["AIRDECK_CODE_DATABASE"])
    versions = code_versions.Versions(database, Path(os.environ["AIRDECK_CODE_CACHE"]))
    address = (os.environ.get("AIRDECK_CODE_HOST", ""), int(os.environ["AIRDECK_CODE_PORT"]))
    days, room = (int(os.environ[name]) for name in ("AIRDECK_LOG_DAYS", "AIRDECK_LOG_BYTES"))
    logs = log_store.LogStore(Path(os.environ["AIRDECK_LOG_FOLDER"]), days, room)
    threading.Thread(target=logs.tidy_for_ever, daemon=True).start()
    logs.mirror = log_bucket.of_environment(logs.folder, days, code_versions.say)
    log_reader.start(logs, os.environ.get("AIRDECK_CODE_HOST", ""))
    server = Server(address, os.environ["AIRDECK_CODE_TOKEN"], code_versions.Active(database), versions, logs)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    code_versions.say(f"Listening on port {server.server_address[1]}")
    server.serve_forever()
    if logs.mirror is not None:
        logs.mirror.finish()


if __name__ == "__main__":
    main()
