"""From raw objects to components: what is ready, what is not, why, and what to do. Pure: no I/O, no clock.

Two looks. The workloads (apps/v1 Deployments), their pods and Airflow's heartbeats show whether all is well. Only when
it is not (`needs_reasons`) are events and the rest asked for, and `signals` finds the worst of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console.kit.wording import exact
from deployments.dataplane.contract import Component
from deployments.dataplane.kubernetes.health import pods, signals
from deployments.dataplane.kubernetes.health.signals import Finding, Raw
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.text import clause, moment, title
from deployments.dataplane.postgres.airflow_metadata import Heartbeat
from deployments.dataplane.reading import HEARTBEAT_SECONDS, JOB_TYPES
from deployments.domain.states import ComponentState

CLOCKS_APART = timedelta(seconds=2)  # of a node and of the database server
ORDER = ("api-server", "scheduler", "dag-processor", "triggerer", "redis", "code-server")


@dataclass(frozen=True)
class RawState:
    """What was asked about one Deployment in one look: raw objects of its namespace.

    `heartbeats` is None when the metadata database did not answer; `database_error` says why. `pods` is None when
    they were not asked for, and then a heartbeat is believed without asking whose it is. `last_lines` holds the last
    error line of a crashed pod's log, by the pod's name.
    """

    now: datetime
    workloads: Sequence[Raw]
    heartbeats: Sequence[Heartbeat] | None = ()
    database_problem: str = ""
    pods: Sequence[Raw] | None = None
    replica_sets: Sequence[Raw] = ()
    events: Sequence[Raw] = ()
    last_lines: Mapping[str, str] = field(default_factory=dict)


def needs_reasons(facts: RawState) -> bool:
    """Whether something is not as it should be, so that it must be asked why. Draining pods are no reason."""
    return any(
        not _rolled_out(workload) or len(_beating(facts, component_of(workload))) < _lack(facts, workload)
        for workload in facts.workloads
    )


def components(facts: RawState) -> tuple[Component, ...]:
    """Every component that has a workload, in the order in which people think of them."""
    asleep = not any(_desired(workload) for workload in facts.workloads)
    found = sorted(facts.workloads, key=lambda w: _position(component_of(w)))
    return tuple(_component(workload, facts, asleep=asleep) for workload in found)


def draining(facts_pods: Sequence[Raw], component: str) -> int:
    """How many pods of the component are on their way out: they finish their tasks and take no new ones."""
    return sum(
        component_of(pod) == component and bool((pod.get("metadata") or {}).get("deletionTimestamp"))
        for pod in facts_pods
    )


def _component(workload: Raw, facts: RawState, *, asleep: bool) -> Component:
    name = component_of(workload)
    desired, ready = _desired(workload), _count(workload, "readyReplicas")
    mine = _pods_of(facts, name)
    state, reason, last_line = ComponentState.READY, "", ""
    beating = min(ready, len(_beating(facts, name))) if name in JOB_TYPES else ready
    if not _rolled_out(workload) or beating < desired:
        worst = _worst(workload, mine, facts)
        state, reason, last_line = worst.state, worst.sentence, worst.last_line
    elif asleep:
        state, reason = _going(name, [pod for pod in mine if not pods.ended(pod)], facts.now)
    return Component(
        name=name,
        state=state,
        ready=min(beating, desired),  # one too many is about to end
        desired=desired,
        reason=reason,
        last_line=last_line,
        restarts=sum(pods.restarts(pod) for pod in mine),
    )


def _going(name: str, left: Sequence[Raw], now: datetime) -> tuple[ComponentState, str]:
    """Of a component that is to have no pod, with those that are `left`."""
    if late := signals.overdue(((pod, title(name)) for pod in left), now):
        return late.state, late.sentence
    if left:
        return ComponentState.STOPPING, f"{title(name)} finishes what it does and ends."
    return ComponentState.ABSENT, ""


def _worst(workload: Raw, mine: Sequence[Raw], facts: RawState) -> Finding:
    """What keeps the workload from being ready: the most severe signal, the newest of equals."""
    name = component_of(workload)
    subject = title(name)
    found = [
        *signals.of_workload(workload, subject),
        *signals.of_creation(workload, facts.replica_sets, facts.events, subject, facts.now),
    ]
    for pod in mine:
        line = facts.last_lines.get(str(pod["metadata"].get("name", "")), "")
        found += signals.of_pod(pod, subject, facts.events, facts.now, last_line=line)
    found += _of_heartbeats(workload, mine, facts)
    return signals.most_severe(found) or Finding(
        0, ComponentState.STARTING, _progress(workload, mine, subject, facts.now)
    )


def _of_heartbeats(workload: Raw, mine: Sequence[Raw], facts: RawState) -> list[Finding]:
    """A pod may be ready while the Airflow in it is dead: only a heartbeat that advances proves that it lives."""
    name = component_of(workload)
    if name not in JOB_TYPES or _count(workload, "readyReplicas") == 0:
        return []
    subject = title(name)
    if facts.heartbeats is None:
        why = clause(facts.database_problem) or "it did not answer"
        sentence = f"{subject}'s heartbeat cannot be read from the metadata database: {why}."
        return [Finding(70, ComponentState.FAILING, sentence)]
    found = [one for pod in mine if pods.ready(pod) and (one := missing_heartbeat(pod, name, facts))]
    if not found and not mine:
        found.append(Finding(12, ComponentState.STARTING, f"{subject}: waiting for its heartbeat."))
    return found


def missing_heartbeat(pod: Raw, component: str, facts: RawState) -> Finding | None:
    """What to say of a ready pod whose Airflow sends no heartbeat; None when it does, or when it has no heartbeat."""
    since = pods.ready_since(pod)
    if component not in JOB_TYPES or since is None or facts.heartbeats is None:
        return None
    if any(_is_of(beat, pod, component) for beat in _beating(facts, component)):
        return None
    subject, where = title(component), f"pod {pods.name(pod)}"
    if (facts.now - since).total_seconds() <= 2 * HEARTBEAT_SECONDS:
        return Finding(
            12, ComponentState.STARTING, f"{subject}: waiting for its first heartbeat from {where}.", since
        )
    last = max((b.latest for b in facts.heartbeats if _is_of(b, pod, component)), default=None)
    watched = f"last reported at {last:%H:%M:%S} UTC" if last else "has never reported"
    sentence = (
        f"{subject} in {where} is ready for Kubernetes, but its Airflow {watched}. "
        "If it is not restarted by itself, delete the pod; its log says what it waits for."
    )
    return Finding(65, ComponentState.FAILING, sentence, since)


def _progress(workload: Raw, mine: Sequence[Raw], subject: str, now: datetime) -> str:
    """The sentence when nothing is wrong and it is not ready yet."""
    began = _changed_at(workload, mine) or now
    ready, desired = _count(workload, "readyReplicas"), _desired(workload)
    updated = _count(workload, "updatedReplicas")
    if not _observed(workload):
        return f"{subject}: Kubernetes has not looked at the change yet."
    if updated < desired and ready:
        return (
            f"{subject}: {updated} of {desired} pods are replaced ({exact((now - began).total_seconds())})."
        )
    if ready >= desired:
        return f"{subject}: the pods of the version before are ending."
    return f"{subject} is still starting: {ready} of {desired} ready after {exact((now - began).total_seconds())}."


def _changed_at(workload: Raw, mine: Sequence[Raw]) -> datetime | None:
    """When the change began that is under way. A workload that is scaled, after a sleep or by the load, keeps the times
    of its last template: then its unreadiness and its waiting pods count."""
    progressing, available = (pods.condition(workload, kind) for kind in ("Progressing", "Available"))
    waiting = [began for pod in mine if not pods.ready(pod) and (began := pods.began(pod))]
    known = (
        moment((workload.get("metadata") or {}).get("creationTimestamp")),
        moment(progressing.get("lastUpdateTime")),
        moment(available.get("lastTransitionTime")) if available.get("status") == "False" else None,
        min(waiting, default=None),
    )
    return max((at for at in known if at), default=None)


def _rolled_out(workload: Raw) -> bool:
    """Whether every desired pod is of the newest template and ready, and no older one is left. One too many of them is
    about to end, and takes nothing away."""
    desired, updated = _desired(workload), _count(workload, "updatedReplicas")
    enough = (updated, _count(workload, "readyReplicas"), _count(workload, "availableReplicas"))
    return (
        _observed(workload)
        and not workload["metadata"].get("deletionTimestamp")
        and _count(workload, "replicas") == updated
        and all(count >= desired for count in enough)
    )


def _observed(workload: Raw) -> bool:
    generation = workload["metadata"].get("generation", 0)
    return int((workload.get("status") or {}).get("observedGeneration", -1)) >= int(generation)


def _lack(facts: RawState, workload: Raw) -> int:
    """How many heartbeats there must be."""
    return _desired(workload) if component_of(workload) in JOB_TYPES else 0


def _beating(facts: RawState, component: str) -> tuple[Heartbeat, ...]:
    """The component's heartbeats that advanced since their job began, are fresh, and are of a container that runs: for
    half a minute the dead one's would count for the one that took its place."""
    job_type = JOB_TYPES.get(component)
    alive = (
        None if facts.pods is None else [pod for pod in _pods_of(facts, component) if not pods.ending(pod)]
    )
    return tuple(
        beat
        for beat in facts.heartbeats or ()
        if beat.job_type == job_type
        and beat.latest > beat.began
        and (facts.now - beat.latest).total_seconds() <= HEARTBEAT_SECONDS
        and (alive is None or any(_lives_in(beat, pod, component) for pod in alive))
    )


def _lives_in(beat: Heartbeat, pod: Raw, component: str) -> bool:
    """Whether the job began in the container that runs in the pod now. Of two clocks, so not to the second."""
    started = max((at for one in pods.containers(pod) if (at := pods.running_since(one))), default=None)
    return _is_of(beat, pod, component) and (started is None or beat.began >= started - CLOCKS_APART)


def _is_of(beat: Heartbeat, pod: Raw, component: str) -> bool:
    status, meta = pod.get("status") or {}, pod.get("metadata") or {}
    return beat.job_type == JOB_TYPES.get(component) and beat.hostname in {
        status.get("podIP"),
        meta.get("name"),
    }


def _pods_of(facts: RawState, component: str) -> list[Raw]:
    return [pod for pod in facts.pods or () if component_of(pod) == component]


def _desired(workload: Raw) -> int:
    return int((workload.get("spec") or {}).get("replicas", 1))


def _count(workload: Raw, key: str) -> int:
    return int((workload.get("status") or {}).get(key) or 0)


def _position(component: str) -> tuple[int, str]:
    return (ORDER.index(component) if component in ORDER else len(ORDER), component)
