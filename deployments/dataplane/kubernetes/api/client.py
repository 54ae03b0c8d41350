"""A thin client of one Kubernetes API server: raw JSON over the official client's transport and sign-in.

Every request is bounded, counted and safe to repeat: it reads, applies, or deletes by uid. No model objects: they
take seventeen times as long as the JSON (docs/adr/0014).
"""

import json
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ssl import SSLError
from typing import Any
from urllib.parse import quote

import urllib3

from deployments.dataplane.contract import CALL_BUDGET_SECONDS, DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.api.errors import (
    ApiRefused,
    Busy,
    Forbidden,
    NoRules,
    SignInRefused,
    failure,
)
from deployments.dataplane.kubernetes.api.transport import ACCEPT, Connection, Json, Request
from deployments.dataplane.kubernetes.text import clause

FIELD_MANAGER, SCALER = "airdeck", "airdeck-scaler"
VERSION = "/version"
READ_SECONDS = 15.0
# For one small object, which a sound API server sends within one (Kubernetes' own objective). Who is silent for so long
# is asked nothing more in this call: it holds a worker that others wait for.
OPENING_SECONDS = 4.0
# Between two pieces of a log: its pod's node sends them, and a silent node holds up nothing else.
LOG_SECONDS = 2.0
MARGIN_SECONDS = 1.0  # of a call's budget, for what is not a request
TRIES, CONFLICT_TRIES = 5, 3
SILENT_REST = 5.0  # a server that hangs costs one call its budget, not every call of this process
# A rejected sign-in, or TLS that fails, is not repeated sooner: servers lock out who knocks too often.
SIGN_IN_REST = 30.0
_DECORATION = re.compile(r"^SSLError\n|\[[A-Z]+: \w+\] |\(_ssl\.c:\d+\)|^[\w.]+\(.*?\): ", re.DOTALL)
MAX_ANSWER = 32 * 1024 * 1024


