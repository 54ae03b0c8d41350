"""Migration Jobs: how one stands, and why it failed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.errors import Refused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.target import condition
from deployments.dataplane.kubernetes.text import clause, duration, moment
from deployments.domain.log_lines import clean

LOG_BYTES = 64 * 1024
# What keeps a Job's pod from starting, as its containers say.
STUCK = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


@dataclass(frozen=True)
class Standing:
    """Where a Job stands. `uid` is "" when there is none; `sentence` says what is waited for, or why it failed."""

    uid: str = ""
    done: bool = False
    failed: bool = False
    ending: bool = False
    sentence: str = ""


def look(api: Api, job: Json) -> Standing:
    """How the Job stands that `job` would make."""
    found = api.get(_path(job), "the migration Job")
    if found is None:
        return Standing()
    uid, ending = str(found["metadata"]["uid"]), "deletionTimestamp" in found["metadata"]
    if condition(found, "Complete"):
        return Standing(uid, done=True, ending=ending)
    if failure := condition(found, "Failed"):
        return Standing(uid, failed=True, ending=ending, sentence=_why(api, found, failure))
    return Standing(uid, ending=ending, sentence=_running(api, found))


def begin(api: Api, job: Json) -> None:
    """Make it, unless somebody just did."""
    try:
        api.apply(_path(job), job)
    except Refused as error:
        if error.status != 409:
            raise


def forget(api: Api, job: Json, standing: Standing) -> None:
    """Delete it with its pods."""
    if standing.uid and not standing.ending:
        api.delete(_path(job), "the migration Job", standing.uid)


def _path(job: Json) -> str:
    return path_of("batch/v1", "Job", job["metadata"]["namespace"], job["metadata"]["name"])


def _running(api: Api, found: Json) -> str:
    began = moment((found.get("status") or {}).get("startTime")) or moment(
        found["metadata"].get("creationTimestamp")
    )
    seconds = (datetime.now(UTC) - began).total_seconds() if began else 0.0
    message = f"Migrating the database (the Job runs for {duration(seconds)})."
    if seconds < 10:
        return message
    for pod in _pods(api, found):
        for one in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting = (one.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in STUCK:
                return f"{message} Its pod cannot start: {clause(waiting.get('message') or waiting['reason'], 300)}."
        if (scheduled := _unscheduled(pod)) and seconds > 30:
            return f"{message} No node takes its pod: {clause(scheduled, 300)}."
    return message


def _why(api: Api, found: Json, failure: Json) -> str:
    """What the last pod wrote last, else what Kubernetes says."""
    reason = str(failure.get("reason", ""))
    if reason == "DeadlineExceeded":
        return "the migration did not finish in time"
    lines: list[str] = []
    for pod in sorted(_pods(api, found), key=lambda p: str(p["metadata"].get("creationTimestamp", "")))[-1:]:
        path = path_of("v1", "Pod", found["metadata"]["namespace"], str(pod["metadata"]["name"])) + "/log"
        try:
            text = api.text(path, "a log", LOG_BYTES * 2, tailLines="40", limitBytes=str(LOG_BYTES))
        except DataPlaneError:
            continue
        lines = [line for raw in text.splitlines() if (line := clean(raw))]
    return clause(lines[-1] if lines else failure.get("message") or reason or "the Job failed", 500)


def _pods(api: Api, found: Json) -> list[Json]:
    selector = f"batch.kubernetes.io/job-name={found['metadata']['name']}"
    return api.items(
        path_of("v1", "Pod", found["metadata"]["namespace"]), "a Job's pods", labelSelector=selector
    )


def _unscheduled(pod: Json) -> str:
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return str(one.get("message", ""))
    return ""
