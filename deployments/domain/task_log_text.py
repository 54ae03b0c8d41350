"""What Airflow's tasks write into their logs, as text, and what the path of a log says. Pure.

Airflow 3 writes a JSON object a line (structlog); what runs beside it, such as a pod that it waits for, writes text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.domain.log_lines import clean, document_of

LEVEL_WIDTH = 9  # as structlog pads it, so that `log_levels` reads both alike
SHOWN_APART = {
    "timestamp",
    "event",
    "level",
    "logger",
    "error_detail",
    "filename",
    "lineno",
    "func_name",
    "chan",
}
OF_THE_LOG = {
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "ti_id",
    "try_number",
}  # the same in each of its lines
LEFT_OUT = SHOWN_APART | OF_THE_LOG
GROUP, GROUP_ENDS = "::group::", "::endgroup::"  # Airflow's UI folds what is between them
ITS_OWN = re.compile(r"task(\.|$)")  # the task itself and what it prints
MOST_FRAMES, MOST_STACKS = 60, 10
PART = re.compile(r"(dag_id|run_id|task_id|map_index|attempt)=(.*)", re.DOTALL)
ATTEMPT = re.compile(r"(\d{1,9})\.log(?:\.trigger\.(\d{1,9})\.log)?")


@dataclass(frozen=True)
class TaskPath:
    """What the path of a log says by Airflow's own template; "" where a template of the user's leaves it out."""

    dag: str = ""
    run: str = ""
    task: str = ""
    map_index: str = ""
    attempt: str = ""
    trigger: str = ""  # the number of the trigger job that wrote it while the task was deferred

    @property
    def words(self) -> str:
        """One line for people; "" when the path says nothing."""
        index = f" [{self.map_index}]" if self.map_index else ""
        attempt = f", attempt {self.attempt}" if self.attempt else ""
        trigger = ", while it was deferred" if self.trigger else ""
        return f"{self.task}{index} of {self.dag}{attempt}{trigger}" if self.dag and self.task else ""


def task_path(path: str) -> TaskPath:
    """dag_id=…/run_id=…/task_id=…/[map_index=…/]attempt=1.log[.trigger.7.log]"""
    found = {match[1]: match[2] for part in path.split("/") if (match := PART.fullmatch(part))}
    attempt = ATTEMPT.fullmatch(found.get("attempt", ""))
    return TaskPath(
        found.get("dag_id", ""),
        found.get("run_id", ""),
        found.get("task_id", ""),
        found.get("map_index", ""),
        attempt[1] if attempt else "",
        (attempt[2] or "") if attempt else "",
    )


def texts(raw: str) -> list[str]:
    """One line of a task's log as the lines that people read: what happened, and its traceback below it. None of an
    empty one."""
    document = document_of(raw.strip())
    written = [raw] if document is None or "event" not in document else list(_of(document))
    return [text for each in written for line in each.splitlines() if (text := clean(line))]


def _of(document: Mapping[str, Any]) -> Iterator[str]:
    if document["event"] == GROUP_ENDS:
        return
    time, level = str(document.get("timestamp") or ""), str(document.get("level") or "info")
    first, _, rest = str(document["event"]).removeprefix(GROUP).partition("\n")
    logger = document.get("logger")
    named = f" [{logger}]" if logger and not ITS_OWN.match(str(logger)) else ""
    more = "".join(f" {key}={_plain(document[key])}" for key in document if key not in LEFT_OUT)
    yield f"{time} [{level:{LEVEL_WIDTH}}] {first}{more}{named}".lstrip()
    if rest:
        yield rest
    yield from _traceback(document.get("error_detail"))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _traceback(detail: object) -> Iterator[str]:
    """As Python prints it: what was raised first comes first."""
    stacks = [each for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
    for number, stack in enumerate(reversed(stacks[:MOST_STACKS])):
        if number:
            yield "  … during which, or because of which:"
        yield "Traceback (most recent call last):"
        frames = stack.get("frames")
        for frame in (frames if isinstance(frames, list) else [])[-MOST_FRAMES:]:
            if isinstance(frame, dict):
                yield f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
        yield f"{stack.get('exc_type')}: {stack.get('exc_value')}"
