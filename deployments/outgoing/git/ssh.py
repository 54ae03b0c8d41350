"""A Git client over SSH: dulwich's, on asyncssh. One key of ours, one host key that a person confirmed; no agent, no
configuration of this machine, no password."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import IO, Any

import asyncssh
from dulwich.client import TraditionalGitClient
from dulwich.protocol import Protocol

from deployments.domain.git_address import GitAddress
from deployments.domain.public_hosts import Listed
from deployments.outgoing.git import sockets
from deployments.outgoing.git.wish import SILENCE_SECONDS, TOTAL_SECONDS, GitRefused, RefusalKind

CHUNK = 256 * 1024


class SshClient(TraditionalGitClient):
    """Speaks to one repository. `count` gets the number of bytes that came, and may raise. Raises GitRefused."""

    def __init__(
        self,
        address: GitAddress,
        *,
        private_key: str,
        host_key: str,
        listed: Listed,
        count: Callable[[int], None],
    ) -> None:
        super().__init__(thin_packs=False, quiet=True)
        self._address, self._private_key, self._host_key = address, private_key, host_key
        self._listed, self._count = listed, count
        self.location = address.path.encode()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._came, self._ended = bytearray(), False
        self._process: asyncssh.SSHClientProcess[bytes] | None = None

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        """dulwich's way out: one command on the server."""
        name = path.decode() if isinstance(path, bytes) else path
        process = self._wait(
            self._start(f"git-{cmd.decode()} '{name}'")
        )  # `git_address` lets no quote through
        self._process = process
        return Protocol(self._read, self._write, self._close), lambda: False, None

    def close(self) -> None:
        """The connection and its thread end with the child."""

    def explanation(self) -> str:
        """What the server wrote beside Git's own protocol: why it refused."""
        if self._process is None:
            return ""
        try:
            data = self._wait(asyncio.wait_for(self._process.stderr.read(2000), 1.0))
        except (GitRefused, OSError, TimeoutError, asyncssh.Error):
            return ""
        return " ".join(data.decode("utf-8", "replace").split())

    async def _start(self, command: str) -> "asyncssh.SSHClientProcess[bytes]":
        seen = _Seen(self._address, self._host_key)
        key = asyncssh.import_private_key(self._private_key)
        plain = sockets.connect(self._address.host, self._address.port, self._listed)
        plain.setblocking(False)
        kind = self._host_key.partition(" ")[0]
        try:
            connection = await asyncssh.connect(
                self._address.host,
                self._address.port,
                sock=plain,
                config=None,
                client_factory=lambda: seen,
                known_hosts=([], [], []),
                server_host_key_algs=_preferred(kind) if kind else "default",
                username=self._address.user,
                client_keys=[key],
                preferred_auth="publickey",
                agent_path=None,
                gss_host=None,
                x509_trusted_certs=None,
                login_timeout=SILENCE_SECONDS,
                disable_trivial_auth=True,
            )
        except (OSError, TimeoutError, asyncssh.Error) as error:
            plain.close()
            raise seen.refusal or self._because(error) from None
        return await connection.create_process(command, encoding=None)

    def _because(self, error: Exception) -> GitRefused:
        host = self._address.shown_host
        if isinstance(error, asyncssh.PermissionDenied):
            return GitRefused(
                f"{host} does not accept Airdeck's key. Add the public key below to the repository as a deploy key "
                "that may read."
            )
        if isinstance(error, (TimeoutError, asyncssh.ConnectionLost)):
            return GitRefused(
                f"{host} was silent for {SILENCE_SECONDS:.0f} s, or ended the SSH connection. It is tried again "
                "later."
            )
        return GitRefused(
            f"The SSH connection to {host} ended before sign-in. Check that an SSH server answers there."
        )

    def _wait[T](self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(TOTAL_SECONDS)
        except TimeoutError:
            future.cancel()
            raise

    def _stream(self) -> "asyncssh.SSHClientProcess[bytes]":
        assert self._process is not None  # noqa: S101 - after _connect
        return self._process

    def _read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end: dulwich counts on that. More is taken from the connection than is asked
        for, because each time costs a change of threads."""
        while len(self._came) < size and not self._ended:
            self._came += self._more()
        found = bytes(self._came[:size])
        del self._came[:size]
        return found

    def _more(self) -> bytes:
        async def next_chunk() -> bytes:
            return await asyncio.wait_for(self._stream().stdout.read(CHUNK), SILENCE_SECONDS)

        try:
            chunk = self._wait(next_chunk())
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise self._because(error) from None
        self._ended = not chunk
        self._count(len(chunk))
        return chunk

    def _write(self, data: bytes) -> int:
        async def send() -> None:
            self._stream().stdin.write(data)
            await asyncio.wait_for(self._stream().stdin.drain(), SILENCE_SECONDS)

        try:
            self._wait(send())
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise self._because(error) from None
        return len(data)

    def _close(self) -> None:
        """The process ends with the child; nothing is waited for."""


class _Seen(asyncssh.SSHClient):
    """Takes the server's host key if it is the one that was confirmed, and remembers it if it is not."""

    def __init__(self, address: GitAddress, confirmed: str) -> None:
        self._address, self._confirmed = address, confirmed
        self.refusal: GitRefused | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """asyncssh asks, because no host key is known to it."""
        line = " ".join(key.export_public_key().decode().split()[:2])
        if self._confirmed and line == self._confirmed:
            return True
        host = self._address.shown_host
        sentence = (
            f"The host key of {host} changed, so nothing was sent to it. Ask the people who run it; if the new key is "
            "right, confirm it."
            if self._confirmed
            else f"Confirm the host key of {host} first."
        )
        self.refusal = GitRefused(sentence, RefusalKind.HOST_KEY, line)
        return False


def _preferred(kind: str) -> str:
    """The signatures that a key of this kind makes before all others, so that a server with several keys shows the one
    that was confirmed."""
    return f"^{'rsa-sha2-256,rsa-sha2-512' if kind == 'ssh-rsa' else kind}"
