"""The log page of a Deployment: the last lines of one component or task, what follows them, and a file of all that
match.

What a component writes is foreign text: it is only ever shown escaped, as text.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import structlog
from asgiref.sync import sync_to_async
from django import forms
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.kit.http import this_url
from deployments.access import deployment_view
from deployments.dataplane.contract import LOG_BEGINNING, DataPlaneError, Driver, LogTail, Ref
from deployments.domain.component_titles import heading
from deployments.domain.states import Status
from deployments.domain.task_log_text import task_path
from deployments.models import Deployment
from deployments.pages.common import page_context
from deployments.queries import live, log_levels
from deployments.queries.components import component_names, first_to_read
from deployments.queries.log_levels import SINCE, Level, LogFilters
from workspaces.access import MemberRequest
from workspaces.permissions import Permission
from workspaces.stream import Right, still_allowed

logger = structlog.get_logger(__name__)

SHOWN_LINES = 500
READ_LINES = 5000  # what is searched for those that match, and what a page holds at most
NEW_LINES = 1000  # in one answer to a page that follows: soon there also on a busy machine
DOWNLOAD_BYTES = 200 * 1024 * 1024
CHECK_SECONDS = 12.0  # a download ends this soon after its reader's right ended
LONGEST_PATH = 2000  # characters of the path of a task's log in an address
SINCE_WORDS = {"15m": "Last 15 minutes", "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last 24 hours"}


class LogForm(forms.Form):
    """The filter bar. A value that is not offered filters nothing."""

    q = forms.CharField(
        label="Text",
        required=False,
        max_length=200,
        strip=False,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    component = forms.ChoiceField(label="Component", required=False)
    level = forms.ChoiceField(
        label="Level",
        required=False,
        choices=[
            ("", "Any"),
            (Level.INFO, "Info and above"),
            (Level.WARNING, "Warnings and above"),
            (Level.ERROR, "Errors"),
        ],
    )
    since = forms.ChoiceField(label="Time", required=False, choices=[("", "Any"), *SINCE_WORDS.items()])

    def __init__(self, data: Any, *, components: list[str]) -> None:
        """`components` that may be chosen; none where the log of a task is read."""
        super().__init__(data)
        if not components:
            del self.fields["component"]
            return
        self.fields["component"].choices = [(name, heading(name)) for name in components]  # type: ignore[attr-defined]

    def chosen(self, name: str) -> str:
        """A valid value, or ""."""
        self.is_valid()
        return str(self.cleaned_data.get(name) or "")

    def filters(self) -> LogFilters:
        """What is asked for, now."""
        level, since = self.chosen("level"), self.chosen("since")
        return LogFilters(
            level=Level(level) if level else None,
            since=timezone.now() - SINCE[since] if since else None,
            text=self.chosen("q").strip("\x00"),
        )


@dataclass(frozen=True)
class Source:
    """What is read: one component, or with `task` what one attempt of a task wrote, by the path of its log."""

    component: str = ""
    task: str = ""

    @property
    def title(self) -> str:
        """What the page calls these logs: the task, or the component."""
        return task_path(self.task).words or self.task if self.task else heading(self.component)

    @property
    def query(self) -> dict[str, str]:
        """As it stands in an address."""
        return {"task": self.task} if self.task else {"component": self.component}

    @property
    def file_name(self) -> str:
        """Letters, digits, dots and dashes, whatever a path has in it."""
        found = task_path(self.task)
        words = (found.dag, found.task, found.map_index, found.attempt) if self.task else (self.component,)
        return (
            "-".join(filter(None, (re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") for word in words)))
            or "task"
        )

    def tail(self, driver: Driver, ref: Ref, *, lines: int, after: str) -> LogTail:
        """Asks the driver."""
        if self.task:
            return driver.task_log(ref, self.task, lines=lines, after=after)
        return driver.logs(ref, self.component, lines=lines, after=after)


def _form(request: HttpRequest, deployment: Deployment) -> tuple[LogForm, Source]:
    """The filter bar, and what is read: the task or component asked for, else the one with something to say."""
    data = request.GET.copy()
    if task := request.GET.get("task", "")[:LONGEST_PATH]:
        return LogForm(data, components=[]), Source(task=task)
    names = component_names(deployment)
    component = request.GET.get("component", "")
    if component not in names:
        component = first_to_read(deployment) or names[0]
    data["component"] = component
    return LogForm(data, components=names), Source(component)


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def log_page(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The last lines that match, as text in the page. The filters stand in its address."""
    form, source = _form(request, deployment)
    filters = form.filters()
    context = _around(request, deployment, form, source)
    context["filtered"] = filters != LogFilters()
    read = READ_LINES if context["filtered"] else SHOWN_LINES
    try:
        tail = live.ask(deployment, partial(source.tail, lines=read, after=""))
    except DataPlaneError as error:
        context["problem"] = str(error)
        return render(request, "deployments/logs/logs.html", context)
    lines, carry = log_levels.read(tail.lines)
    matching = [line for line in lines if filters.match(line)]
    context |= {
        "lines": matching[-SHOWN_LINES:],
        "searched": len(lines),
        "older": len(matching) > SHOWN_LINES or len(lines) == read,
        "many": len({line.source for line in lines}) > 1,
        "cursor": tail.cursor,
        "carry": log_levels.pack(carry),
    }
    return render(request, "deployments/logs/logs.html", context)


