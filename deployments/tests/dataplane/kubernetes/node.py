"""A node for a real API server that has none: pods are bound to it, end when told to, and their logs are read from it
over HTTPS as from a kubelet. It runs nothing."""

import secrets
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.transport import Request
from deployments.tests.dataplane.kubernetes.pki import Authority
from deployments.tests.dataplane.kubernetes.store import now, stamped

BEAT_SECONDS = 5.0  # the cluster gives a node up after 50 s

type Json = dict[str, Any]


class Node:
    """One per test run; `close` takes it out of the cluster again."""

    def __init__(self) -> None:
        self.name = f"airdeck-tests-{secrets.token_hex(3)}"
        self.lines: dict[tuple[str, str], list[str]] = {}
        self._beat_at = -BEAT_SECONDS
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.node = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(Authority().server_pem)
            file.flush()
            context.load_cert_chain(file.name)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def log(self, namespace: str, pod: str, text: str) -> None:
        self.lines.setdefault((namespace, pod), []).append(stamped(text))

    def beat(self, api: Api) -> None:
        """Register, and say that the node is well."""
        if time.monotonic() - self._beat_at < BEAT_SECONDS:
            return
        path, first = path_of("v1", "Node", "", self.name), self._beat_at < 0
        self._beat_at = time.monotonic()
        if first:
            api.apply(path, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}}, "kubelet")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}
        port = self._server.server_address[1]
        status = {
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        api.merge(f"{path}/status", {"status": status}, "node", "kubelet")

    def takes(self, api: Api, pod: Json) -> bool:
        """Bind the pod if nobody has it, and end it if it is to end; whether it is to run here."""
        meta = pod["metadata"]
        path = path_of("v1", "Pod", meta["namespace"], meta["name"])
        if "deletionTimestamp" in meta:
            _end(api, path)
            return False
        if not pod["spec"].get("nodeName"):
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}}
            target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
            api.create(f"{path}/binding", {**binding, "target": target}, "binding")
        return True

    def close(self, api: Api) -> None:
        self._server.shutdown()
        self._server.server_close()
        api.delete(path_of("v1", "Node", "", self.name), "node")


def _end(api: Api, path: str) -> None:
    """The last word of a kubelet about a pod: its containers have ended."""
    if api.get(path):
        api._json(Request("DELETE", path, "pod", {"gracePeriodSeconds": "0"}))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    node: Node

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        _, _, namespace, pod, _ = parts.path.split("/", 4)
        query = dict(parse_qsl(parts.query))
        lines = self.server.node.lines.get((namespace, pod), [])
        if query.get("previous") == "true":
            lines = []
        lines = [line for line in lines if line[:19] >= query.get("sinceTime", "")[:19]]
        if "tailLines" in query:
            lines = lines[len(lines) - min(len(lines), int(query["tailLines"])) :]
        raw = "".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""
