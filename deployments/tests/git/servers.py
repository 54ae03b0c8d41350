"""Real Git servers on loopback: dulwich's over HTTPS with a token, and its upload-pack behind an SSH server."""

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import asyncssh
from dulwich.errors import NotGitRepository
from dulwich.repo import Repo
from dulwich.server import Backend, UploadPackHandler, serve_command
from dulwich.web import make_wsgi_chain

from deployments.tests.dataplane.kubernetes.pki import Authority


class _Folder(Backend):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open_repository(self, path: str | bytes) -> Repo:
        name = path.decode() if isinstance(path, bytes) else path
        place = self._folder / name.strip("/")
        if not (place / "HEAD").exists():
            raise NotGitRepository(path)
        return Repo(str(place))


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args) -> None:
        """Nothing."""


class _Server(WSGIServer):
    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no news."""


class HttpsServer:
    """Serves the repositories below a folder to clients with the `token`; without one to all. `before` may answer
    a request in its place: it gets the WSGI environment and gives a status, headers and a body."""

    def __init__(self, folder: Path, *, token: str = "") -> None:
        self.token, self.before = token, None
        self.asked: list[str] = []
        self.ca = folder / "ca.pem"
        authority = Authority()
        self.ca.write_text(authority.ca_pem)
        pem = folder / "server.pem"
        pem.write_text(authority.server_pem)
        self._git = make_wsgi_chain(_Folder(folder), handlers={b"git-upload-pack": Patient})
        self._server = make_server("127.0.0.1", 0, self._answer, server_class=_Server, handler_class=_Quiet)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._server.socket = context.wrap_socket(
            self._server.socket,
            server_side=True,
            do_handshake_on_connect=False,  # but when it is read, where an error closes it
        )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, name: str) -> str:
        """The address of a repository."""
        return f"https://127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, environ, start_response):
        self.asked.append(environ["PATH_INFO"])
        if self.before and (own := self.before(environ)) is not None:
            status, headers, body = own
            start_response(status, headers)
            return [body]
        if self.token:
            pair = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic ")
            if base64.b64decode(pair).decode().partition(":")[2] != self.token:
                start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="Git"')])
                return [b"no"]
        return self._git(environ, start_response)


class Patient(UploadPackHandler):
    """dulwich's, which refuses clients that want no thin packs; Git's own does not."""

    @classmethod
    def required_capabilities(cls):
        return (b"side-band-64k", b"ofs-delta")


class SshServer:
    """Serves the repositories below a folder to the keys in `accepted` (lines). `restart` changes the host
    key."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.accepted = folder, []
        self.commands: list[str] = []
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._listen()

    def url(self, name: str) -> str:
        """The address of a repository."""
        return f"ssh://git@127.0.0.1:{self.port}/{name}"

    def restart(self, host_key: asyncssh.SSHKey) -> None:
        """The same address, another host key."""
        self._run(self._stop())
        self.host_key = host_key
        self._listen()

    def close(self) -> None:
        """Stop."""
        self._run(self._stop(ended=True))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _listen(self) -> None:
        self._acceptor = self._run(self._start())
        self.port = self._acceptor.get_port()

    async def _start(self):
        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key],
            server_factory=lambda: _Login(self),
            process_factory=self._serve,
            encoding=None,
        )

    async def _stop(self, *, ended: bool = False) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()
        rest = asyncio.all_tasks() - {asyncio.current_task()} if ended else set()  # of clients that hung up
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, process: asyncssh.SSHServerProcess) -> None:
        command = process.command or ""
        self.commands.append(command)
        path = self.folder / command.partition("'")[2].rstrip("'").lstrip("/")
        if not command.startswith("git-upload-pack '") or not path.is_dir():
            process.stderr.write(b"ERROR: Repository not found.\n")
            process.exit(1)
            return
        await self._loop.run_in_executor(
            None, serve_command, Patient, ["", str(path)], None, *self._files(process)
        )
        process.exit(0)

    def _files(self, process: asyncssh.SSHServerProcess) -> tuple[SimpleNamespace, SimpleNamespace]:
        """The process's input and output as dulwich's thread wants them."""

        def read(size: int) -> bytes:
            try:
                return self._run(process.stdin.readexactly(size))
            except asyncio.IncompleteReadError as short:
                return short.partial

        def write(data: bytes) -> None:
            self._loop.call_soon_threadsafe(process.stdout.write, data)

        return SimpleNamespace(read=read), SimpleNamespace(write=write, flush=lambda: None)

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        mine = key.export_public_key().decode().split()[1]
        return username == "git" and any(line.split()[1] == mine for line in self._server.accepted)


class Tcp:
    """A server of one's own making: `speak` gets each connection."""

    def __init__(self, speak: Callable) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._speak = speak
        self.open: list = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop, and wake the thread that waits in `accept`."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self.open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()