class Api:
    """The requests of one driver call. All of them together end within the call's budget."""

    def __init__(self, connection: Connection, budget: float = CALL_BUDGET_SECONDS - MARGIN_SECONDS) -> None:
        self._connection = connection
        self.lanes = connection.lanes  # for what is sent side by side
        self._deadline = time.monotonic() + budget

    @property
    def left(self) -> float:
        """Seconds left of the budget."""
        return self._deadline - time.monotonic()

    def get(self, path: str, what: str = "the object", accept: str = ACCEPT, **query: str) -> Json | None:
        """An object or a list; None when it is not there."""
        return self._found(Request("GET", path, what, query, accept=accept))

    def opening(self, path: str, what: str) -> Json | None:
        """One small object, as the first question of a call: asked once, with OPENING_SECONDS. None when not there."""
        return self._found(Request("GET", path, what, opening=True))

    def _found(self, request: Request) -> Json | None:
        try:
            return self._json(request)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, what: str = "the list", **query: str) -> list[Json]:
        """The objects of a list; none when the kind or the namespace is not there."""
        found = self.get(path, what, **query) or {}
        items = found.get("items")
        return items if isinstance(items, list) else []

    def apply(self, path: str, manifest: Json, manager: str = FIELD_MANAGER) -> Json:
        """Server-side apply, by force: what we state is ours. The object as it is then."""
        what = f"{manifest['kind']} {manifest['metadata']['name']}"
        query = {"fieldManager": manager, "force": "true"}
        body = json.dumps(manifest)
        return self._json(Request("PATCH", path, what, query, body, "application/apply-patch+yaml"))

    def merge(self, path: str, change: Json, what: str, manager: str = FIELD_MANAGER) -> Json:
        """JSON merge patch."""
        query = {"fieldManager": manager}
        return self._json(Request("PATCH", path, what, query, change, "application/merge-patch+json"))

    def delete(self, path: str, what: str, uid: str = "", grace: int | None = None) -> bool:
        """Delete it, in the background, if it still is the object with that uid; a pod gets `grace` seconds instead of
        its own. False when it is gone already or is another one by now."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            self._json(Request("DELETE", path, what, body=options))
        except ApiRefused as error:
            if error.status == 404 or (error.status == 409 and uid):
                return False
            raise
        return True

    def create(self, path: str, body: Json, what: str, **query: str) -> Json:
        """POST, for what is not stored: access reviews, and objects with dryRun=All."""
        return self._json(Request("POST", path, what, query, body))

    def text(self, path: str, what: str, limit: int, **query: str) -> str:
        """A pod's log; "" when it is not there. Raises NodeSilent when only the pod's node does not answer."""
        try:
            raw: bytes = self._call(Request("GET", path, what, query, log=True), limit)
            return raw.decode(errors="replace")
        except Unconnected:
            raise
        except Silent:
            raise NodeSilent(
                f"{what[:1].upper()}{what[1:]} does not come. Is the node of its pod up?"
            ) from None
        except ApiRefused as error:
            if error.status == 404:
                return ""
            raise

    @contextmanager
    def stream(
        self, path: str, what: str, read: float, accept: str = "application/json", **query: str
    ) -> Iterator["ApiStream"]:
        """An answer that does not end by itself, such as a watch. `read` is the longest silence in seconds. Not
        repeated, not held to the budget; every failure leaves as a DataPlaneError."""
        self._connection.permit()
        with translated():
            response = self._connection.send(Request("GET", path, what, query, accept=accept), read)
            try:
                self._connection.count("GET", str(response.status))
                if response.status >= 300:
                    raise self._refusal(response, response.read(MAX_ANSWER), what)
                yield ApiStream(response)
            finally:
                response.close()

    def _json(self, request: Request) -> Json:
        document: Json = self._call(request, MAX_ANSWER)
        return document

    def _call(self, request: Request, limit: int) -> Any:
        """Send it, and again after what passes. Every request of ours can be repeated without harm. Returns
        bytes for a log, else the document."""
        for number in range(1, TRIES + 1):
            self._connection.permit()
            try:
                with translated():
                    raw = self._once(request, limit, _patience(request))
                    return raw if request.log else _parsed(raw)
            except ApiRefused as error:
                if error.status != 409 or request.method == "DELETE" or number >= CONFLICT_TRIES:
                    raise
                self._pause(error, number)
            except (SignInRefused, _Insecure) as error:
                self._connection.hold(error, SIGN_IN_REST)
                raise
            except (Busy, _Lost) as error:
                if isinstance(error, Busy):
                    self.lanes.slow_down(error.after)
                if request.opening and isinstance(error, Silent):
                    self._connection.hold(error, SILENT_REST)
                    raise
                is_silent = isinstance(error, Silent) and not isinstance(error, Unconnected)
                if number == TRIES or (request.log and is_silent):  # a node that is silent stays so
                    raise
                self._pause(error, number, is_silence=_means_silence(error, request))
        raise AssertionError("unreachable")

    def _once(self, request: Request, limit: int, patience: float) -> bytes:
        read = min(patience, self.left)
        if read <= 0:
            raise DataPlaneUnreachable("The cluster's API server answers too slowly.")
        try:
            response = self._connection.send(request, read)
        except Exception:
            self._connection.count(request.method, "lost")
            raise
        self._connection.count(request.method, str(response.status))
        raw = self._read(response, limit, request.what)
        if response.status >= 300:
            raise self._refusal(response, raw, request.what)
        return raw

    def _read(self, response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
        """The whole body, in bounded time and space, however slowly it comes."""
        pieces, size = [], 0
        try:
            while piece := response.read1(65_536):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise DataPlaneError(f"The cluster's answer for {what} is larger than {limit >> 20} MiB.")
                if self.left <= 0:
                    raise _Lost("The cluster's API server answers too slowly.")
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return b"".join(pieces)

    def _refusal(self, response: urllib3.BaseHTTPResponse, raw: bytes, what: str) -> DataPlaneError:
        try:
            body = json.loads(raw)
        except ValueError:
            body = {"message": raw[:500].decode(errors="replace")}
        found = failure(response.status, response.headers, body if isinstance(body, dict) else {}, what)
        return NoRules() if isinstance(found, Forbidden) and not self._says_its_version() else found

    def _says_its_version(self) -> bool:
        """Whether our account may ask what every account may. While the rules load, all is forbidden alike."""
        if self.left <= 0:
            return True
        with suppress(Exception):
            asked = Request("GET", VERSION, "its version")
            response = self._connection.send(asked, min(READ_SECONDS, self.left))
            response.read(MAX_ANSWER)
            return response.status != 403
        return True

    def _pause(self, error: DataPlaneError, number: int, *, is_silence: bool = False) -> None:
        """Wait before the next try: as long as the server asks, else longer each time; never beyond the budget. Where
        the error `is_silence` of the whole server, no one asks it in the meantime."""
        asked = getattr(error, "after", 0.0)
        seconds = max(asked, 0.2 * 2 ** (number - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        if seconds >= self.left:
            rest = asked or (SILENT_REST if isinstance(error, Silent) else 0.0)
            if rest and is_silence and isinstance(error, DataPlaneUnreachable):
                self._connection.hold(error, rest)
            raise error
        time.sleep(seconds)


class ApiStream:
    """The pieces of an answer, as they come. `cut` ends the wait for the next one, from any thread."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._response.read1(65_536), b"")

    def cut(self) -> None:
        """End the stream from another thread. Idempotent."""
        with suppress(OSError, ValueError):  # it has ended already
            self._response.shutdown()


