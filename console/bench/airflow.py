"""Deployments with a real Airflow in the bench's installation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from console.bench.standalone import POLL_SECONDS, four_healthy
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.local import ports
from deployments.dataplane.local.steps.warm_parents import PROGRAM

NAME = "Bench"
FIRST_SECONDS = 600.0  # the first one downloads and installs the runtime
LIMIT_SECONDS = 180.0
APPLIED = (
    "SELECT status, generation = observed_generation FROM deployments_deployment WHERE release_name = %s"
)
APPLIED_POLL_SECONDS = 0.05
RECORDED = (
    "SELECT coalesce(extract(epoch FROM first_healthy_at), 0)::float8 "
    "FROM deployments_deployment WHERE release_name = %s"
)
STEPS = (
    "SELECT s.title, extract(epoch FROM s.started_at)::float8, extract(epoch FROM s.finished_at)::float8 "
    "FROM deployments_step s JOIN deployments_deployment d ON d.id = s.deployment_id "
    "WHERE d.release_name = %s AND s.operation = 'create' ORDER BY s.position"
)


@dataclass(frozen=True)
class Created:
    """One creation. Seconds count from the press of the button."""

    release_name: str
    recorded: float  # until the row says first_healthy_at
    answered: float  # until the health JSON calls all four components healthy
    steps: dict[str, tuple[float, float]]  # title: begun, finished


def ensure_healthy(at: Installation) -> str:
    """The release name of a Healthy Deployment under the Local executor; made when there is none."""
    existing = names(at)
    release = existing[0] if existing else at.create_deployment(NAME, executor="local")
    at.wait_status(release, "Healthy", FIRST_SECONDS)
    return release


def ensure_none(at: Installation) -> None:
    """Delete what there is, and wait until it is gone."""
    for release in names(at):
        at.delete_deployment(release, NAME)
        at.wait_status(release, "Deleted")


def wait_answering(at: Installation) -> float:
    """Wait until the Deployment's own health JSON calls all four healthy. Returns the seconds it took."""
    (release,) = names(at)
    begun = time.monotonic()

    def healthy() -> bool:
        port = ports.upstream(at.state.root, release)
        return port is not None and four_healthy(client, port)

    with httpx.Client(timeout=5) as client:
        wait_until(healthy, LIMIT_SECONDS, lambda: at.story(release), POLL_SECONDS)
    return time.monotonic() - begun


def wait_applied(at: Installation, release: str, status: str) -> None:
    """Wait until the row has that status, observed of the generation that is asked for."""
    with at.database() as rows:
        wait_until(
            lambda: rows.execute(APPLIED, [release]).fetchone() == (status, True),
            LIMIT_SECONDS,
            lambda: at.story(release),
            APPLIED_POLL_SECONDS,
        )


def press_sleep_or_wake(at: Installation, release: str, status: str) -> float:
    """Seconds from the press of Hibernate, or of Wake up when it sleeps, until the row says `status`, applied."""
    action, fields = at.filled(f"/deployments/{release}/hibernate/", {})
    begun = time.monotonic()
    answer = at.client.post(action, data=fields, headers={"Origin": at.url})
    assert answer.status_code == 303, answer.text
    wait_applied(at, release, status)
    return time.monotonic() - begun


@contextmanager
def cold_starts(at: Installation) -> Iterator[None]:
    """In the meantime everything starts cold: launchers trust no folder that others may enter."""
    at.state.warm.chmod(0o755)
    try:
        yield
    finally:
        at.state.warm.chmod(0o700)


def parent(at: Installation) -> int:
    """The pid of the one warm parent; 0 when none runs."""
    return next((p.pid for p in at.supervisor.processes() if p.name == PROGRAM and p.alive), 0)


def end_parent(at: Installation) -> None:
    """Stop the warm parents; the next creation has to start one."""
    for process in at.supervisor.processes():
        if process.name == PROGRAM:
            at.supervisor.stop(process.full_name, wait=True)


def names(at: Installation) -> list[str]:
    """Release names of the bench's own living Deployments."""
    with at.database() as database:
        found = database.execute(
            "SELECT release_name FROM deployments_deployment WHERE name = %s AND deleted_at IS NULL", [NAME]
        )
        return [str(row[0]) for row in found]


def create(at: Installation, executor: str = "local") -> Created:
    """Press Create Deployment and watch, without asking the console anything: one look at the database and one
    at Airflow each fifth of a second, as on the other side."""
    action, fields = at.filled(f"{at.home()}new/", {"name": NAME, "executor": executor})
    pressed = time.time()
    answer = at.client.post(action, data=fields, headers={"Origin": at.url})
    assert answer.status_code == 303, answer.text
    (release,) = names(at)
    recorded = answered = 0.0
    deadline = time.monotonic() + LIMIT_SECONDS
    with httpx.Client(timeout=5) as client, at.database() as database:
        while not (recorded and answered):
            assert time.monotonic() < deadline, at.story(release)
            recorded = float(database.execute(RECORDED, [release]).fetchall()[0][0])
            port = None if answered else ports.upstream(at.state.root, release)
            if port and four_healthy(client, port):
                answered = time.time()
            time.sleep(POLL_SECONDS)
        rows = database.execute(STEPS, [release]).fetchall()
    steps = {str(title): (float(begun) - pressed, float(done) - pressed) for title, begun, done in rows}
    return Created(release, recorded - pressed, answered - pressed, steps)
