"""A Git client over HTTPS: dulwich's, on connections that go where `sockets` lets them. No proxy, no redirect, no
second host."""

import base64
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from dulwich.client import AbstractHttpGitClient
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Timeout

from deployments.domain.git_address import GitAddress
from deployments.domain.public_hosts import Listed
from deployments.outgoing.git import sockets
from deployments.outgoing.git.wish import SILENCE_SECONDS, GitRefused

CHUNK = 64 * 1024


class HttpsClient(AbstractHttpGitClient):
    """Speaks to one repository. `count` gets the number of bytes that came, and may raise. Raises GitRefused."""

    location = b""  # below the address

    def __init__(
        self, address: GitAddress, *, user: str, token: str, listed: Listed, count: Callable[[int], None]
    ) -> None:
        super().__init__(address.text, thin_packs=False, quiet=True)
        self._address, self._count = address, count
        self._has_token = bool(token)
        self._headers = {"User-Agent": "git/airdeck", "Accept-Encoding": "identity", "Pragma": "no-cache"}
        if token:
            pair = base64.b64encode(f"{user}:{token}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self._pool = _pool(address, listed)

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        """dulwich's way out: every request goes through here."""
        here = self._base_url
        if not url.startswith(here):  # a pack that the server wants to be fetched from elsewhere
            raise GitRefused(f"{self._address.shown_host} sends us to another place, which is not followed.")
        path = url[len(here.partition("://")[0]) + 3 :].partition("/")[2]
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        answer = self._send(f"/{path}", body, headers or {})
        kind = answer.headers.get("Content-Type", "")
        try:
            self._judge(answer)
            if not kind.startswith("application/x-git-"):
                raise GitRefused(self._no_git())
        except GitRefused:
            answer.close()
            raise
        values = {"content_type": kind, "redirect_location": ""}  # dulwich reads them off the answer
        for name, value in values.items():
            setattr(answer, name, value)

        def read(size: int) -> bytes:
            try:
                chunk = bytes(answer.read(size))
            except HTTPError:
                raise GitRefused(self._silent()) from None
            self._count(len(chunk))
            return chunk

        return answer, read

    def _send(self, path: str, body: bytes | None, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer, its body not read yet. Raises GitRefused when none came."""
        try:
            return self._pool.urlopen(
                "GET" if body is None else "POST",
                path,
                body=body,
                headers={**self._headers, **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except SSLError as error:
            raise GitRefused(self._not_trusted(error)) from None
        except HTTPError:
            raise GitRefused(self._silent()) from None

    def explanation(self) -> str:
        """What the server says beside Git's own protocol: nothing that is kept."""
        return ""

    def close(self) -> None:
        """Close what is open."""
        self._pool.close()

    def _judge(self, answer: urllib3.BaseHTTPResponse) -> None:
        host, status = self._address.shown_host, answer.status
        if status in {401, 403}:
            raise GitRefused(
                f"{host} does not accept the token (HTTP {status}). Enter a token that may read this repository."
                if self._has_token
                else f"{host} asks for a sign-in (HTTP {status}). Enter a token that may read this repository, or "
                "check the address: some hosts answer like this when there is none."
            )
        if 300 <= status < 400:
            to = answer.headers.get("Location", "").partition("/info/refs")[0][:200]
            where = f" to {to}" if to.isprintable() and to else ""
            raise GitRefused(
                f"{host} redirects{where}, which is not followed. Enter the repository's present address."
            )
        if status in {404, 410}:
            raise GitRefused(
                f"{host} has no repository at this address, or the token may not see it. Check both."
                if self._has_token
                else f"{host} has no public repository at this address. Check it, or enter a token."
            )
        if status != 200:
            raise GitRefused(f"{host} answers HTTP {status}. It is tried again later.")

    def _not_trusted(self, error: SSLError) -> str:
        inner = error.args[0] if error.args else None
        if not isinstance(inner, ssl.SSLCertVerificationError):
            return f"No TLS connection to {self._address.shown_host} could be made. Check the address and its port."
        why = inner.verify_message.rstrip(".")
        return (
            f"The certificate of {self._address.shown_host} is not trusted: {why}. It must be of an authority that "
            "this server knows."
        )

    def _silent(self) -> str:
        return (
            f"{self._address.shown_host} did not answer within {SILENCE_SECONDS:.0f} s, or cut the connection. It is "
            "tried again later."
        )

    def _no_git(self) -> str:
        return (
            f"What {self._address.shown_host} answers at this address is not Git. Copy the address for cloning from "
            "your Git host."
        )


def _pool(address: GitAddress, listed: Listed) -> HTTPSConnectionPool:
    class Connection(HTTPSConnection):
        """urllib3's, to an address that was judged."""

        def _new_conn(self) -> socket.socket:
            return sockets.connect(address.host, address.port, listed)

    class Pool(HTTPSConnectionPool):
        """A pool of such connections."""

        ConnectionCls = Connection

    host = f"[{address.host}]" if ":" in address.host else address.host
    return Pool(
        host,
        address.port,
        maxsize=1,
        timeout=Timeout(connect=SILENCE_SECONDS, read=SILENCE_SECONDS),
        ssl_context=ssl.create_default_context(),
    )
