"""What the list of task logs shows, as plain values for the template. Nothing here depends on a role."""

from typing import Any
from urllib.parse import urlencode

from deployments.dataplane.contract import TaskLogs
from deployments.domain.task_log_text import task_path
from deployments.models import Deployment


def rows(deployment: Deployment, found: TaskLogs) -> list[dict[str, Any]]:
    """One for each log. Where its path is not one of Airflow's own template, the path is all that is known."""
    url = deployment.url_for("logs")
    return [
        {
            "log": each,
            "task": task_path(each.path),
            "url": f"{url}?{urlencode({'task': each.path})}",
        }
        for each in found.logs
    ]


def of_run(deployment: Deployment, dag_id: str, run_id: str) -> str:
    """The address of the logs of one run's tasks."""
    return f"{deployment.url_for('task_logs')}?{urlencode({'q': f'dag_id={dag_id}/run_id={run_id}/'})}"
