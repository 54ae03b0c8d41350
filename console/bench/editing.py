"""The save of an edit that starts one scheduler, against the bare restart of that very process."""

import os
import signal
import time

import psycopg

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.embedded import postgres
from console.tests.forms import posted_forms
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.postgres import databases

REPEATS = 3
MUST_RATIO = 1.15
LIMIT_SECONDS = 120.0
POLL_SECONDS = 0.05
PROGRAM = "scheduler-2"

METHOD = (
    f"On a Healthy Deployment under the Local executor, in turn, {REPEATS} times. Save: from the press of Apply "
    "changes on a review that only makes one scheduler two, until the row says Healthy again, applied as that "
    "generation. It is the edit under this executor that starts one scheduler and touches nothing else, for this "
    "machine enforces no sizes. Bare: the second scheduler's process is killed, supervisord starts it again, and "
    "the clock stops at the first heartbeat after the one with which its new job began, which is what Healthy asks "
    "for too. Then the second scheduler is taken away again."
)
BEAT = (
    "SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND latest_heartbeat > start_date "
    "AND start_date > to_timestamp(%s)"
)


def measure(at: Installation) -> Result:
    """Save and kill, in turn."""
    release = airflow.ensure_healthy(at)
    saves, bare = [], []
    for _ in range(REPEATS):
        saves.append(_save(at, release, replicas=2))
        bare.append(_kill(at, release))
        at.wait_status(release, "Healthy", LIMIT_SECONDS)
        _save(at, release, replicas=1)
    ratio = median(saves) / median(bare)
    figure = Figure(
        "Save of an edit that starts one scheduler to Healthy again, against the bare restart of that process",
        f"at most {MUST_RATIO} times",
        f"{ratio:.2f} times ({median(saves):.1f} s against {median(bare):.1f} s)",
        ratio <= MUST_RATIO,
    )
    return Result((figure,), METHOD, (f"Saves took {each(saves, 's')}, bare restarts {each(bare, 's')}.",))


def _save(at: Installation, release: str, *, replicas: int) -> float:
    """Seconds from the press of Apply changes until it is Healthy."""
    path = f"/deployments/{release}/edit/"
    review = at.submit(path, {"scheduler_replicas": str(replicas)})
    assert review.status_code == 200, review.text
    fields = next(fields for _, fields in posted_forms(review.text) if "reviewed" in fields)
    begun = time.monotonic()
    answer = at.client.post(path, data=fields, headers={"Origin": at.url})
    assert answer.status_code == 303, answer.text
    airflow.wait_applied(at, release, "healthy")
    return time.monotonic() - begun


def _kill(at: Installation, release: str) -> float:
    """Seconds from the death of the second scheduler until its successor's first heartbeat."""
    group = f"{release}.{PROGRAM}"
    name = databases.database_name(release)
    with psycopg.connect(postgres.url(at.state, name), autocommit=True) as airflows:
        since, begun = time.time(), time.monotonic()
        os.kill(at.pid(group), signal.SIGKILL)
        wait_until(
            lambda: airflows.execute(BEAT, [since]).fetchone() == (1,),
            LIMIT_SECONDS,
            lambda: at.story(release),
            POLL_SECONDS,
        )
        return time.monotonic() - begun
