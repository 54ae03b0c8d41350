"""The lines of a component's pods, merged by time, from the Kubernetes API.

A cursor holds, for each pod that was read, the time of the last line that was handed out. The API takes whole seconds
only, so each reading overlaps the one before, and what was handed out is left away. A cursor may come from a stranger:
which pods are read is decided by their labels alone.
"""

import base64
import binascii
import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime

from deployments.dataplane.contract import LOG_BEGINNING, LogLine, LogTail
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.target import Target
from deployments.domain.log_lines import clean

MOST_LINES = 5_000
MOST_PODS = 12  # the newest; older ones have ended or are about to
MOST_BYTES = 4 * 1024 * 1024  # of one pod
LEAST_BYTES, LINE_BYTES = 64 * 1024, 256  # with its time; most are shorter
STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ?(.*)$", re.DOTALL)

type Line = tuple[str, str, str]  # the time with nine digits, the pod, the text


@dataclass(frozen=True)
class PodLines:
    """What was read of one pod: its lines, the time of the last one read, and whether more were there."""

    lines: list[Line]
    reach: str = ""
    cut: bool = False


def read(target: Target, component: str, *, lines: int, after: str) -> LogTail:
    """See `Driver.logs`."""
    lines = max(0, min(lines, MOST_LINES))
    pods = sorted(target.pods(component), key=lambda p: str(p["metadata"].get("creationTimestamp", "")))[
        -MOST_PODS:
    ]
    seen = _opened(after)
    onwards = seen is not None or after == LOG_BEGINNING
    known = seen or {}
    parts = {
        name: _of_pod(target, pod, known.get(name, ""), lines=lines, onwards=onwards)
        for pod in pods
        if (name := str(pod["metadata"]["name"]))
    }
    found = sorted((line for part in parts.values() for line in part.lines), key=lambda line: line[0])
    last = {name: part.reach or known.get(name, "") for name, part in parts.items()}
    if not onwards:
        return LogTail(tuple(map(_line, found[len(found) - min(lines, len(found)) :])), _sealed(last))
    # What a pod wrote after the end of a part is not known yet: no line of another pod may come before it.
    horizon = min((part.reach for part in parts.values() if part.cut), default=found[-1][0] if found else "")
    end = min(lines, bisect_right(found, horizon, key=lambda line: line[0]))
    left = {name for _, name, _ in found[end:]}
    last |= {name: known.get(name, "") for name in left}
    last |= {name: stamp for stamp, name, _ in found[:end] if name in left}
    return LogTail(tuple(map(_line, found[:end])), _sealed(last))


def _of_pod(target: Target, pod: Json, since: str, *, lines: int, onwards: bool) -> PodLines:
    """Of one pod, what it wrote after `since`; the run before its last restart comes first."""
    name = str(pod["metadata"]["name"])
    query = {"timestamps": "true"}
    if since:
        query["sinceTime"] = f"{since[:19]}Z"
    elif not onwards:
        query["tailLines"] = str(lines)
    whole: list[Line] = []
    reach = ""
    for run in ("true", "false") if _restarted(pod, since) else ("false",):
        part = _of_run(target, name, {**query, "previous": run}, since, lines=lines, onwards=onwards)
        whole, reach = whole + part.lines, part.reach or reach
        if part.cut:
            return PodLines(whole, reach, cut=True)
    return PodLines(whole, reach)


def _of_run(
    target: Target, name: str, query: dict[str, str], since: str, *, lines: int, onwards: bool
) -> PodLines:
    """Reading onwards, about as much as `lines` need: the rest would be read again by the next call."""
    small = min(MOST_BYTES, max(LEAST_BYTES, lines * LINE_BYTES))
    part = PodLines([])
    for limit in (small, MOST_BYTES) if onwards else (MOST_BYTES,):
        text = _text(target, name, {**query, "limitBytes": str(limit)})
        cut = onwards and len(text.encode()) >= limit
        whole = text[: text.rfind("\n") + 1] if cut else text
        read = [parsed for raw in whole.split("\n") if (parsed := _parsed(raw, name)) and parsed[0] > since]
        part = PodLines([line for line in read if line[2]], read[-1][0] if read else "", cut and bool(read))
        if read or not cut:
            break  # else one second holds more than that: times are asked for in whole seconds
    return part


def _text(target: Target, name: str, query: dict[str, str]) -> str:
    try:
        return target.api.text(
            target.path("v1", "Pod", name) + "/log", f"the log of {name}", MOST_BYTES * 2, **query
        )
    except ApiRefused as error:
        if error.status == 400:  # not started yet, or its earlier run is forgotten
            return ""
        raise


def _parsed(raw: str, name: str) -> Line | None:
    found = STAMP.match(raw)
    if not found:
        return None
    return f"{found[1]}.{(found[2] or '').ljust(9, '0')}", name, clean(found[3])


def _line(line: Line) -> LogLine:
    stamp, name, text = line
    return LogLine(text, datetime.fromisoformat(stamp[:26]).replace(tzinfo=UTC), name)


def _restarted(pod: Json, since: str) -> bool:
    """Whether it was started again after that moment."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ended = [(one.get("lastState") or {}).get("terminated") for one in statuses]
    return any(one is not None and str(one.get("finishedAt") or "9")[:19] >= since[:19] for one in ended)


def _sealed(last: dict[str, str]) -> str:
    last = {name: stamp for name, stamp in last.items() if stamp}
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
