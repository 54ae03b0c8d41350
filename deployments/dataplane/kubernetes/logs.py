"""The lines of a component's pods, merged by time, from the Kubernetes API.

A cursor holds, for each pod that was read, the time of the last line that was handed out. The API takes whole seconds
only, so each reading overlaps the one before, and what was handed out is left away. A cursor may come from a stranger:
which pods are read is decided by their labels alone.
"""

import base64
import binascii
import json
import re
from datetime import UTC, datetime

from deployments.dataplane.base import LOG_BEGINNING, LogLine, LogTail
from deployments.dataplane.kubernetes.answers import Refused
from deployments.dataplane.kubernetes.place import Place
from deployments.dataplane.kubernetes.transport import Json
from deployments.dataplane.lines import clean

MOST_LINES = 5_000
MOST_PODS = 12  # the newest; older ones have ended or are about to
MOST_BYTES = 4 * 1024 * 1024  # of one pod
STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ?(.*)$", re.DOTALL)

type Line = tuple[str, str, str]  # the time with nine digits, the pod, the text


def read(place: Place, component: str, *, lines: int, after: str) -> LogTail:
    """See `DataPlane.logs`."""
    lines = max(0, min(lines, MOST_LINES))
    pods = sorted(place.pods(component), key=lambda p: str(p["metadata"].get("creationTimestamp", "")))[
        -MOST_PODS:
    ]
    seen = _opened(after)
    found: list[Line] = []
    for pod in pods:
        found += _of_pod(place, pod, seen, lines=lines, beginning=after == LOG_BEGINNING)
    found.sort(key=lambda line: line[0])
    forwards = seen is not None or after == LOG_BEGINNING
    chosen = found[:lines] if forwards else found[len(found) - min(lines, len(found)) :]
    last = dict(seen or {})
    for stamp, name, _ in chosen:
        last[name] = max(stamp, last.get(name, ""))
    alive = {str(pod["metadata"]["name"]) for pod in pods}
    cursor = _sealed({name: stamp for name, stamp in last.items() if name in alive})
    return LogTail(tuple(_line(line) for line in chosen), cursor)


def _of_pod(
    place: Place, pod: Json, seen: dict[str, str] | None, *, lines: int, beginning: bool
) -> list[Line]:
    """The lines of one pod; of the run before its last restart too, where reading does not go on from a line."""
    name = str(pod["metadata"]["name"])
    since = (seen or {}).get(name, "")
    query = {"timestamps": "true", "limitBytes": str(MOST_BYTES)}
    if since:
        query["sinceTime"] = f"{since[:19]}Z"
    elif seen is None and not beginning:
        query["tailLines"] = str(lines)
    texts = [_text(place, name, {**query, "previous": "true"})] if _restarted(pod) and not since else []
    texts.append(_text(place, name, query))
    found = [parsed for text in texts for raw in text.split("\n") if (parsed := _parsed(raw, name))]
    return [line for line in found if line[0] > since]


def _text(place: Place, name: str, query: dict[str, str]) -> str:
    try:
        return place.api.text(
            place.path("v1", "Pod", name) + "/log", f"the log of {name}", MOST_BYTES * 2, **query
        )
    except Refused as error:
        if error.status == 400:  # not started yet, or its earlier run is forgotten
            return ""
        raise


def _parsed(raw: str, name: str) -> Line | None:
    found = STAMP.match(raw)
    if not found or not (text := clean(found[3])):
        return None
    return f"{found[1]}.{(found[2] or '').ljust(9, '0')}", name, text


def _line(line: Line) -> LogLine:
    stamp, name, text = line
    return LogLine(text, datetime.fromisoformat(stamp[:26]).replace(tzinfo=UTC), name)


def _restarted(pod: Json) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("terminated" in (one.get("lastState") or {}) for one in statuses)


def _sealed(last: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last, sort_keys=True).encode()).decode() if last else ""


def _opened(cursor: str) -> dict[str, str] | None:
    """The cursor's times; None when it means nothing."""
    try:
        document = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(document, dict):
        return None
    good = {k: v for k, v in document.items() if isinstance(v, str) and re.fullmatch(r"[\dT:.-]{29}", v)}
    return good or None
