"""What a Deployment's Airflow does, for its page: figures of now, and charts of a span of time on one axis. The charts
themselves are drawn by `charts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from console.kit.templatetags.ui import ago
from console.kit.wording import rough
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import STATUS_APPEARANCE, Executor, Status
from deployments.models import Deploy, Deployment, LatestReading
from deployments.presenters.charts import Slot, Stretch, bars, ribbon, span_text
from deployments.queries import activity, readings
from deployments.queries.activity import ActivityEntry
from deployments.queries.readings import SPANS, Series, Span

USUAL = SPANS["24h"]
MOST_ENTRIES = 200  # of what happened, that is put on the axis
LISTED_ENTRIES = 6
LISTED_ERRORS = 5
SILENT_SCHEDULER = timedelta(minutes=2)
AXIS_LABELS = 4
TASKS = ("tasks_succeeded", "tasks_failed")


@dataclass(frozen=True)
class Tile:
    """One figure of now, with what it is called and what there is to say about it."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""
    url: str = ""


@dataclass(frozen=True)
class Band:
    """One chart with its heading and its sum in words."""

    title: str
    total: str
    drawing: SafeString


def span_of(key: str) -> Span:
    """The span of this key; 24 hours when there is none."""
    return SPANS.get(key, USUAL)


def has_figures(deployment: Deployment) -> bool:
    """Whether there is anything to show: not before it was Healthy once, and not while it is deleted."""
    return deployment.first_healthy_at is not None and not deployment.is_deleting


def figures_context(deployment: Deployment, span: Span) -> dict[str, Any]:
    """The context of deployments/overview/_figures.html. Four or five queries: reading, figures, acts,
    changes of status unless the present one is older than the span, and the last deploy."""
    now = timezone.now()
    reading = readings.latest(deployment)
    series = readings.series(deployment, span, now)
    begin = series.starts[0]
    happened = activity.lately(deployment, begin, MOST_ENTRIES)
    axis = _Axis(begin, series.starts[-1] + span.step, now)
    acts = [entry for entry in happened if not entry.status]
    marks = [place for entry in acts if (place := axis.place(entry.at)) is not None]
    url = deployment.url_for("figures")
    return {
        "d": deployment,
        "reading": reading,
        "stale": _stale(deployment, reading),
        "figures_url": f"{url}?span={span.key}",
        "dags_url": deployment.url_for("dags"),
        "spans": [
            {"label": each.label, "key": each.key, "url": f"{url}?span={each.key}", "current": each is span}
            for each in SPANS.values()
        ],
        "tiles": _tiles(deployment, reading, now),
        "bands": _bands(series, marks),
        "ribbon": ribbon(_stretches(deployment, happened, axis), marks),
        "axis": _labels(series),
        "table": _table(series),
        "has_tasks": series.span.step >= readings.HOUR,
        "happened": happened[:LISTED_ENTRIES],
        "import_errors": reading.import_errors[:LISTED_ERRORS] if reading else [],
        "more_errors": max(0, reading.import_error_count - LISTED_ERRORS) if reading else 0,
        "queues": [_queue(each) for each in reading.queues] if reading else [],
        "lost_queues": ", ".join(reading.lost_queues) if reading else "",
    }


def _stale(deployment: Deployment, reading: LatestReading | None) -> str:
    """Why the figures of now are not of now; "" when they are."""
    if reading is None or reading.is_fresh:
        return ""
    if deployment.hibernating:
        return "This Deployment hibernates. These figures are from before that."
    return (
        reading.problem
        or "It has not been read since then. Check that it is Healthy and that the observer runs."
    )


@dataclass(frozen=True)
class _Axis:
    begin: datetime
    end: datetime
    now: datetime

    def place(self, moment: datetime) -> float | None:
        """From 0 to 1; None outside."""
        part = (moment - self.begin) / (self.end - self.begin)
        return part if 0 <= part <= 1 else None


def _queue(found: dict[str, Any]) -> dict[str, Any]:
    waits = found.get("oldest_seconds")
    return {**found, "name": found["name"] or "no queue", "waits": rough(waits) if waits is not None else ""}


# -- Now --


def _tiles(deployment: Deployment, reading: LatestReading | None, now: datetime) -> list[Tile]:
    if reading is None:
        return []
    tiles = [
        Tile(
            "DAGs",
            str(reading.dags),
            f"{reading.dags_paused} paused" if reading.dags_paused else "",
            url=deployment.url_for("dags"),
        ),
        Tile(
            "Import errors", str(reading.import_error_count), tone="bad" if reading.import_error_count else ""
        ),
        Tile("Runs", f"{reading.runs_running} running", f"{reading.runs_queued} queued"),
        Tile(
            "Tasks",
            f"{reading.tasks_running} running",
            f"{reading.tasks_queued} queued, {reading.tasks_scheduled} scheduled",
        ),
    ]
    if deployment.executor == Executor.CELERY and reading.workers is not None:
        tiles.append(Tile("Workers", str(reading.workers)))
    tiles.append(_heartbeat(reading, now))
    absent = "" if reading.cpu_millis is not None else reading.usage_absent
    cpu = "–" if reading.cpu_millis is None else f"{reading.cpu_millis / 1000:.2f} cores"
    memory = "–" if reading.memory_mib is None else _memory(reading.memory_mib)
    tiles += [Tile("CPU", cpu, absent), Tile("Memory", memory)]
    deploys = Deploy.objects.filter(deployment=deployment).order_by("-number")
    last = deploys.values_list("number", "status", "created_at").first()
    if last is not None:
        number, status, at = last
        detail = f"{DeployStatus(status).label}, {ago(at, now)}"
        tiles.append(Tile("Last deploy", f"#{number}", detail, url=deployment.url_for("deploy", number)))
    return tiles


