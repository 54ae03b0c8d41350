"""The page of a Deployment with what its Airflow does, against the same page without it; and its 30 days."""

import random
import time
from datetime import timedelta
from unittest.mock import patch

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.bench import airflow, rows
from console.bench.result import Figure, Result, median, percentile
from console.tests.system.installation import Installation
from deployments.models import Deployment, HourlyFigures, LatestReading

DAYS = 365
WARM, PAIRS = 5, 60
MUST_RATIO, MUST_QUERIES = 1.3, 6
MUST_MONTH = 200.0  # ms

METHOD = (
    f"One Deployment with a year of hourly figures and a reading with import errors. {PAIRS} pairs in turn in this "
    "process through the test client, session and shell included: its page without the section (its condition answers "
    f"no), and with it, over 24 hours. Medians of the whole time. Then {PAIRS} times the page over 30 days."
)


def measure(at: Installation) -> Result:
    """Count, then time."""
    airflow.ensure_none(at)
    workspace, cookies = rows.make_workspace(1)
    try:
        (made,) = rows.make_deployments(workspace, 1)
        _figures(made)
        client = Client(headers={"host": "127.0.0.1"})
        name, _, value = cookies[0].partition("=")
        client.cookies[name] = value
        few, many = (_queries(client, made, shown) for shown in (False, True))
        without, having = [], []
        for number in range(WARM + PAIRS):
            times = [_get(client, made, shown) for shown in (False, True)]
            if number >= WARM:
                without.append(times[0])
                having.append(times[1])
        month = [_get(client, made, True, "?span=30d") for _ in range(PAIRS)]
    finally:
        rows.remove_deployments()
        connection.close()
    ratio = median(having) / median(without)
    return Result(
        (
            Figure(
                "Page of a Deployment with its figures and charts, against the page without",
                f"at most {MUST_RATIO} times",
                f"{ratio:.2f} times ({median(having):.1f} ms against {median(without):.1f} ms)",
                ratio <= MUST_RATIO,
            ),
            Figure(
                "The same: queries more",
                f"at most {MUST_QUERIES}",
                str(many - few),
                many - few <= MUST_QUERIES,
            ),
            Figure(
                "The same over 30 days: p95",
                f"at most {MUST_MONTH:.0f} ms",
                f"{percentile(month, 0.95):.1f} ms",
                percentile(month, 0.95) <= MUST_MONTH,
            ),
        ),
        METHOD,
    )


def _figures(deployment: Deployment) -> None:
    """A year of hours, and a reading of now."""
    draw = random.Random(7)
    begun = timezone.now() - timedelta(days=DAYS)
    Deployment.objects.filter(pk=deployment.pk).update(created_at=begun, status_since=begun)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    HourlyFigures.objects.bulk_create(
        HourlyFigures(
            deployment=deployment,
            hour=hour - timedelta(hours=back),
            runs_succeeded=draw.randint(0, 20),
            runs_failed=draw.randint(0, 3),
            tasks_succeeded=draw.randint(0, 200),
            tasks_failed=draw.randint(0, 9),
            queued=draw.randint(0, 30),
            running=draw.randint(0, 30),
            readings=60,
        )
        for back in range(24 * DAYS)
    )
    errors = [
        {"file": f"etl/{number}.py", "line": "ModuleNotFoundError: No module named 'x'"}
        for number in range(3)
    ]
    LatestReading.objects.update_or_create(  # the observer may have tried to read it already
        deployment=deployment,
        defaults={
            "due_at": timezone.now() + rows.FAR,
            "tried_at": None,
            "at": timezone.now(),
            "dags": 20,
            "import_error_count": 3,
            "import_errors": errors,
            "queues": [{"name": "default", "queued": 3, "running": 4, "oldest_seconds": 12.0}],
        },
    )


def _get(client: Client, deployment: Deployment, shown: bool, query: str = "") -> float:
    """Milliseconds of one page."""
    with patch("deployments.pages.overview.has_figures", return_value=shown):
        begun = time.perf_counter()
        answer = client.get(deployment.url + query)
        taken = 1000 * (time.perf_counter() - begun)
    assert answer.status_code == 200
    assert (b'id="figures"' in answer.content) == shown
    return taken


def _queries(client: Client, deployment: Deployment, shown: bool) -> int:
    _get(client, deployment, shown)
    with CaptureQueriesContext(connection) as captured:
        _get(client, deployment, shown)
    return len(captured)
