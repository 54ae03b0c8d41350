"""The logs of tasks, from the code server of their Deployment, which keeps them (docs/adr/0035)."""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from deployments.dataplane import task_log_lines
from deployments.dataplane.contract import DataPlaneError, LogTail, TaskLog, TaskLogGone, TaskLogs
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.services import NotThere, Services
from deployments.dataplane.kubernetes.manifests.configuration import LOG_READER_PORT, TOKEN_KEY
from deployments.dataplane.kubernetes.target import Target
from deployments.dataplane.task_log_files import BadPath, Part, parts_of

DOES_NOT_RUN = (
    "The code server, which keeps the logs of tasks, is not running. If this Deployment is hibernating, wake it up; "
    "otherwise the page of the code server says why."
)
SILENT = (
    "The code server, which keeps the logs of tasks, did not answer in time. Try again. If this lasts, a firewall or a "
    f"network policy may keep the Kubernetes API from port {LOG_READER_PORT} of its pod."
)
NOT_YET = (
    "The logs of tasks can be shown here after the next change of this Deployment, which updates its code server. "
    "Until then they are in the Airflow UI."
)
BUCKET_AWAY = (
    "This log is only in the bucket for logs of tasks, which does not hand it out now. Try again in a moment."
)
CROWDED = "Too many logs of tasks of this Deployment are read at this moment. Try again in a few seconds."
NONSENSE = "The code server did not answer as expected about the logs of tasks. Try again."


def listed(services: Services, target: Target, text: str, most: int) -> TaskLogs:
    """See `Driver.task_logs`."""
    token = _token(services, target)
    document = _ask(services, target, token, "/task-logs", {"text": text, "most": str(most)}) or {}
    try:
        logs = tuple(
            TaskLog(str(path), int(size), datetime.fromtimestamp(float(changed), UTC))
            for changed, size, path in document["logs"]
        )
        return TaskLogs(logs, bool(document["whole"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataPlaneError(NONSENSE) from None


def read(services: Services, target: Target, path: str, *, lines: int, after: str) -> LogTail:
    """See `Driver.task_log`."""
    try:
        parts_of(path)
    except BadPath:
        raise TaskLogGone from None
    part = partial(_part, services, target, _token(services, target), path)
    return task_log_lines.read(part, lines=lines, after=after)


def _part(
    services: Services, target: Target, token: str, path: str, start: int | None, most: int
) -> Part | None:
    query = {"path": path, "from": "" if start is None else str(start), "most": str(most)}
    document = _ask(services, target, token, "/task-log", query)
    if document is None:
        return None
    try:
        start_at, end, size = (int(document[key]) for key in ("start", "end", "size"))
        return Part(start_at, end, size, str(document["text"]).encode("latin-1"))
    except (KeyError, TypeError, ValueError):
        raise DataPlaneError(NONSENSE) from None


def _ask(
    services: Services, target: Target, token: str, path: str, query: Mapping[str, str]
) -> dict[str, Any] | None:
    """The code server's answer; None when it has nothing of that name."""
    try:
        status, raw = services.ask(target.namespace, names.LOG_SERVICE, path, token, query)
    except NotThere as error:
        raise DataPlaneError(SILENT if error.silent else DOES_NOT_RUN) from None
    if status == 404:
        return None
    if status == 503:
        raise DataPlaneError(BUCKET_AWAY)
    if status == 429:
        raise DataPlaneError(CROWDED)
    if status == 403:
        raise DataPlaneError(NOT_YET)  # a token that its pod does not know yet
    try:
        document = json.loads(raw) if status == 200 else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise DataPlaneError(NONSENSE)
    return document


def _token(services: Services, target: Target) -> str:
    """By which the console reads these logs: a Secret beside them."""
    found = services.opening(target.path("v1", "Secret", names.LOG_READER), "the token for the logs of tasks")
    if found is None:
        raise DataPlaneError(NOT_YET)
    try:
        return b64decode(str(found["data"][TOKEN_KEY]), validate=True).decode("ascii")
    except (KeyError, TypeError, ValueError):
        raise DataPlaneError(NOT_YET) from None
