"""The JSON API: a list of 50 among 1,000 Deployments against the same page as HTML, and the queries of one GET."""

import http.client
import itertools
import time

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.bench import airflow, rows
from console.bench.result import Figure, Result, percentile
from console.tests.system.installation import Installation
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import User, Workspace
from workspaces.permissions import Role

MANY = 1000
WARM, PAIRS = 30, 300
TOKENS = 40  # in turn, so that no token asks too often
MUST_QUERIES, MUST_RATIO = 5, 0.5

METHOD = (
    f"{MANY:,} rows in one Workspace. Times over HTTP on one kept connection, {PAIRS} pairs after {WARM} to warm up: "
    "`GET /api/v1/workspaces/{id}/deployments?limit=50` with an API token, then the list of the same 50 rows as a page "
    "with a session, from request to the last byte. Queries are counted by Django's capture through the test client: "
    "one Deployment with a token whose use is noted down by that very request, which happens once a minute."
)


def measure(at: Installation) -> Result:
    """Count, then time."""
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(1)
    by = workspace.members.all()[0]
    try:
        made = rows.make_deployments(workspace, MANY)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE deployments_deployment")
        values = [_token(workspace, by, number) for number in range(TOKENS)]
        counts = _queries(values[0], made[1].release_name)  # those under Celery have no queues here
        connection.close()
        api, page = _times(at, workspace, cookies[0], values)
    finally:
        rows.remove_deployments()
        connection.close()
    ratio = percentile(api, 0.5) / percentile(page, 0.5)
    return Result(
        (
            Figure(
                f"API list of 50 among {MANY:,} Deployments, against the same page as HTML: p50",
                f"at most {MUST_RATIO} times",
                f"{ratio:.2f} times ({percentile(api, 0.5):.1f} ms against {percentile(page, 0.5):.1f} ms)",
                ratio <= MUST_RATIO,
            ),
            Figure(
                "Authenticated GET of one Deployment: queries",
                f"at most {MUST_QUERIES}",
                f"{counts[0]} ({counts[1]} when its use was noted down less than a minute before)",
                max(counts) <= MUST_QUERIES,
            ),
        ),
        METHOD,
        (
            f"p95 {percentile(api, 0.95):.1f} ms against {percentile(page, 0.95):.1f} ms, "
            f"{percentile(api, 0.95) / percentile(page, 0.95):.2f} times.",
        ),
    )


def _token(workspace: Workspace, by: User, number: int) -> str:
    wish = TokenWish(f"bench {number}", "", Role.ADMIN)
    return tokens.make(scope=Scope(workspace), by=by, wish=wish).value


def _queries(value: str, release_name: str) -> tuple[int, int]:
    client = Client(headers={"host": "127.0.0.1", "authorization": f"Bearer {value}"})
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/api/v1/deployments/{release_name}")
        assert answer.status_code == 200
        counts.append(len(captured))
    return counts[0], counts[1]


def _times(
    at: Installation, workspace: Workspace, cookie: str, values: list[str]
) -> tuple[list[float], list[float]]:
    """Milliseconds of the API's list and of the page, in turn."""
    web = http.client.HTTPConnection("127.0.0.1", at.port, timeout=30)
    api, page = [], []
    value = itertools.cycle(values)
    for number in range(WARM + PAIRS):
        path = f"/api/v1/workspaces/{workspace.pk}/deployments?limit=50"
        taken = _get(web, path, {"Authorization": f"Bearer {next(value)}"})
        other = _get(web, workspace.url, {"Cookie": cookie})
        if number >= WARM:
            api.append(taken)
            page.append(other)
    web.close()
    return api, page


def _get(web: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> float:
    begun = time.perf_counter()
    web.request("GET", path, headers=headers)
    answer = web.getresponse()
    answer.read()
    taken = 1000 * (time.perf_counter() - begun)
    assert answer.status == 200, f"{path}: {answer.status}"
    return taken
