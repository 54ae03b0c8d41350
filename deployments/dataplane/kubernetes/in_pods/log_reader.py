"""Where the console reads the logs of tasks: a port of the code server of its own, with a token of its own.

    GET /task-logs?text=WORDS&most=200        {"logs": [[changed, size, path], …], "whole": true}
    GET /task-log?path=PATH&from=N&most=BYTES {"start": N, "end": N, "size": N, "text": "…"}; 404 without it, 503
                                              while the bucket that has it is away

Either answers 429 when too many questions are before it.

The Kubernetes API passes the console's questions on, so whatever network that comes from may reach this port, other
pods too. It only reads logs, answers few at a time, and tells nothing to who has no token. Every answer names this
program in a header, by which the console knows it from an answer of the Kubernetes API.

It is copied into the cluster beside `code_server.py` as it stands: only the standard library.
"""

import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

task_log_files: Any = import_module("task_log_files")  # beside this file

PROGRAM, TOKEN = "X-Airdeck-Program", "X-Airdeck-Token"
MOST_AT_ONCE, MOST_WAITING = 8, 64
WAIT_SECONDS = 3.0  # for a turn; the console waits longer than that
MOST_BYTES = 1024 * 1024  # of one part


class Server(ThreadingHTTPServer):
    """Answers MOST_AT_ONCE clients; others wait for their turn. Hangs up on those beyond MOST_WAITING."""

    daemon_threads = True

    def __init__(self, address: "tuple[str, int]", store: Any, token: str) -> None:
        super().__init__(address, Handler)
        self.store, self.token = store, token.encode()
        self.room = threading.BoundedSemaphore(MOST_WAITING)
        self.turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a place among MOST_WAITING, or hang up."""
        if self.room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then free the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


class Handler(BaseHTTPRequestHandler):
    """One question."""

    server_version, sys_version = "airdeck-code-server", ""
    timeout = 10
    server: Server

    def do_GET(self) -> None:
        """The two questions of the module; 403 without the token."""
        given = self.headers.get(TOKEN, "").encode("latin-1", "replace")
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if not hmac.compare_digest(given, self.server.token):
            self._answer(403, {"problem": "The token is not that of this Deployment's logs."})
            return
        if not self.server.turns.acquire(timeout=WAIT_SECONDS):
            self._answer(429, {})
            return
        try:
            self._answer_about_logs(parts.path, query)
        finally:
            self.server.turns.release()

    def _answer_about_logs(self, path: str, query: "dict[str, str]") -> None:
        if path == "/task-logs":
            self._listed(query)
        elif path == "/task-log":
            self._part(query)
        else:
            self._answer(404, {})

    def _listed(self, query: "dict[str, str]") -> None:
        most = _number(query.get("most"), 200)
        store = self.server.store
        others = store.mirror.elsewhere() if store.mirror is not None else ()
        found, whole = task_log_files.listed(store.folder, query.get("text", ""), most, others=others)
        self._answer(200, {"logs": [list(each) for each in found], "whole": whole})

    def _part(self, query: "dict[str, str]") -> None:
        start = _number(query["from"], 0) if query.get("from") else None
        most = min(_number(query.get("most"), MOST_BYTES), MOST_BYTES)
        try:
            self.server.store.bring(query.get("path", ""))
            part = task_log_files.part(self.server.store.folder, query.get("path", ""), start, most)
        except task_log_files.BadPath:
            part = None
        except OSError:
            self._answer(503, {})
            return
        if part is None:
            self._answer(404, {})
            return
        text = part.data.decode(
            "latin-1"
        )  # a character for each byte: nothing is lost, and cursors count bytes
        self._answer(200, {"start": part.start, "end": part.end, "size": part.size, "text": text})

    def _answer(self, status: int, document: "dict[str, Any]") -> None:
        body = json.dumps(document, ensure_ascii=False).encode(errors="replace")
        self.send_response(status)
        self.send_header(PROGRAM, "code-server")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Questions are not written down."""


def _number(text: "str | None", default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 15 else default


def start(store: Any, host: str) -> None:
    """Serve the logs of this store, in threads of its own. The port and the token are in the environment."""
    address = (host, int(os.environ["AIRDECK_LOG_READER_PORT"]))
    server = Server(address, store, os.environ["AIRDECK_LOG_READER_TOKEN"])
    print(f"Logs are read on port {server.server_address[1]}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
