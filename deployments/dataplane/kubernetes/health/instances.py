"""Each pod of a component for the page that answers "Why?": what it does, and the facts that matter. Pure."""

from datetime import datetime

from deployments.dataplane.contract import Instance
from deployments.dataplane.kubernetes.health import components, pods, signals
from deployments.dataplane.kubernetes.health.components import RawState
from deployments.dataplane.kubernetes.health.pods import Ended, Raw
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.text import clause, title
from deployments.domain.states import WORST_FIRST, ComponentState


def instances(facts: RawState, component: str) -> tuple[Instance, ...]:
    """Every pod of one component, worst first. `facts` come with pods and events."""
    mine = [pod for pod in facts.pods or () if component_of(pod) == component]
    found = [_instance(pod, component, facts) for pod in mine]
    return tuple(sorted(found, key=lambda one: (WORST_FIRST.index(one.state), one.name)))


def _instance(pod: Raw, component: str, facts: RawState) -> Instance:
    subject, line = title(component), facts.last_lines.get(str(pod["metadata"].get("name")), "")
    found = signals.of_pod(pod, subject, facts.events, facts.now, last_line=line)
    silent = components.missing_heartbeat(pod, component, facts) if pods.ready(pod) else None
    worst = signals.most_severe([*found, *([silent] if silent else [])])
    if worst is not None:
        return Instance(pods.name(pod), worst.state, worst.sentence, _facts(pod, facts))
    if pods.ended(pod):
        return Instance(
            pods.name(pod), ComponentState.STOPPING, f"{subject}: the pod has ended.", _facts(pod, facts)
        )
    return Instance(pods.name(pod), ComponentState.READY, f"{subject} is ready.", _facts(pod, facts))


def _facts(pod: Raw, facts: RawState) -> dict[str, str]:
    """Labelled texts; what is not known is left out."""
    spec: Raw = pod.get("spec") or {}
    status: Raw = pod.get("status") or {}
    main: Raw = next(iter(pods.containers(pod)), {})
    over = pods.ended_now(main) or pods.ended_before(main)
    own = pods.events_of(facts.events, "Pod", [str(pod["metadata"].get("name"))])
    checks = [event for event in own if event.reason == "Unhealthy"]
    found = {
        "Phase": clause(status.get("phase"), 40),
        "Node": clause(spec.get("nodeName"), 253),
        "Address": clause(status.get("podIP"), 60),
        "Image": clause(main.get("image"), 300),
        "Running since": _at(pods.running_since(main)),
        "Last probe": _probe(pod),
        "Restarts": str(pods.restarts(pod) or ""),
        "Last exit": _exit(over) if over else "",
        "Last failed check": f"{_at(checks[-1].at)} {clause(checks[-1].message, 300)}".strip()
        if checks
        else "",
    }
    return {label: text for label, text in found.items() if text}


def _probe(pod: Raw) -> str:
    """What the kubelet's readiness probe found last."""
    if since := pods.ready_since(pod):
        return f"passed; ready since {_at(since)}"
    subject = clause(pods.condition(pod, "Ready").get("message"), 300)
    return f"not passed ({subject})" if subject else "not passed"


def _exit(over: Ended) -> str:
    why = f" ({clause(over.reason, 60)})" if over.reason not in {"", "Error", "Completed"} else ""
    return f"status {over.code}{why} {_at(over.at)}".strip()


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
