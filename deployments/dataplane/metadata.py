"""Questions to a Deployment's metadata database, for every driver. Each is one query, and bounded."""

from deployments.dataplane import database
from deployments.dataplane.base import TaskCount

STATEMENT_MS = 1500  # somebody waits for the answer


def tasks(admin_url: str, release_name: str) -> TaskCount:
    """Task instances of the whole Deployment that run, and that are queued. Raises DataPlaneError."""
    with database.connect(admin_url, database=database.database_name(release_name)) as connection:
        connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
        rows = connection.execute(
            "SELECT state, count(*) FROM task_instance WHERE state IN ('queued', 'running') GROUP BY 1"
        ).fetchall()
    counts = {str(state): int(count) for state, count in rows}
    return TaskCount(running=counts.get("running", 0), queued=counts.get("queued", 0))