class _Lost(DataPlaneUnreachable):
    """No answer, or not a whole one."""


class Silent(_Lost):
    """Nothing answered in all the time that there was."""


class Unconnected(Silent):
    """Not even to the connection."""


class _Insecure(DataPlaneUnreachable):
    """There is no secure connection to it."""


class NodeSilent(DataPlaneError):
    """The API server answers, and the node that it asks for a log does not."""


@contextmanager
def translated() -> Iterator[None]:
    """The transport's errors as sentences."""
    try:
        yield
    except urllib3.exceptions.ProxyError as error:
        sentence = f"The proxy (api_proxy) does not lead to the cluster's API server: {_root(error)}."
        raise DataPlaneUnreachable(sentence) from None
    except (SSLError, urllib3.exceptions.SSLError) as error:
        raise _Insecure(
            f"The secure connection to the cluster's API server failed: {_root(error)}. "
            "Check certificate-authority-data and the server's name."
        ) from None
    except urllib3.exceptions.NewConnectionError as error:  # also a name that does not resolve
        raise DataPlaneUnreachable(
            f"The cluster's API server cannot be reached: {_root(error)}. Is it running, and is its address right?"
        ) from None
    except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
        kind = Unconnected if isinstance(error, urllib3.exceptions.ConnectTimeoutError) else Silent
        raise kind("The cluster's API server does not answer in time. Is it running and reachable?") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Lost(f"The answer of the cluster's API server ended too early: {_root(error)}.") from None


def _patience(request: Request) -> float:
    """For how many seconds its answer may be silent."""
    if request.log:
        return LOG_SECONDS
    return OPENING_SECONDS if request.opening else READ_SECONDS


def _means_silence(error: DataPlaneError, request: Request) -> bool:
    """Whether it is about the whole API server: a write may wait for a webhook, a log for its pod's node."""
    if isinstance(error, Unconnected):
        return True
    return not request.log and (request.method == "GET" or not isinstance(error, Silent))


def _root(error: BaseException) -> str:
    """What went wrong at the bottom, without our URL in it: "certificate verify failed: unable to get …"."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = error.args[0] if error.args else ""
    words = getattr(error, "strerror", None) or (first if isinstance(first, str) and first else repr(error))
    return clause(_DECORATION.sub("", words), 300) or type(error).__name__


def _parsed(raw: bytes) -> Json:
    try:
        document = json.loads(raw)
    except ValueError:
        raise _Lost("The cluster's API server sent something that is not whole JSON.") from None
    if not isinstance(document, dict):
        raise DataPlaneError("The cluster's API server sent something that is not an object.")
    return document


# Plural names of the kinds that Airdeck touches; all are namespaced but these.
CLUSTER_KINDS = frozenset(("Namespace",))
PLURALS = {
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "Endpoints": "endpoints",
}


def path_of(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    """The path of an object, or of the list of its kind. `namespace` "" means all of them."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    plural = PLURALS.get(kind, kind.lower() + "s")
    target = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind not in CLUSTER_KINDS else ""
    return f"{root}{target}/{plural}" + (f"/{quote(name, safe='')}" if name else "")
