"""Servers for tests that need no console: one that answers as it is told, and one between the command line and a real
console that loses answers."""

import http.client
import json
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

ME = {
    "email": "alice@example.org",
    "name": "Alice",
    "token": {
        "name": "ci",
        "kind": "workspace",
        "beginning": "adk_w_123456",
        "role": "editor",
        "expires_at": None,
        "workspace": {"id": "1", "name": "Acme"},
        "limited_to": None,
    },
}


class Server:
    """`answer(handler)` answers each request. `seen` has method, path and headers of all."""

    def __init__(
        self, answer: Callable[[BaseHTTPRequestHandler], None], *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                server.seen.append((self.command, self.path, dict(self.headers.items())))
                answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if tls is not None:
            self.http.socket = tls.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.http.server_address[1]}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self._thread.join()
        self.http.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
    """A JSON answer. Headers by name with underscores."""
    raw = json.dumps(body).encode()
    handler.send_response(status)
    kind = "application/json" if status < 400 else "application/problem+json"
    for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(raw)


class Cutter:
    """Between the command line and a console. Of requests whose method and path match `cut` the answers are lost (with
    `status`, those of that status alone); with `before` the requests themselves. `times`: the first so many alone."""

    def __init__(self, url: str) -> None:
        self.cut, self.before = "", False
        self.status: int | None = None
        self.times: int | None = None
        self._target = urlsplit(url).netloc
        self.server = Server(self._pass)

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        lose = self.times != 0 and bool(self.cut)
        lose = lose and re.search(self.cut, f"{handler.command} {handler.path}") is not None
        if lose and self.times is not None:
            self.times -= 1
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if not (lose and self.before):
            web = http.client.HTTPConnection(self._target, timeout=60)
            headers = {name: value for name, value in handler.headers.items() if name != "Host"}
            web.request(handler.command, handler.path, body or None, {**headers, "Host": self._target})
            answer = web.getresponse()
            raw = answer.read()
            web.close()
        handler.close_connection = True
        if lose and (self.before or self.status in {None, answer.status}):
            return
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection", "date", "server"}:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)
