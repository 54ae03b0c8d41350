"""The signals of workloads, pods and the Ingress, each as one sentence: who, what, and what to do next. Pure.

Of several the most severe is reported, of equals the newest. Init steps come before containers, what waits before what
has ended, and events only where the objects say nothing themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.kit.wording import exact
from deployments.dataplane.kubernetes.health import messages as causes
from deployments.dataplane.kubernetes.health import pods
from deployments.dataplane.kubernetes.health.pods import Ended, Event
from deployments.dataplane.kubernetes.text import clause, gib, memory, moment
from deployments.domain.states import ComponentState

type Raw = Mapping[str, Any]

RECENT = timedelta(minutes=10)  # an event or an end that is older explains nothing
SLOW_START_SECONDS = 300.0  # the API server's startup budget
ADDRESS_SECONDS = (
    120.0  # a controller that runs gives an address within seconds, a cloud's balancer within a minute
)
SLOW_READY_SECONDS = 120.0  # not ready for longer is a failure that a person should see
STUCK_SECONDS = 60.0  # beyond its grace

FAILING, STARTING, STOPPING = ComponentState.FAILING, ComponentState.STARTING, ComponentState.STOPPING
PULL = frozenset(
    ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ErrImageInspect")
)
CONFIG = frozenset(("CreateContainerConfigError", "CreateContainerError", "RunContainerError"))
STEPS = {"login": "preparing the sign-in", "wait-for-migrations": "waiting for the database migration"}
CHECKS = {"Liveness": "liveness", "Readiness": "readiness", "Startup": "startup"}
MORE_MEMORY = {
    "Scheduler": "Give the scheduler a larger size.",
    "Worker": "Choose a larger worker type, or lower the concurrency.",
}


@dataclass(frozen=True)
class Finding:
    """One signal. `rank` is how much worse it is than others."""

    rank: int
    state: ComponentState
    sentence: str
    at: datetime | None = None
    last_line: str = ""


def most_severe(found: Iterable[Finding]) -> Finding | None:
    """The most severe signal, the newest of equals."""
    return max(found, key=lambda one: (one.rank, one.at.timestamp() if one.at else 0.0), default=None)


def of_workload(workload: Raw, subject: str) -> list[Finding]:
    """What a Kubernetes Deployment says of itself."""
    found = []
    spec: Raw = workload.get("spec") or {}
    if spec.get("paused"):
        sentence = (
            f"{subject} is paused in the cluster, so no change reaches it. Run kubectl rollout resume for it."
        )
        found.append(Finding(62, FAILING, sentence))
    progress = pods.condition(workload, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        limit = exact(float(spec.get("progressDeadlineSeconds") or 600))
        sentence = f"{subject} did not become ready within {limit} of its last change. Its log says what it waits for."
        found.append(Finding(60, FAILING, sentence))
    return found


def of_creation(
    workload: Raw, replica_sets: Sequence[Raw], events: Sequence[Raw], subject: str, now: datetime
) -> list[Finding]:
    """Why pods of the workload are not even made: quota, Pod Security, a policy's webhook."""
    meta, status = workload.get("metadata") or {}, workload.get("status") or {}
    own = [
        one
        for one in replica_sets
        if any(owner.get("uid") == meta.get("uid") for owner in one["metadata"].get("ownerReferences") or ())
    ]
    messages = []
    for one in (workload, *own):
        failure = pods.condition(one, "ReplicaFailure")
        if failure.get("status") == "True":
            messages.append(str(failure.get("message") or ""))
    if not messages and int(status.get("replicas") or 0) < int(
        (workload.get("spec") or {}).get("replicas", 1)
    ):
        names = [str(one["metadata"].get("name")) for one in own]
        reported = recent(pods.events_of(events, "ReplicaSet", names), now)
        messages += [event.message for event in reported if event.reason == "FailedCreate"]
    return [Finding(80, FAILING, causes.creation(subject, clause(text, 2000))) for text in messages[-1:]]


def of_pod(
    pod: Raw, subject: str, events: Sequence[Raw], now: datetime, *, last_line: str = ""
) -> list[Finding]:
    """Every signal of one pod that does not serve; none of one that does."""
    if pods.ready(pod):
        return []
    own = recent(pods.events_of(events, "Pod", [str(pod["metadata"].get("name"))]), now)
    if pods.ending(pod):
        return [_ending(pod, subject, now)]
    if pods.ended(pod):
        return _failed(pod, subject, now)
    found = [
        *_scheduling(pod, subject),
        *_disruption(pod, subject),
        *_mounts(_unanswered(own, pod), subject),
        *_node(_unanswered(own, pod), subject),
    ]
    for status in pods.init_containers(pod):
        found += _init(pod, status, subject, own, now, last_line)
    for status in pods.containers(pod):
        found += _container(pod, status, subject, own, now, last_line)
    return found or [_young(pod, subject, now)]


