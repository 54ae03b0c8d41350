"""Row 4: the list with 1,000 Deployments against an empty signed-in page."""

import http.client
import time

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.bench import airflow, rows
from console.bench.result import Figure, Result, percentile
from console.tests.system.installation import Installation
from workspaces.models import Workspace

FEW, MANY = 10, 1000
WARM, PAIRS = 30, 300
EMPTY = "/workspaces/new/"
MUST_QUERIES = 12
MUST_RATIO = 4.0

METHOD = (
    f"{MANY:,} rows in one Workspace, 50 a page. Queries are counted by Django's own capture through the test "
    f"client at {FEW} and at {MANY:,} rows, session and user included. Times over HTTP on one kept connection, "
    f"{PAIRS} pairs after {WARM} to warm up: the list, then `{EMPTY}` (the shell around one field) of the same "
    "person on the same server, from request to the last byte."
)


def measure(at: Installation) -> Result:
    """Count, then time."""
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(1)
    try:
        rows.make_deployments(workspace, FEW)
        few = _queries(workspace, cookies[0])
        rows.remove_deployments()
        rows.make_deployments(workspace, MANY)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE deployments_deployment")
        many = _queries(workspace, cookies[0])
        connection.close()
        full, empty, size = _times(at, workspace.url, cookies[0])
    finally:
        rows.remove_deployments()
        connection.close()
    ratio = percentile(full, 0.95) / percentile(empty, 0.95)
    return Result(
        (
            Figure(
                f"Deployments list with {MANY:,} Deployments, 50 a page: queries",
                f"at most {MUST_QUERIES} at any size",
                f"{many} ({few} with {FEW} Deployments)",
                max(few, many) <= MUST_QUERIES and few == many,
            ),
            Figure(
                "The same against an empty signed-in page: p95",
                f"at most {MUST_RATIO:.0f} times",
                f"{ratio:.1f} times ({percentile(full, 0.95):.1f} ms against {percentile(empty, 0.95):.1f} ms)",
                ratio <= MUST_RATIO,
            ),
        ),
        METHOD,
        (
            f"p50 {percentile(full, 0.5):.1f} ms against {percentile(empty, 0.5):.1f} ms, "
            f"{percentile(full, 0.5) / percentile(empty, 0.5):.1f} times. The list has {size / 1024:.0f} KiB.",
        ),
    )


def _queries(workspace: Workspace, cookie: str) -> int:
    client = Client(headers={"host": "127.0.0.1"})
    name, _, value = cookie.partition("=")
    client.cookies[name] = value
    client.get(workspace.url)  # caches of content types and the like are filled once per process
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(workspace.url)
    assert answer.status_code == 200
    assert answer.content.count(b'role="rowheader"') in {FEW, 50}
    return len(captured)


def _times(at: Installation, path: str, cookie: str) -> tuple[list[float], list[float], int]:
    """Milliseconds of the list, of the empty page, in turn; and the list's bytes."""
    web = http.client.HTTPConnection("127.0.0.1", at.port, timeout=30)
    full, empty, size = [], [], 0
    for number in range(WARM + PAIRS):
        taken, size = _get(web, path, cookie)
        other, _ = _get(web, EMPTY, cookie)
        if number >= WARM:
            full.append(taken)
            empty.append(other)
    web.close()
    return full, empty, size


def _get(web: http.client.HTTPConnection, path: str, cookie: str) -> tuple[float, int]:
    begun = time.perf_counter()
    web.request("GET", path, headers={"Cookie": cookie})
    answer = web.getresponse()
    body = answer.read()
    taken = 1000 * (time.perf_counter() - begun)
    assert answer.status == 200, f"{path}: {answer.status}"
    return taken, len(body)