def _around(request: MemberRequest, deployment: Deployment, form: LogForm, source: Source) -> dict[str, Any]:
    """What stands around the lines."""
    wrap, local = request.GET.get("wrap") != "off", request.GET.get("times") == "local"
    kept = {name: request.GET[name] for name in ("wrap", "times") if request.GET.get(name)}
    return {
        **page_context(request, deployment, "Logs"),
        **kinds(deployment, of_tasks=bool(source.task)),
        "filters": form,
        "source": source,
        "run": task_path(source.task).run,
        "kept": {**kept, **(source.query if source.task else {})},
        "wrap": wrap,
        "wrap_url": this_url(request, wrap="off" if wrap else ""),
        "local": local,
        "times_url": this_url(request, times="" if local else "local"),
        "follows": deployment.shown_status not in {Status.DELETED, Status.HIBERNATING},
        "lines_url": _url("log_lines", deployment, request, source),
        "download_url": _url("log_download", deployment, request, source),
        "again_url": request.get_full_path(),
        "clear_url": f"{request.path}?{urlencode(source.query)}",
    }


def kinds(deployment: Deployment, *, of_tasks: bool) -> dict[str, Any]:
    """The two kinds of logs, as links."""
    return {
        "of_tasks": of_tasks,
        "components_url": deployment.url_for("logs"),
        "tasks_url": deployment.url_for("task_logs"),
    }


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def log_lines(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The lines that match and were written after the cursor. The next cursor comes in a header, and whether there is
    more at once; an error as 503 with its sentence."""
    form, source = _form(request, deployment)
    filters = form.filters()
    after = request.GET.get("after", "")
    try:
        tail = live.ask(deployment, partial(source.tail, lines=NEW_LINES, after=after))
    except DataPlaneError as error:
        return HttpResponse(str(error), status=503, content_type="text/plain; charset=utf-8")
    lines, carry = log_levels.read(tail.lines, log_levels.unpack(request.GET.get("carry", "")))
    context = {
        "lines": [line for line in lines if filters.match(line)],
        "local": request.GET.get("times") == "local",
    }
    response = render(request, "deployments/logs/_log_lines.html", context)
    response["X-Log-Cursor"] = tail.cursor
    if len(tail.lines) == NEW_LINES and tail.cursor != after:
        response["X-Log-More"] = "yes"
    response["X-Log-Carry"] = log_levels.pack(carry)
    return response


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def log_download(request: MemberRequest, deployment: Deployment) -> StreamingHttpResponse:
    """Everything that is kept and matches, as a text file, read and sent in portions."""
    form, source = _form(request, deployment)
    member = request.membership
    right = (request.user.pk, member.workspace_id, str(member.role), request.session.session_key or "")
    response = StreamingHttpResponse(
        _portions(deployment, source, form.filters(), right), content_type="text/plain; charset=utf-8"
    )
    name = f"{deployment.release_name}-{source.file_name}.log"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _may_go_on(right: Right) -> bool:
    """Whether the person may still read this. Not when that cannot be found out."""
    try:
        return bool(still_allowed({right}))
    except DatabaseError:
        return False


async def _portions(
    deployment: Deployment, source: Source, filters: LogFilters, right: Right
) -> AsyncIterator[bytes]:
    """The file. What ends it early stands in its last line. A reader who takes hours is asked for the right again."""
    after, sent, checked = LOG_BEGINNING, 0, time.monotonic()
    carry: dict[str, Level] = {}
    while sent < DOWNLOAD_BYTES:
        if time.monotonic() - checked > CHECK_SECONDS:
            if not await sync_to_async(_may_go_on, thread_sensitive=False)(right):
                yield b"(The file ends here: you may not read it any more.)\n"
                return
            checked = time.monotonic()
        question = partial(_portion, source=source, after=after, filters=filters, carry=carry)
        try:
            asked = live.begin(deployment, question)
            cursor, carry, text = await asyncio.wait_for(asyncio.wrap_future(asked), live.SECONDS)
        except TimeoutError:
            yield f"(The file ends here: {live.timeout_sentence(deployment)})\n".encode()
            return
        except DataPlaneError as error:
            yield f"(The file ends here: {error})\n".encode()
            return
        if cursor in ("", after):
            return
        sent, after = sent + len(text), cursor
        if text:
            yield text
    yield b"(The file ends here: it is too large. Filter by level, time or text.)\n"


def _portion(
    driver: Driver, ref: Ref, *, source: Source, after: str, filters: LogFilters, carry: dict[str, Level]
) -> tuple[str, dict[str, Level], bytes]:
    """The next lines that match, with the cursor after them ("" at the end) and the levels in force there. All of it on
    the thread that asks: thousands of lines in the event loop would hold up every other page."""
    tail = source.tail(driver, ref, lines=READ_LINES, after=after)
    if not tail.lines:
        return "", carry, b""
    lines, carry = log_levels.read(tail.lines, carry)
    text = "".join(f"{line.whole}\n" for line in lines if filters.match(line))
    return tail.cursor, carry, text.encode(errors="replace")


def _url(name: str, deployment: Deployment, request: HttpRequest, source: Source) -> str:
    """An address of this log with the filters of this page."""
    query = request.GET.copy()
    for key, value in source.query.items():
        query[key] = value
    query.pop("wrap", None)
    return f"{deployment.url_for(name)}?{query.urlencode()}"
