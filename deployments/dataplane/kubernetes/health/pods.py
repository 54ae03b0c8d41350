"""What a raw pod says of itself, trimmed of Kubernetes' shape. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployments.dataplane.kubernetes.text import clean, moment

type Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    reason: str
    code: int
    at: datetime | None
    message: str


def name(pod: Raw) -> str:
    """The pod's name, fit to be shown."""
    return clean((pod.get("metadata") or {}).get("name"), 253)


def containers(pod: Raw) -> list[Raw]:
    """The state of each container that serves."""
    return list((pod.get("status") or {}).get("containerStatuses") or ())


def init_containers(pod: Raw) -> list[Raw]:
    """The state of each step that comes before."""
    return list((pod.get("status") or {}).get("initContainerStatuses") or ())


def restarts(pod: Raw) -> int:
    """How often its containers were started again."""
    return sum(int(one.get("restartCount") or 0) for one in containers(pod))


def waiting(status: Raw) -> tuple[str, str]:
    """(reason, message) of a container that waits; ("", "") of another."""
    found = (status.get("state") or {}).get("waiting") or {}
    return str(found.get("reason") or ""), clean(found.get("message"))


def ended_now(status: Raw) -> Ended | None:
    """How a container that is not running ended."""
    return _ended((status.get("state") or {}).get("terminated"))


def ended_before(status: Raw) -> Ended | None:
    """How the container ended before it was started again."""
    return _ended((status.get("lastState") or {}).get("terminated"))


def running_since(status: Raw) -> datetime | None:
    """Since when a container runs."""
    return moment(((status.get("state") or {}).get("running") or {}).get("startedAt"))


def starts(status: Raw) -> list[datetime]:
    """When a container was started, as far as is known: this time and the last."""
    states = [status.get("state") or {}, status.get("lastState") or {}]
    runs = [state.get(kind) or {} for state in states for kind in ("running", "terminated")]
    return [at for run in runs if (at := moment(run.get("startedAt")))]


def condition(found: Raw, kind: str) -> Raw:
    """One condition of any object, {} when it has none of that type."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def ready(pod: Raw) -> bool:
    """Whether it serves now, and is meant to."""
    return condition(pod, "Ready").get("status") == "True" and not ending(pod)


def ready_since(pod: Raw) -> datetime | None:
    """Since when it serves; None while it does not."""
    return moment(condition(pod, "Ready").get("lastTransitionTime")) if ready(pod) else None


def ending(pod: Raw) -> bool:
    """Whether it was asked to end."""
    return bool((pod.get("metadata") or {}).get("deletionTimestamp"))


def ended(pod: Raw) -> bool:
    """Whether nothing of it runs any more, or ever will."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def began(pod: Raw) -> datetime | None:
    """When it was made."""
    return moment((pod.get("metadata") or {}).get("creationTimestamp"))


def requests(spec: Raw) -> dict[str, str]:
    """What the first container of a pod (or of a template) asks for: {"cpu": "500m"}."""
    first: Raw = next(iter(spec.get("containers") or ()), {})
    return dict((first.get("resources") or {}).get("requests") or {})


def limit(pod: Raw, container: str, resource: str) -> str:
    """A limit of one container, "" when it has none."""
    for one in (pod.get("spec") or {}).get("containers") or ():
        if one.get("name") == container:
            return str(((one.get("resources") or {}).get("limits") or {}).get(resource) or "")
    return ""


@dataclass(frozen=True)
class Event:
    """One event, trimmed. `count` is how often it was seen."""

    reason: str
    message: str
    at: datetime | None
    count: int


def events_of(events: Iterable[Raw], kind: str, names: Sequence[str]) -> list[Event]:
    """The events about these objects, newest last."""
    found = []
    for one in events:
        about = one.get("involvedObject") or {}
        if about.get("kind") == kind and about.get("name") in names:
            series = one.get("series") or {}
            stamps = (series.get("lastObservedTime"), one.get("lastTimestamp"), one.get("eventTime"))
            at = next((moment(stamp) for stamp in stamps if stamp), None)
            count = int(series.get("count") or one.get("count") or 1)
            found.append(Event(str(one.get("reason") or ""), clean(one.get("message")), at, count))
    return sorted(found, key=lambda event: (event.at is not None, event.at.timestamp() if event.at else 0.0))


def _ended(found: Raw | None) -> Ended | None:
    if not found:
        return None
    code = found.get("exitCode")
    return Ended(
        str(found.get("reason") or ""),
        int(code) if isinstance(code, int) else -1,
        moment(found.get("finishedAt")),
        clean(found.get("message")),
    )
