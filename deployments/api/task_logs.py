"""The logs of tasks that are kept: which there are. `logs` reads one."""

from datetime import datetime
from functools import partial

from ninja import Router, Schema
from ninja.params.functions import Query

from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.dataplane.contract import Driver, Ref, TaskLog, TaskLogs
from deployments.domain.task_log_text import task_path
from deployments.queries import live
from workspaces.permissions import Permission

router = Router(tags=["Logs"])
MOST, DEFAULT = 1000, 100


class TaskLogOut(Schema):
    """What one attempt of a task wrote. `path` names it to `logs`. What Airflow's template of paths leaves out is
    empty; `trigger` marks what was written while the task was deferred."""

    path: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: str
    attempt: str
    trigger: str
    size_bytes: int
    written_at: datetime


class TaskLogList(Schema):
    """The newest first. `more` says that there are others that match."""

    items: list[TaskLogOut]
    more: bool


@router.get(
    "/deployments/{slug:release_name}/task-logs",
    auth=OnDeployment(Permission.VIEW),
    response=TaskLogList,
    url_name="task_logs",
    operation_id="list_task_logs",
)
def task_log_list(
    request: DeploymentRequest,
    release_name: str,
    q: str = Query("", max_length=200, description="Words that the path has: of DAG, run or task."),
    limit: int = Query(DEFAULT, ge=1, le=MOST, description="How many at most."),
) -> TaskLogList:
    """The logs of tasks that are kept, also of those whose process or pod is gone. Asked of the cluster now."""
    found = live.ask(request.deployment, partial(_listed, text=q.replace("\x00", ""), most=limit))
    return TaskLogList(items=[_document(each) for each in found.logs], more=not found.whole)


def _listed(driver: Driver, ref: Ref, *, text: str, most: int) -> TaskLogs:
    return driver.task_logs(ref, text=text, most=most)


def _document(log: TaskLog) -> TaskLogOut:
    named = task_path(log.path)
    return TaskLogOut(
        path=log.path,
        dag_id=named.dag,
        run_id=named.run,
        task_id=named.task,
        map_index=named.map_index,
        attempt=named.attempt,
        trigger=named.trigger,
        size_bytes=log.size,
        written_at=log.at,
    )
