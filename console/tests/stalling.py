"""A Postgres that can be made to fall silent: a Unix socket in front of the real one, which forwards until told not to.

What a client sees is what a frozen server, or a network that swallows packets, shows it: connections are accepted,
questions are taken, and no answer comes.
"""

import selectors
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

SOCKET = ".s.PGSQL.5432"


class Stalling:
    """In front of the Postgres whose socket is in `folder`. `with Stalling(folder) as it:` listens in `it.folder`."""

    def __init__(self, folder: Path) -> None:
        self._upstream = str(folder / SOCKET)
        self._own = tempfile.TemporaryDirectory(prefix="airdeck-stall-", dir="/tmp")
        self.folder = Path(self._own.name)
        self._server = socket.socket(socket.AF_UNIX)
        self._flows = threading.Event()
        self._flows.set()
        self._ended = False

    def __enter__(self) -> Self:
        self._server.bind(str(self.folder / SOCKET))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._flows.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._own.cleanup()

    def freeze(self) -> None:
        """No byte goes either way from now on."""
        self._flows.clear()

    def thaw(self) -> None:
        """What waited goes on."""
        self._flows.set()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        upstream = socket.socket(socket.AF_UNIX)
        with client, upstream, selectors.DefaultSelector() as selector:
            self._flows.wait()
            upstream.connect(self._upstream)
            selector.register(client, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, client)
            while not self._ended:
                for key, _ in selector.select(0.5):
                    self._flows.wait()
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    try:
                        data = source.recv(65536)
                        key.data.sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