def overdue(found: Iterable[tuple[Raw, str]], now: datetime) -> Finding | None:
    """What to say of pods, each with its subject, of which one should have ended long ago, so that a person knows; None
    when none should."""
    ending = (
        _ending(pod, subject, now) for pod, subject in found if pods.ending(pod) and not pods.ended(pod)
    )
    return most_severe(one for one in ending if one.state is FAILING)


def of_address(ingress: Raw, now: datetime) -> Finding | None:
    """What keeps the address from being reachable; None once an ingress controller serves it."""
    status: Raw = (ingress.get("status") or {}).get("loadBalancer") or {}
    if status.get("ingress"):
        return None
    began = pods.began(ingress) or now
    spec: Raw = ingress.get("spec") or {}
    kind = clause(spec.get("ingressClassName"), 253)
    if (now - began).total_seconds() < ADDRESS_SECONDS:
        return Finding(15, STARTING, "Waiting for the address of the Ingress.", began)
    which = f"the ingress controller of class {kind}" if kind else "an ingress controller"
    sentence = (
        f"The Ingress has had no address since {began:%Y-%m-%d %H:%M} UTC, so Open Airflow may lead nowhere. "
        f"Check that {which} runs and has a free address."
    )
    return Finding(40, FAILING, sentence, began)


# -- Pods --


def _scheduling(pod: Raw, subject: str) -> list[Finding]:
    placed = pods.condition(pod, "PodScheduled")
    if placed.get("status") != "False" or placed.get("reason") not in {"Unschedulable", "SchedulingGated"}:
        return []
    asked = pods.requests(pod.get("spec") or {})
    return [Finding(76, FAILING, causes.unschedulable(subject, clause(placed.get("message"), 2000), asked))]


def _disruption(pod: Raw, subject: str) -> list[Finding]:
    target = pods.condition(pod, "DisruptionTarget")
    if target.get("status") != "True":
        return []
    why = clause(target.get("message"), 300) or clause(target.get("reason"), 80)
    return [
        Finding(
            50, FAILING, f"The cluster takes the pod of {subject} from its node: {why}. Another one starts."
        )
    ]


def _unanswered(own: Sequence[Event], pod: Raw) -> list[Event]:
    """The events after which no container of the pod was started: what was started had its volumes and its node."""
    states = [*pods.init_containers(pod), *pods.containers(pod)]
    starts = [at for one in states for at in pods.starts(one)]
    last = max(starts, default=None)
    return [event for event in own if last is None or (event.at is not None and event.at > last)]


def _mounts(own: Sequence[Event], subject: str) -> list[Finding]:
    reported = [event for event in own if event.reason in {"FailedMount", "FailedAttachVolume"}]
    if not reported:
        return []
    text = reported[-1].message
    fallback = f"The pod of {subject} can't start, because a volume can't be mounted: {clause(text, 300)}."
    return [Finding(74, FAILING, causes.missing(subject, text) or fallback, reported[-1].at)]


def _node(own: Sequence[Event], subject: str) -> list[Finding]:
    reported = [event for event in own if event.reason == "NodeNotReady"]
    sentence = (
        f"The node on which {subject} runs does not answer. Its pod is moved once the cluster gives it up."
    )
    return [Finding(72, FAILING, sentence, event.at) for event in reported[-1:]]


def _init(
    pod: Raw, status: Raw, subject: str, own: Sequence[Event], now: datetime, last_line: str
) -> list[Finding]:
    """The first step that is not done; the others wait for it."""
    over = pods.ended_now(status)
    if (over and over.code == 0) or (status.get("started") and pods.running_since(status)):
        return []
    name = clause(status.get("name"), 63)
    step = STEPS.get(name, f"init step {name}")
    bad = _bad_wait(pod, status, subject, own)
    if bad:
        return [bad]
    failed = over or pods.ended_before(status)
    if failed and failed.code != 0:
        times = int(status.get("restartCount") or 0) + 1
        sentence = (
            f"{subject} can't start: {step} failed {how_often(times)} (exit {failed.code}). Its log says why."
        )
        return [Finding(83, FAILING, sentence, failed.at, last_line or clause(failed.message))]
    since = pods.running_since(status)
    if since is None:
        return []
    return [Finding(20, STARTING, f"{subject}: {step} ({exact((now - since).total_seconds())}).", since)]


def _container(
    pod: Raw, status: Raw, subject: str, own: Sequence[Event], now: datetime, last_line: str
) -> list[Finding]:
    bad = _bad_wait(pod, status, subject, own)
    if bad:
        return [bad]
    reason, _ = pods.waiting(status)
    over = pods.ended_now(status) or pods.ended_before(status)
    since = pods.running_since(status)
    fresh = over and (over.at is None or now - over.at <= RECENT or reason == "CrashLoopBackOff")
    if over and fresh and (over.code != 0 or reason == "CrashLoopBackOff"):
        return [_crash(pod, status, subject, over, last_line)]
    if since is not None and not status.get("ready"):
        return [_probe(status, subject, own, since, now)]
    return []


