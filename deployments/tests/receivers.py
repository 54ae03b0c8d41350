"""Where alerts arrive in tests: a real SMTP server and a real HTTP server, both on loopback."""

import base64
import email
import email.policy
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class Inbox:
    """Keeps what a mail server is given, with the moment; refuses the recipients that it is told to."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.taken_at: list[float] = []  # seconds of the epoch, one for each letter
        self.refuses: set[str] = set()
        self.refusal = "550 no such mailbox"

    async def handle_RCPT(
        self, server: object, session: object, envelope: Any, address: str, options: object
    ) -> str:
        if address in self.refuses:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        self.taken_at.append(time.time())
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def subjects(self) -> list[str]:
        """In the order in which they came."""
        return [str(letter["Subject"]) for letter in self.letters]

    @contextmanager
    def at(self, port: int) -> Iterator["Inbox"]:
        """Take mail there."""
        controller = Controller(self, hostname="127.0.0.1", port=port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()


class Receiver:
    """A server that keeps what is posted and answers as it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"ok\nmore")
        self.drip = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, text = receiver.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                for byte in text if receiver.drip else ():
                    try:
                        self.wfile.write(bytes([byte]))
                    except OSError:
                        return
                    time.sleep(0.05)
                with suppress(OSError):  # who asked may have read enough
                    self.wfile.write(b"" if receiver.drip else text)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?key=s3cr3t"

    def close(self) -> None:
        """No longer listen."""
        self.server.shutdown()
        self.server.server_close()


def signature(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """What a message must be signed with, worked out as docs/alerts.md says."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
