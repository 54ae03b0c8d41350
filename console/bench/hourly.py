"""A year of hourly figures of 1,000 Deployments: rows, size, and the page of 30 days."""

import http.client
import random
import time

from django.db import connection

from console.bench import airflow, rows
from console.bench.result import Figure, Result, percentile
from console.tests.system.installation import Installation
from deployments.models import Deployment
from deployments.queries import readings

DEPLOYMENTS, HOURS = 1000, 366 * 24
MUST_ROWS, MUST_GIB, MUST_MS = 9_000_000, 2.0, 200.0
WARM, TIMES = 20, 200
TABLE = "deployments_hourlyfigures"
# Rows come in the order of their hours, as they do in life, so that the index is as full as it will be.
FILL = f"""
INSERT INTO {TABLE} (deployment_id, hour, runs_succeeded, runs_failed, tasks_succeeded, tasks_failed, queued, running,
  workers, cpu_millis, memory_mib, readings)
SELECT d.id, date_trunc('hour', now()) - make_interval(hours => h), 10 + h %% 7, (h %% 31 = 0)::int, 120, h %% 3,
  h %% 9, h %% 12, 2, 300 + h %% 400, 2100, 60
FROM generate_series(%(last)s, %(first)s, -1) h, deployments_deployment d WHERE d.release_name LIKE %(like)s
"""
STEP = 24

METHOD = (
    f"{DEPLOYMENTS:,} Deployments with {HOURS:,} hourly figures each, put into the table in the order of their hours. "
    "The size is that of table and index after VACUUM. The page of 30 days is fetched over HTTP on one kept "
    f"connection, {TIMES} times after {WARM} to warm up, each time of another Deployment, from request to the last "
    "byte; its query alone is timed in this process."
)


def measure(at: Installation) -> Result:
    """Fill, weigh, ask."""
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(1)
    try:
        made = rows.make_deployments(workspace, DEPLOYMENTS)
        began = time.monotonic()
        count, size = _fill(at)
        filled = time.monotonic() - began
        asked = [_query(each) for each in random.choices(made, k=TIMES)]
        connection.close()
        pages = _pages(at, cookies[0], made)
    finally:
        with at.database() as admin:
            admin.execute(f"TRUNCATE {TABLE}")
        rows.remove_deployments()
        connection.close()
    p95 = percentile(pages, 0.95)
    return Result(
        (
            Figure(
                f"A year of hourly figures of {DEPLOYMENTS:,} Deployments: rows",
                f"at most {MUST_ROWS:,}",
                f"{count:,}",
                count <= MUST_ROWS,
            ),
            Figure(
                "The same: size with its index",
                f"at most {MUST_GIB:.0f} GiB",
                f"{size / 2**30:.2f} GiB ({size / count:.0f} bytes a row)",
                size <= MUST_GIB * 2**30,
            ),
            Figure(
                "The page of 30 days among them: p95",
                f"at most {MUST_MS:.0f} ms",
                f"{p95:.0f} ms",
                p95 <= MUST_MS,
            ),
        ),
        METHOD,
        (
            f"p50 of the page {percentile(pages, 0.5):.0f} ms; of its query p50 {percentile(asked, 0.5):.1f} ms and "
            f"p95 {percentile(asked, 0.95):.1f} ms. The table was filled in {filled:.0f} s.",
        ),
    )


def _fill(at: Installation) -> tuple[int, int]:
    """Rows and bytes. On a connection that waits for as long as it takes."""
    with at.database() as admin:
        for last in range(HOURS - 1, -1, -STEP):
            first = max(0, last - STEP + 1)
            admin.execute(FILL, {"last": last, "first": first, "like": f"{rows.PREFIX}%"})
        admin.execute(f"VACUUM ANALYZE {TABLE}")
        found = admin.execute(f"SELECT count(*), pg_total_relation_size('{TABLE}') FROM {TABLE}").fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _query(deployment: Deployment) -> float:
    """Milliseconds of the series of 30 days."""
    began = time.perf_counter()
    found = readings.series(deployment, readings.SPANS["30d"])
    taken = 1000 * (time.perf_counter() - began)
    assert all(found.buckets)
    return taken


def _pages(at: Installation, cookie: str, made: list[Deployment]) -> list[float]:
    """Milliseconds of the page of 30 days."""
    web = http.client.HTTPConnection("127.0.0.1", at.port, timeout=30)
    taken = []
    for number in range(WARM + TIMES):
        path = f"{random.choice(made).url}?span=30d"
        began = time.perf_counter()
        web.request("GET", path, headers={"Cookie": cookie})
        answer = web.getresponse()
        answer.read()
        assert answer.status == 200, f"{path}: {answer.status}"
        if number >= WARM:
            taken.append(1000 * (time.perf_counter() - began))
    web.close()
    return taken
