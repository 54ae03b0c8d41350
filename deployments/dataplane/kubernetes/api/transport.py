"""This process's connection to one API server: the official client's transport and sign-in, set up by hand."""

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from ssl import VERIFY_X509_STRICT, SSLContext, SSLError, create_default_context
from typing import Any

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException

from console.kit import metrics
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.dataplane.kubernetes.api.credentials import Credentials, KubeconfigError, read_token
from deployments.dataplane.kubernetes.api.guarded import GuardedPool
from deployments.dataplane.kubernetes.api.lanes import Lanes

CONNECT_SECONDS = 3.0
TOKEN_SECONDS = 60.0  # how often a token file is read again

ACCEPT = "application/json, */*;q=0.5"

type Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked of an API server. `what` names it in sentences; `kind` is the body's content type. `opening`: it is
    the first question of a call, for one small object. `log`: the answer is a text that the pod's node sends."""

    method: str
    path: str
    what: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json | str | None = None
    kind: str = "application/json"
    accept: str = ACCEPT
    opening: bool = False
    log: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # more of them; may hold a secret


@dataclass
class Measured:
    """What the cluster last reported of its pods: cores and bytes by Deployment id, or why it reports nothing, and
    until when it is asked nothing more."""

    until: float = 0.0
    used: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    absent: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Connection:
    """The pool of one process to one API server, and what that server last asked of us. Safe between threads."""

    def __init__(self, credentials: Credentials) -> None:
        configuration = Configuration(host=credentials.server)
        configuration.proxy = credentials.proxy or None  # none from the environment
        configuration.no_proxy = ""
        configuration.retries = False  # ours, below; and no redirects
        configuration.tls_server_name = credentials.tls_server_name or None
        configuration.connection_pool_maxsize = 24  # the observer watches each kind on one of its own
        if credentials.token:
            configuration.api_key = {"BearerToken": credentials.token}
            configuration.api_key_prefix = {"BearerToken": "Bearer"}
        if credentials.token_file:
            hook = _TokenFile(credentials.token_file)
            setattr(configuration, "refresh_api_key_hook", hook)  # noqa: B010 - typed as None over there
        self._client = ApiClient(configuration)
        manager = self._client.rest_client.pool_manager
        manager.connection_pool_kw["ssl_context"] = _tls(credentials)
        manager.pool_classes_by_scheme = {"https": GuardedPool}
        self._counting = threading.Lock()
        self.lanes = Lanes()
        self.requests: Counter[str] = Counter()  # "GET 200" -> how many; "GET lost" without an answer
        self.keda = (0.0, False)  # until when it counts, and whether the cluster has KEDA
        self.default_class = (0.0, False)  # the same of a default StorageClass
        self.measured = Measured()
        self._hold_until, self._hold = 0.0, DataPlaneUnreachable("")

    def count(self, method: str, status: str) -> None:
        """One more request; `status` is "lost" when no answer came."""
        with self._counting:  # several threads of one call may send at a time
            self.requests[f"{method} {status}"] += 1
        metrics.KUBERNETES_REQUESTS.add(method, status)

    def permit(self) -> None:
        """Raise the server's last refusal while it asked for rest."""
        if time.monotonic() < self._hold_until:
            raise copy(self._hold)  # a fresh one: tracebacks grow on what is raised again and again

    def hold(self, error: DataPlaneUnreachable, seconds: float) -> None:
        """Send nothing for so long; callers get `error`."""
        self._hold_until, self._hold = time.monotonic() + seconds, error

    def send(self, request: Request, read: float) -> urllib3.BaseHTTPResponse:
        """One request, and its answer with the body still to be read. `read` is the longest silence in seconds. Raises
        urllib3's and ssl's errors."""
        headers = {"Accept": request.accept, "User-Agent": "airdeck", **request.headers}
        if request.body is not None:
            headers["Content-Type"] = request.kind
        serialized = self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params=headers,
            body=request.body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*serialized, _request_timeout=(CONNECT_SECONDS, read))
        except ApiException as error:  # how the client passes an SSLError on
            raise SSLError(error.reason) from None
        response: urllib3.BaseHTTPResponse = answer.response
        return response

    def close(self) -> None:
        """Close every socket."""
        self._client.rest_client.pool_manager.clear()


class _TokenFile:
    """Keeps a sign-in fresh whose token is replaced in its file."""

    def __init__(self, path: str) -> None:
        self._path, self._read_at = path, 0.0

    def __call__(self, configuration: Configuration) -> None:
        if time.monotonic() - self._read_at < TOKEN_SECONDS and self._read_at:
            return
        try:
            configuration.api_key = {"BearerToken": read_token(self._path)}
        except KubeconfigError as error:  # nothing can be known of the cluster, and nothing in it has failed
            raise DataPlaneUnreachable(str(error)) from None
        self._read_at = time.monotonic()


_connections: dict[str, Connection] = {}
_lock = threading.Lock()


def connection_to(credentials: Credentials) -> Connection:
    """This process's connection to that API server, made on first use."""
    with _lock:
        if credentials.key not in _connections:
            _connections[credentials.key] = Connection(credentials)
        return _connections[credentials.key]


def _after_fork() -> None:
    """TLS sessions and locks must not be shared with the parent."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _connections.clear()


os.register_at_fork(after_in_child=_after_fork)


def _tls(credentials: Credentials) -> SSLContext:
    """Verification stays on. OpenSSL reads a client's key from files only: this one lives for milliseconds."""
    try:
        context = create_default_context(cadata=credentials.ca_pem or None)
        # Chain, name and expiry are verified. The rules of RFC 5280 that Python adds to them since 3.13 refuse the
        # authorities of older clusters, which name no key usage and which kubectl and every kubelet trust.
        context.verify_flags &= ~VERIFY_X509_STRICT
        if credentials.client_pem:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # made with mode 0600
                file.write(credentials.client_pem)
                file.flush()
                context.load_cert_chain(file.name)
    except (SSLError, OSError):
        raise KubeconfigError("The kubeconfig's certificate or key cannot be read. Copy it again.") from None
    return context