def _bad_wait(pod: Raw, status: Raw, subject: str, own: Sequence[Event]) -> Finding | None:
    """A container that can't be made."""
    reason, message = pods.waiting(status)
    if reason in PULL:
        reported = [
            event.message for event in own if event.reason == "Failed" and "pull" in event.message.lower()
        ]
        text = f"{reported[-1] if reported else ''} {message}".strip() if "Back-off" in message else message
        return Finding(88, FAILING, causes.image_pull(subject, str(status.get("image")), reason, text))
    if reason in CONFIG:
        fallback = f"The container of {subject} can't be made ({clause(reason, 60)}): {clause(message, 300)}."
        return Finding(90, FAILING, causes.missing(subject, message) or fallback)
    return None


def _crash(pod: Raw, status: Raw, subject: str, over: Ended, last_line: str) -> Finding:
    times = max(1, int(status.get("restartCount") or 0) + (pods.ended_now(status) is not None))
    line = last_line or clause(over.message)
    if over.reason == "OOMKilled":
        size = memory(pods.limit(pod, str(status.get("name")), "memory"))
        at_limit = f" at {gib(size)}" if size else ""
        advice = MORE_MEMORY.get(subject.partition(" ")[0], "It needs more memory than Airdeck gives it.")
        return Finding(
            86, FAILING, f"{subject} ran out of memory{at_limit}, {how_often(times)}. {advice}", over.at, line
        )
    how = "was killed" if over.code == 137 else "crashed"
    sentence = f"{subject} {how} {how_often(times)} (exit {over.code}). Its log says why."
    return Finding(84, FAILING, sentence, over.at, line)


def _probe(status: Raw, subject: str, own: Sequence[Event], since: datetime, now: datetime) -> Finding:
    """It runs and does not serve: which check says no."""
    runs = (now - since).total_seconds()
    reported = [one for one in own if one.reason in {"Unhealthy", "ProbeWarning"}]
    for event in reversed(
        [one for one in reported if one.at is None or one.at >= since]
    ):  # not of the run before
        check = next((word for key, word in CHECKS.items() if event.message.startswith(key)), "health")
        why = clause(event.message.partition("failed: ")[2] or event.message, 200)
        patience = SLOW_READY_SECONDS if status.get("started", True) else SLOW_START_SECONDS
        if check != "liveness" and runs < patience:
            return Finding(14, STARTING, f"{subject} is still starting ({exact(runs)}): {why}.", event.at)
        failed = f"failed its {check} check {how_often(event.count)} ({why})"
        sentence = f"{subject} runs but {failed}. Its log says what it does."
        return Finding(66, FAILING, sentence, event.at)
    if runs < (SLOW_READY_SECONDS if status.get("started", True) else SLOW_START_SECONDS):
        return Finding(11, STARTING, f"{subject} is still starting ({exact(runs)}).", since)
    sentence = f"{subject} runs for {exact(runs)} but is not ready. Its log says what it waits for."
    return Finding(64, FAILING, sentence, since)


def _ending(pod: Raw, subject: str, now: datetime) -> Finding:
    meta: Raw = pod["metadata"]
    due = moment(meta.get("deletionTimestamp")) or now  # already the end of its grace
    late = (now - due).total_seconds()
    if late > STUCK_SECONDS:
        sentence = (
            f"Pod {pods.name(pod)} of {subject} should have ended {exact(late)} ago. Its node may be gone: "
            "when it is, delete the pod by force."
        )
        return Finding(30, FAILING, sentence, due)
    left = f", for {exact(-late)} at most" if late < 0 else ""
    return Finding(5, STOPPING, f"{subject}: pod {pods.name(pod)} finishes what it does and ends{left}.", due)


def _failed(pod: Raw, subject: str, now: datetime) -> list[Finding]:
    """A pod that ended for good; one that took its place says more, once it is not new any more."""
    status: Raw = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return []
    ends = [over.at for one in pods.containers(pod) if (over := pods.ended_now(one)) and over.at]
    at = max(ends, default=moment(pods.condition(pod, "DisruptionTarget").get("lastTransitionTime")))
    if at is not None and now - at > RECENT:
        return []
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    if reason == "Evicted":
        return [Finding(78, FAILING, causes.evicted(subject, message), at)]
    over = next((over for one in pods.containers(pod) if (over := pods.ended_now(one))), None)
    why = clause(f"{reason} {message}", 300) or (f"exit {over.code}" if over else "no reason given")
    return [Finding(55, FAILING, f"A pod of {subject} failed ({why}). Another one takes its place.", at)]


def _young(pod: Raw, subject: str, now: datetime) -> Finding:
    age = (now - (pods.began(pod) or now)).total_seconds()
    return Finding(10, STARTING, f"{subject} is still starting ({exact(age)}).", pods.began(pod))


def recent(events: Sequence[Event], now: datetime) -> list[Event]:
    """Those that may explain what is seen now."""
    return [event for event in events if event.at is None or now - event.at <= RECENT]


def how_often(count: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