def _memory(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib} MiB"


def _heartbeat(reading: LatestReading, now: datetime) -> Tile:
    heartbeat_at = reading.scheduler_heartbeat_at
    if heartbeat_at is None:
        return Tile("Scheduler", "–", "no heartbeat yet")
    seconds = max(0.0, (now - heartbeat_at).total_seconds())
    silence = reading.scheduler_silence
    silent = reading.is_fresh and silence is not None and silence > SILENT_SCHEDULER
    return Tile("Scheduler", f"{rough(seconds)} ago", "last heartbeat", "bad" if silent else "")


# -- Over time --


def _bands(series: Series, marks: Sequence[float]) -> list[Band]:
    step = series.span.step
    zone = timezone.get_current_timezone()
    words = [span_text(start, step, zone) for start in series.starts]

    def slots(good: str, bad: str) -> list[Slot]:
        values = zip(series.values(good), series.values(bad), words, strict=True)
        return [Slot(*each) for each in values]

    def ended(title: str, name: str) -> Band:
        good, bad = f"{name}_succeeded", f"{name}_failed"
        total = f"{series.total(good):,} succeeded, {series.total(bad):,} failed"
        return Band(title, total, bars(slots(good, bad), name=f"chart-{name}", marks=marks))

    found = [ended("Runs", "runs")]
    if step >= readings.HOUR:  # tasks that ended are counted by the hour
        found.append(ended("Tasks", "tasks"))
    busiest = max((value or 0 for value in series.values("running")), default=0)
    longest = max((value or 0 for value in series.values("queued")), default=0)
    busy = bars(
        slots("running", "queued"),
        name="chart-busy",
        marks=marks,
        words=("running", "queued"),
        kinds=("good", "wait"),
    )
    found.append(Band("Tasks at once", f"at most {busiest:,} running, {longest:,} queued", busy))
    return found


def _stretches(deployment: Deployment, happened: Sequence[ActivityEntry], axis: _Axis) -> list[Stretch]:
    """Which status there was when, oldest first. Before the first change it was the one that this change left."""
    changes = [entry for entry in reversed(happened) if entry.status]
    begin = axis.place(deployment.created_at) or 0.0
    if len(changes) == MOST_ENTRIES:  # what was before is not known
        begin = axis.place(changes[0].at) or 0.0
    status = changes[0].before["status"] if changes else deployment.shown_status
    found = []
    for change in changes:
        end = axis.place(change.at) or begin
        found.append(_stretch(begin, end, status))
        begin, status = end, change.after["status"]
    found.append(_stretch(begin, axis.place(axis.now) or 1.0, status))
    return [each for each in found if each.end > each.begin]


def _stretch(begin: float, end: float, status: str) -> Stretch:
    known = Status(status)
    return Stretch(begin, end, STATUS_APPEARANCE[known].tone, known.label)


def _labels(series: Series) -> list[str]:
    """The times under the charts: four beginnings, evenly; the last word is "now"."""
    short = series.span.step < timedelta(minutes=90)
    form = "%H:%M" if short else "%-d %b"
    part = len(series.starts) / AXIS_LABELS
    return [f"{series.starts[int(part * number)]:{form}}" for number in range(AXIS_LABELS)]


def _table(series: Series) -> SafeString:
    """The rows of the table of figures, newest first. Numbers and times of ours alone, so nothing is escaped."""
    zone, tasks = timezone.get_current_timezone(), series.span.step >= readings.HOUR
    names = ["runs_succeeded", "runs_failed", *(TASKS if tasks else ()), "running", "queued"]
    gap = f'<td role="cell" class="right muted" colspan="{len(names)}">no data</td>'
    rows = []
    for start, bucket in zip(reversed(series.starts), reversed(series.buckets), strict=True):
        cells = gap if bucket is None else "".join(_cell(getattr(bucket, name)) for name in names)
        own = f"{start.astimezone(zone):%-d %b %Y, %H:%M %Z}"
        time = f'<time datetime="{start:%Y-%m-%dT%H:%MZ}" title="{own}">{start:%-d %b, %H:%M}</time>'
        rows.append(f'<tr role="row"><th scope="row" role="rowheader">{time}</th>{cells}</tr>')
    return mark_safe("".join(rows))  # noqa: S308 - see above


def _cell(value: int | None) -> str:
    return f'<td role="cell" class="num right">{"–" if value is None else value}</td>'
