"""A Kubernetes API server for tests: real HTTPS, server-side apply with field owners, watches, subresources,
finalizers and preconditions, and faults as told by `script`. It admits no pods and starts none; see `kubelet`.

Where it is simpler than the real one, the same suite against a real one says so (KUBECONFIG_TEST).
"""

import json
import re
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.rbac import rules
from deployments.tests.dataplane.kubernetes import proxied
from deployments.tests.dataplane.kubernetes.answers import Answer, Script
from deployments.tests.dataplane.kubernetes.pki import Authority
from deployments.tests.dataplane.kubernetes.selecting import selected
from deployments.tests.dataplane.kubernetes.store import Json, Place, Refusal, Store

TOKEN = "emulator-token"
CONSOLE_TOKEN = "console-token"  # may do what `permissions` lists, and nothing else
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
ROUTE = re.compile(
    r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>status|scale|log))?$"
)


class Emulator:
    """`with Emulator() as emulator`: listens on 127.0.0.1 until the end of the block."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.store = Store()
        self.scripts: list[Script] = []
        self.calls: list[tuple[float, str]] = []  # (monotonic, "METHOD path?query")
        self.logs: dict[tuple[str, str, bool], str] = {}  # (namespace, pod, previous) -> text with timestamps
        self.programs: dict[tuple[str, str], str] = {}  # (namespace, service) -> where its pods would answer
        self.denied: set[str] = set()  # "verb resource" that access reviews deny
        self.keda = False
        self.ended = threading.Event()
        self._authority = authority or Authority()
        for name in ("default", "kube-system"):
            place = Place("v1", "namespaces", "", name)
            self.store.apply(
                place, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "test"
            )

    def __enter__(self) -> "Emulator":
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.emulator = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self._authority.server_pem)
            file.flush()
            context.load_cert_chain(file.name)
        self._server.context = context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def credentials(self) -> Credentials:
        """How to reach it."""
        return Credentials(
            f"https://127.0.0.1:{self._server.server_address[1]}", self._authority.ca_pem, TOKEN
        )

    @property
    def console_credentials(self) -> Credentials:
        """An account with the rights that the console needs, and no others."""
        return replace(self.credentials, token=CONSOLE_TOKEN)

    @property
    def kubeconfig(self) -> str:
        """The same as a kubeconfig."""
        return self._authority.kubeconfig(self.credentials)

    def script(self, pattern: str, *answers: Answer, always: bool = False) -> None:
        """Answer so whatever matches `pattern` ("PATCH .*/configmaps/x"), in turn; then as usual."""
        self.scripts.append(Script(re.compile(pattern), list(answers), always))

    def heal(self) -> None:
        """Forget every script."""
        self.scripts.clear()

    def counted(self) -> Counter[str]:
        """Calls so far by method."""
        return Counter(call.split()[0] for _, call in self.calls)

    def scripted(self, call: str) -> Answer | None:
        for script in self.scripts:
            if script.pattern.search(call) and (answer := script.take()):
                return answer
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    emulator: Emulator
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes
        try:
            with self.context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except OSError:
            pass  # a client that hangs up, or does not trust us

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken pipes are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Silence."""

    def _serve(self) -> None:
        emulator, parts = self.server.emulator, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = f"{self.command} {self.path}"
        emulator.calls.append((time.monotonic(), call))
        answer = emulator.scripted(call)
        act = answer.act if answer else ""
        if act == "hang":
            emulator.ended.wait(60)
        if act in ("hang", "reset"):
            self.close_connection = True
            return
        if act == "huge":
            self._endless()
            return
        try:
            if answer and act == "status":
                refusal = Refusal(answer.status, answer.reason, answer.message, answer.causes)
                self._send(refusal.status, refusal.body, answer.headers)
                return
            if self.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Bearer {CONSOLE_TOKEN}"):
                raise Refusal(401, "Unauthorized", "Unauthorized")
            if passing := proxied.ROUTE.match(unquote(parts.path)):
                self._send(*self._passed_on(passing, parts.query))
                return
            status, body = self._route(unquote(parts.path), dict(parse_qsl(parts.query)), raw)
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        if act == "lose":
            self.close_connection = True
        elif body is not None:
            self._send(status, body, cut=act == "truncate")

    def _route(self, path: str, query: dict[str, str], raw: bytes) -> tuple[int, Json | str | None]:
        emulator = self.server.emulator
        if path == "/version":
            return 200, {"major": "1", "minor": "36", "gitVersion": "v1.36.0-emulator"}
        if path.endswith("/selfsubjectaccessreviews"):
            review = json.loads(raw)
            asked = review["spec"].get("resourceAttributes", {})
            message = f"{asked.get('verb')} {asked.get('resource')}"
            return 201, {**review, "status": {"allowed": message not in emulator.denied}}
        if path == "/apis/keda.sh/v1alpha1" and emulator.keda:
            return 200, {"kind": "APIResourceList", "resources": [{"name": "scaledobjects"}]}
        found = ROUTE.match(path)
        if not found or (found["group"] == "keda.sh/v1alpha1" and not emulator.keda):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        place = Place(
            found["core"] or found["group"], found["plural"], found["namespace"] or "", found["name"] or ""
        )
        self._authorize(place, found["sub"] or "", query)
        if found["sub"] == "log":
            return 200, self._log(place, query)
        if found["sub"] == "scale":
            return 200, self._scale(place, query, json.loads(raw) if raw else None)
        if self.command == "GET" and not place.name:
            return (
                self._watch(place, query)
                if query.get("watch") in ("1", "true")
                else (200, self._list(place, query))
            )
        return self._object(place, query, raw, found["sub"] or "")

    def _passed_on(self, found: re.Match[str], query: str) -> tuple[int, str, dict[str, str]]:
        self._authorize(Place("v1", "services", found["namespace"], found["service"]), "proxy", {})
        emulator = self.server.emulator
        return proxied.passed_on(emulator.store, emulator.programs, found, query, dict(self.headers))

    def _authorize(self, place: Place, sub: str, query: dict[str, str]) -> None:
        """The console's account may do what the list of its rights says."""
        if self.headers["Authorization"] != f"Bearer {CONSOLE_TOKEN}":
            return
        verb = VERBS[self.command]
        if verb == "get" and not place.name:
            verb = "watch" if "watch" in query else "list"
        group = place.api.rpartition("/")[0]
        resource = f"{place.plural}/{sub}" if sub else place.plural
        if not rules.allowed(group, resource, verb, place.name):
            raise Refusal(403, "Forbidden", f"User cannot {verb} resource {resource} in API group {group}")

    def _object(self, place: Place, query: dict[str, str], raw: bytes, sub: str) -> tuple[int, Json]:
        store, manager = self.server.emulator.store, query.get("fieldManager", "unknown")
        if self.command == "GET":
            return 200, store.get(place)
        body = json.loads(raw) if raw else {}
        if self.command == "DELETE":
            return 200, store.delete(place, (body.get("preconditions") or {}).get("uid", ""))
        if self.command == "POST":
            place = Place(place.api, place.plural, place.namespace, body["metadata"]["name"])
            return 201, store.apply(place, body, manager)[0]
        if "apply-patch" in self.headers.get("Content-Type", ""):
            live, made = store.apply(place, body, manager)
            return 201 if made else 200, live
        change = (
            {"status": body.get("status")}
            if sub == "status"
            else {k: v for k, v in body.items() if k != "status"}
        )
        return 200, store.change(place, manager, change, sub)

    def _scale(self, place: Place, query: dict[str, str], body: Json | None) -> Json:
        store = self.server.emulator.store
        if body is not None:
            spec = {"spec": {"replicas": body["spec"]["replicas"]}}
            store.change(place, query.get("fieldManager", "unknown"), spec, "scale")
        live = store.get(place)
        meta = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
        scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta}
        return {**scale, "spec": {"replicas": live["spec"].get("replicas", 1)}}

    def _list(self, place: Place, query: dict[str, str]) -> Json:
        found, version = self.server.emulator.store.listed(place.api, place.plural, place.namespace)
        found = [item for item in found if selected(item, query)]
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
        page = found[start : start + limit] if limit else found
        meta = {"resourceVersion": str(version)}
        if limit and start + limit < len(found):
            meta["continue"] = str(start + limit)
        return {"kind": "List", "apiVersion": place.api, "metadata": meta, "items": page}

    def _log(self, place: Place, query: dict[str, str]) -> str:
        emulator = self.server.emulator
        emulator.store.get(place)
        key = (place.namespace, place.name, query.get("previous") == "true")
        if key[2] and key not in emulator.logs:
            raise Refusal(400, "BadRequest", "previous terminated container not found")
        lines = emulator.logs.get(key, "").splitlines(keepends=True)
        since = query.get("sinceTime", "")[:19]  # whole seconds, as the kubelet compares
        lines = [line for line in lines if line[:19] >= since]
        tail = query.get("tailLines")
        return "".join(lines[-int(tail) :] if tail and int(tail) else lines)[
            : int(query.get("limitBytes") or 10**9)
        ]

    def _watch(self, place: Place, query: dict[str, str]) -> tuple[int, None]:
        seconds = float(query.get("timeoutSeconds") or 60)
        self._head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        store = self.server.emulator.store
        after, until = int(query.get("resourceVersion") or 0), time.monotonic() + seconds
        ill = "as=PartialObjectMetadataList" in self.headers.get("Accept", "")
        for kind, item in store.watch(place.api, place.plural, place.namespace, after, until):
            if ill and kind != "BOOKMARK":
                break  # as the real one does: an event is no list
            cut = self.server.emulator.scripted(f"EVENT {kind} {place.plural}")
            if cut and cut.act == "status":
                gone = Refusal(cut.status, cut.reason or "Expired", cut.message).body
                self._chunk(json.dumps({"type": "ERROR", "object": gone}) + "\n")
                break
            if cut and cut.act == "lose":
                continue  # an event that nobody hears of
            if cut:
                self.close_connection = True
                return 200, None
            if selected(item, query):
                self._chunk(json.dumps({"type": kind, "object": item}) + "\n")
            if self.server.emulator.ended.is_set():
                break
        self._chunk("")
        return 200, None

    def _chunk(self, text: str) -> None:
        raw = text.encode()
        self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
        self.wfile.flush()

    def _send(
        self, status: int, body: Json | str, headers: dict[str, str] | None = None, cut: bool = False
    ) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._head(
            status, {"Content-Length": str(len(raw)), "Content-Type": "application/json", **(headers or {})}
        )
        self.wfile.write(raw[: len(raw) // 2] if cut else raw)
        self.close_connection |= cut

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def _endless(self) -> None:
        self._head(200, {"Content-Type": "application/json"})
        self.close_connection = True
        piece = b" " * (1 << 20)
        while not self.server.emulator.ended.is_set():
            self.wfile.write(piece)
