"""The connection to an API server: to no address at which a cluster may not be, whatever its name resolves to."""

import socket
from ssl import SSLError

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from deployments.dataplane.contract import DataPlaneError
from deployments.domain import addresses


class GuardedConnection(HTTPSConnection):
    """urllib3's, which looks at the address before it connects, and connects to that very address."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, failed) from error
        for entry in found:
            if why := addresses.refusal(str(entry[4][0])):
                raise DataPlaneError(why)
        last: NewConnectionError | None = None
        for entry in found:
            self._dns_host = str(entry[4][0])
            try:
                return super()._new_conn()
            except NewConnectionError as error:
                last = error
            finally:
                self._dns_host = name
        assert last is not None  # noqa: S101 - a name that resolves has an address
        raise last

    def connect(self) -> None:
        """A server that cuts the handshake off has no secure connection to offer."""
        try:
            super().connect()
        except ConnectionError as error:
            raise SSLError("the server ended it before it was secure") from error


class GuardedPool(HTTPSConnectionPool):
    """A pool of guarded connections."""

    ConnectionCls = GuardedConnection
