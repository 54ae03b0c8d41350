"""Migration Jobs: how one stands, and why it failed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from console.kit.wording import exact
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import job_signals, messages, pods
from deployments.dataplane.kubernetes.target import Target, true_condition
from deployments.dataplane.kubernetes.text import clause, gib, memory
from deployments.domain.log_lines import clean, why_ended
from deployments.domain.states import ComponentState

LOG_BYTES = 64 * 1024
KEPT_WAITING = frozenset(
    ("Failed", "FailedScheduling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
)
QUIET_SECONDS = 5.0  # a Job so young is not asked why it is not done


@dataclass(frozen=True)
class JobStanding:
    """Where a Job stands. `uid` is "" when there is none; `stuck` when it waits for a person to act; `sentence` says
    what is waited for, or why it failed."""

    uid: str = ""
    done: bool = False
    failed: bool = False
    ending: bool = False
    stuck: bool = False
    sentence: str = ""


def look(api: Api, job: Json) -> JobStanding:
    """How the Job stands that `job` would make."""
    found = api.get(path(job), "the migration Job")
    if found is None:
        return JobStanding()
    uid, ending = str(found["metadata"]["uid"]), "deletionTimestamp" in found["metadata"]
    if true_condition(found, "Complete"):
        return JobStanding(uid, done=True, ending=ending)
    if failure := true_condition(found, "Failed"):
        return JobStanding(uid, failed=True, ending=ending, sentence=_why(api, found, failure))
    sentence, stuck = _running(api, found)
    return JobStanding(uid, ending=ending, stuck=stuck, sentence=sentence)


def begin(api: Api, job: Json) -> None:
    """Make it, unless it was just made."""
    try:
        api.apply(path(job), job)
    except ApiRefused as error:
        if error.status != 409:
            raise


def forget(api: Api, job: Json, standing: JobStanding) -> None:
    """Delete it with its pods."""
    if standing.uid and not standing.ending:
        api.delete(path(job), "the migration Job", standing.uid)


def path(job: Json) -> str:
    """Where a Job is, or will be."""
    return path_of("batch/v1", "Job", job["metadata"]["namespace"], job["metadata"]["name"])


def _running(api: Api, found: Json) -> tuple[str, bool]:
    """What is waited for, and whether it is stuck: nothing will come of it before a person acts."""
    now, began = datetime.now(UTC), pods.began(found)
    seconds = (now - began).total_seconds() if began else 0.0
    message = f"Migrating the database (the Job runs for {exact(seconds)})."
    if seconds < QUIET_SECONDS:
        return message, False
    reported = job_signals.of_job(found, pods_of(api, found), events(api, found), now)
    if reported is None or reported.state is not ComponentState.FAILING:
        return message, False
    return reported.sentence, True


def _why(api: Api, found: Json, failure: Json) -> str:
    """What the last pod wrote last, else what Kubernetes says."""
    reason = str(failure.get("reason", ""))
    if reason == "DeadlineExceeded":
        return _late(api, found)
    lines: list[str] = []
    for pod in sorted(pods_of(api, found), key=lambda p: str(p["metadata"].get("creationTimestamp", "")))[
        -1:
    ]:
        if ended := _ended_by_the_cluster(pod):  # then its log says only how far it came
            return ended
        log = path_of("v1", "Pod", found["metadata"]["namespace"], str(pod["metadata"]["name"])) + "/log"
        try:
            text = api.text(log, "a log", LOG_BYTES * 2, tailLines="40", limitBytes=str(LOG_BYTES))
        except DataPlaneError:
            continue
        lines = [line for raw in text.splitlines() if (line := clean(raw))]
    return clause(why_ended(lines) or failure.get("message") or reason or "the Job failed", 500)


def _ended_by_the_cluster(pod: Json) -> str:
    """What ended a pod that did nothing wrong itself; "" when nothing did."""
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        text = messages.evicted("the migration", str(status.get("message") or ""))
        return f"{text[0].lower()}{text[1:]}"
    for one in pods.containers(pod):
        ended = pods.ended_now(one)
        if ended and ended.reason == "OOMKilled":
            size = memory(pods.limit(pod, str(one.get("name")), "memory"))
            return f"the migration ran out of memory{f' at {gib(size)}' if size else ''}, which is all that it gets"
    return ""


def _late(api: Api, found: Json) -> str:
    """Why a Job did not finish in time: its pods are gone by then, and what the cluster reported of them is not."""
    name = f"{found['metadata']['name']}-"
    warnings = events(api, found)
    about = {str((one.get("involvedObject") or {}).get("name")) for one in warnings}
    mine = pods.events_of(warnings, "Pod", [one for one in about if one.startswith(name)])
    reported = [one.message for one in mine if one.reason in KEPT_WAITING]
    why = f"; the cluster last said of it: {clause(reported[-1], 300)}" if reported else ""
    return f"the migration did not finish in time{why}"


def events(api: Api, found: Json) -> list[Json]:
    """Warnings in the Job's namespace, of the last hour."""
    place = path_of("v1", "Event", found["metadata"]["namespace"])
    return api.items(place, "a Job's events", fieldSelector="type=Warning", limit="500")


def all_of(target: Target, component: str) -> list[Json]:
    """The Jobs of one component of a Deployment, of whatever name."""
    selector = f"{names.LABEL_DEPLOYMENT}={target.ref.deployment_id},{names.LABEL_COMPONENT}={component}"
    return target.api.items(target.path("batch/v1", "Job"), "its Jobs", labelSelector=selector)


def pods_of(api: Api, found: Json) -> list[Json]:
    """The pods of a Job."""
    selector = f"batch.kubernetes.io/job-name={found['metadata']['name']}"
    return api.items(
        path_of("v1", "Pod", found["metadata"]["namespace"]), "a Job's pods", labelSelector=selector
    )
