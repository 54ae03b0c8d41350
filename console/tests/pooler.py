"""Plays a PgBouncer that knows no `options`: it speaks as much of Postgres's protocol as it takes to refuse."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

QUESTIONS = {80877103, 80877104}  # for TLS and for GSSAPI: N is no


@contextlib.contextmanager
def refusing_pooler() -> Iterator[int]:
    """The port on which it listens."""
    fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                while head := connection.recv(8):
                    length, code = struct.unpack("!II", head)
                    if code in QUESTIONS:
                        connection.sendall(b"N")
                        continue
                    connection.recv(length)
                    connection.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
                    break

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
