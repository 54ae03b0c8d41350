"""Logs as lines of JSON, and following them. What a component writes is foreign text, and stays a string in a document.

A reader that follows costs no thread: the questions run on the few threads of its cluster, as those of the page do.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import Router
from ninja.params.functions import Query

from console.kit.refusals import ActionRefused, InvalidInput
from deployments.api.access import DeploymentRequest, OnDeployment, deployment_of
from deployments.api.documents import moment
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, Driver, LogTail, Ref
from deployments.models import Deployment
from deployments.queries import live, log_levels
from deployments.queries.components import component_names, first_to_read
from deployments.queries.log_levels import SINCE, Level, LogFilters, Shown
from workspaces.api.auth import token_in
from workspaces.permissions import Permission
from workspaces.token_access import Caller, authenticate

router = Router(tags=["Logs"])
TASK = "task"  # in place of a component in a line
MOST, DEFAULT = 10_000, 500
NDJSON = "application/x-ndjson"
NEW_LINES = 1000  # of one question while following
LOOK_SECONDS = 1.0
CHECK_SECONDS = 12.0  # a stream ends this soon after its token's right ended
LIFE_SECONDS = 600.0


@dataclass(frozen=True)
class LogReading:
    """What is read: of one component, or with `task` the log of a task by its path."""

    deployment: Deployment
    component: str
    task: str
    filters: LogFilters
    lines: int


class OnLogs(OnDeployment):
    """As one Deployment; what is asked of its log is judged here, where the database may be asked."""

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """The Deployment, and which component is read."""
        super().load(request, caller)
        deployment: Deployment = request.deployment  # type: ignore[attr-defined]
        names = component_names(deployment)
        asked = request.GET.get("component", "")
        if asked and asked not in names:
            raise InvalidInput({"component": f"Choose one of {', '.join(names)}."})
        if asked and request.GET.get("task"):
            raise InvalidInput({"task": "Give a component or a task, not both."})
        request.component = asked or first_to_read(deployment) or names[0]  # type: ignore[attr-defined]


class LogRequest(DeploymentRequest):
    """For type checkers."""

    component: str


def _filters(level: str, since: str, text: str) -> LogFilters:
    """The three as filters. Raises InvalidInput, which names every wrong one."""
    problems = {}
    words = {Level.INFO.value, Level.WARNING.value, Level.ERROR.value}
    if level and level not in words:
        problems["level"] = "Choose one of info, warning, error."
    start: datetime | None = None
    if since in SINCE:
        start = timezone.now() - SINCE[since]
    elif since:
        try:
            start = datetime.fromisoformat(since.replace(" ", "+"))
        except ValueError:
            start = None
        if start is None or start.tzinfo is None:
            problems["since"] = f"Enter {', '.join(SINCE)}, or a time like 2026-11-28T09:00:00Z."
    if problems:
        raise InvalidInput(problems)
    return LogFilters(level=Level(level) if level else None, since=start, text=text)


@router.get(
    "/deployments/{slug:release_name}/logs",
    auth=OnLogs(Permission.VIEW, is_async=True),
    url_name="logs",
    operation_id="read_logs",
    openapi_extra={
        "responses": {
            200: {
                "description": "An object a line: time, level, component, source, text. Empty lines mean nothing.",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            }
        }
    },
)
async def logs(
    request: LogRequest,
    release_name: str,
    component: str = Query("", max_length=100, description="Which; else the one with something to say."),
    task: str = Query(
        "", max_length=2000, description="In place of a component: the path of the log of a task, as listed."
    ),
    level: str = Query("", max_length=10, description="At least info, warning or error."),
    since: str = Query("", max_length=40, description="15m, 1h, 6h, 24h, or a time."),
    q: str = Query("", max_length=200, description="Only lines with this text."),
    lines: int = Query(DEFAULT, ge=1, le=MOST, description="How many are read."),
    follow: bool = Query(False, description="Continue as lines are written."),
) -> StreamingHttpResponse:
    """The last lines that match, oldest first; with `follow` also those that come, for up to ten minutes."""
    component = TASK if task else request.component
    reading = LogReading(request.deployment, component, task, _filters(level, since, q), lines)
    tail = await _ask(reading, lines=lines, after="")
    value = token_in(request)
    response = StreamingHttpResponse(_lines(reading, tail, value, follow=follow), content_type=NDJSON)
    response["X-Accel-Buffering"] = "no"
    return response


async def _ask(reading: LogReading, *, lines: int, after: str) -> LogTail:
    """Raises DataPlaneError, also when no answer comes in time."""
    question = partial(_tail, component=reading.component, task=reading.task, lines=lines, after=after)
    asked = await sync_to_async(live.begin)(reading.deployment, question)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(asked), live.SECONDS)
    except TimeoutError:
        raise DataPlaneUnreachable(live.timeout_sentence(reading.deployment)) from None


def _tail(driver: Driver, ref: Ref, *, component: str, task: str, lines: int, after: str) -> LogTail:
    if task:
        return driver.task_log(ref, task, lines=lines, after=after)
    return driver.logs(ref, component, lines=lines, after=after)


async def _lines(reading: LogReading, tail: LogTail, value: str, *, follow: bool) -> AsyncIterator[bytes]:
    """The lines there are; then, while a person follows, those that come. What ends it early is its last line."""
    carry: dict[str, Level] = {}
    text, carry = await asyncio.to_thread(_encode, reading, tail, carry)
    yield text
    ends, checked = time.monotonic() + LIFE_SECONDS, time.monotonic()
    while follow and time.monotonic() < ends:
        await asyncio.sleep(LOOK_SECONDS)
        if time.monotonic() - checked > CHECK_SECONDS:
            if not await sync_to_async(_may_go_on)(reading, value):
                return
            checked = time.monotonic()
            yield b"\n"  # proxies end what is silent
        try:
            newer = await _ask(reading, lines=NEW_LINES, after=tail.cursor)
        except DataPlaneError as error:
            yield _ended(reading, str(error))
            return
        if newer.lines:
            text, carry = await asyncio.to_thread(_encode, reading, newer, carry)
            yield text
        tail = newer if newer.cursor else tail


def _may_go_on(reading: LogReading, value: str) -> bool:
    """Whether the token may still read this."""
    try:
        caller = authenticate(value)
        found = deployment_of(caller, reading.deployment.release_name, alive=True)
        caller.require(caller.membership_in(found.workspace_id), Permission.VIEW)
    except (ActionRefused, Http404, PermissionDenied, DatabaseError):
        return False
    finally:
        if not connection.in_atomic_block:
            connection.close()
    return True


def _encode(reading: LogReading, tail: LogTail, carry: dict[str, Level]) -> tuple[bytes, dict[str, Level]]:
    found, carry = log_levels.read(tail.lines, carry)
    matching = [line for line in found if reading.filters.match(line)]
    return b"".join(_line(reading.component, line) for line in matching), carry


def _line(component: str, line: Shown) -> bytes:
    document = {
        "time": moment(line.at),
        "level": line.level.value,
        "component": component,
        "source": line.source,
        "text": line.text,
    }
    return json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"


def _ended(reading: LogReading, sentence: str) -> bytes:
    """A line of ours, at the end."""
    document = {
        "time": moment(timezone.now()),
        "level": Level.ERROR.value,
        "component": "airdeck",
        "source": "airdeck",
        "text": f"The log ends here: {sentence}",
    }
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
