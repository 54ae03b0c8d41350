"""Sending objects to a real API server as a careful operator does: an unknown field and a warning are failures."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployments.dataplane.kubernetes.api import credentials
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.api.transport import Connection, Json, Request
from deployments.tests.dataplane.kubernetes.harness import REAL, real_kubeconfig

needs_one = pytest.mark.skipif(not REAL, reason="KUBECONFIG_TEST names no kubeconfig of a real API server")

APPLY, WHOLE = "application/apply-patch+yaml", "application/json"
WIDE = frozenset(("Namespace", "ClusterRole", "ClusterRoleBinding"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Connection]:
    """A connection to it."""
    connection = Connection(credentials.parse(real_kubeconfig()))
    yield connection
    connection.close()


def send(
    cluster: Connection, method: str, path: str, body: Any = None, kind: str = WHOLE, **query: str
) -> tuple[int, Json, str]:
    """The status, what came back, and the warnings."""
    sent = json.dumps(body) if kind == APPLY else body  # the client writes plain JSON itself
    response = cluster.send(Request(method, path, "it", query, sent, kind), 15.0)
    try:
        raw = response.read()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return response.status, json.loads(raw) if is_json else {}, response.headers.get("Warning", "")
    finally:
        response.release_conn()


def apply(cluster: Connection, manifest: Json, manager: str, namespace: str = "", **query: str) -> Json:
    """Server-side apply, in `namespace` where the manifest names none. Fails on a refusal and on a warning."""
    kind, meta = manifest["kind"], manifest["metadata"]
    where = "" if kind in WIDE else meta.get("namespace", namespace)
    path = path_of(manifest["apiVersion"], kind, where, meta["name"])
    query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **query}
    status, found, warnings = send(cluster, "PATCH", path, manifest, APPLY, **query)
    assert (status, warnings) in ((200, ""), (201, "")), (kind, meta["name"], found.get("message"), warnings)
    return found


def unchanged(before: Json, after: Json, manager: str) -> bool:
    """Whether nothing that `manager` states differs. Controllers may write a status in the meantime; the generation
    counts what is stated."""
    fields = [
        [each["fieldsV1"] for each in found["metadata"]["managedFields"] if each["manager"] == manager]
        for found in (before, after)
    ]
    same = before["metadata"].get("generation") == after["metadata"].get("generation")
    return same and fields[0] == fields[1]
