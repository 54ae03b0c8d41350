"""What was read of Airflows, for pages: the last reading, and figures over time. A fixed number of queries each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from deployments.models import Deployment, HourlyFigures, LatestReading, MinuteFigures

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# What a row of a list of Deployments shows; for `.only(...)` beside `select_related("reading")`.
LIST_COLUMNS = (
    *("reading__at", "reading__problem", "reading__dags", "reading__dags_paused"),
    *("reading__import_error_count", "reading__runs_running", "reading__tasks_running"),
    *("reading__tasks_queued", "reading__lost_queues", "reading__day"),
)


@dataclass(frozen=True)
class Span:
    """A time that charts show: `count` buckets of `step`, the last of which is under way."""

    key: str
    label: str
    count: int
    step: timedelta


SPANS = {
    span.key: span
    for span in (
        Span("1h", "1 hour", 30, 2 * MINUTE),  # a minute may have two readings, and the next one none
        Span("24h", "24 hours", 24, HOUR),
        Span("7d", "7 days", 84, 2 * HOUR),
        Span("30d", "30 days", 90, 8 * HOUR),
    )
}


@dataclass(frozen=True)
class TimeBucket:
    """Figures of one bucket; what was not measured is None. Of `queued`, `running`, `workers`, CPU and memory it is the
    highest that was seen. Tasks are not known by the minute."""

    runs_succeeded: int
    runs_failed: int
    tasks_succeeded: int | None
    tasks_failed: int | None
    queued: int
    running: int
    workers: int | None
    cpu_millis: int | None
    memory_mib: int | None


@dataclass(frozen=True)
class Series:
    """One span of one Deployment: per bucket its beginning (aware, UTC), and its figures, None where there was no
    reading. The last bucket is not over."""

    span: Span
    starts: tuple[datetime, ...]
    buckets: tuple[TimeBucket | None, ...]

    def values(self, name: str) -> list[int | None]:
        """One figure over time, by its name in `TimeBucket`."""
        return [None if bucket is None else getattr(bucket, name) for bucket in self.buckets]

    def total(self, name: str) -> int:
        """The sum of one figure over the span; what was not measured adds nothing."""
        return sum(value or 0 for value in self.values(name))


def latest(deployment: Deployment) -> LatestReading | None:
    """The last reading, None before the first; `age` and `is_fresh` say how old it is. One query, none when the row
    came with its reading (`select_related("reading")`)."""
    found: LatestReading | None = getattr(deployment, "reading", None)
    return found if found is not None and found.at is not None else None


def series(deployment: Deployment, span: Span, now: datetime | None = None) -> Series:
    """Figures of a span until now. One query."""
    now = now or timezone.now()
    last = _floor(now, span.step)
    starts = tuple(last - span.step * back for back in reversed(range(span.count)))
    found: dict[datetime, list[TimeBucket]] = {}
    rows = _minutes(deployment, starts[0]) if span.step < HOUR else _hours(deployment, starts[0])
    for at, bucket in rows:
        found.setdefault(_floor(at, span.step), []).append(bucket)
    return Series(span, starts, tuple(_merged(found[start]) if start in found else None for start in starts))


def _minutes(deployment: Deployment, since: datetime) -> Iterable[tuple[datetime, TimeBucket]]:
    rows = MinuteFigures.objects.filter(deployment=deployment, at__gte=since)
    names = (
        "at",
        "runs_succeeded",
        "runs_failed",
        "queued",
        "running",
        "workers",
        "cpu_millis",
        "memory_mib",
    )
    for at, ok, bad, *gauges in rows.values_list(*names):
        yield at, TimeBucket(ok, bad, None, None, *gauges)


def _hours(deployment: Deployment, since: datetime) -> Iterable[tuple[datetime, TimeBucket]]:
    rows = HourlyFigures.objects.filter(deployment=deployment, hour__gte=since)
    names = (
        *("hour", "runs_succeeded", "runs_failed", "tasks_succeeded", "tasks_failed", "queued", "running"),
        *("workers", "cpu_millis", "memory_mib"),
    )
    for at, *figures in rows.values_list(*names):
        yield at, TimeBucket(*figures)


def _merged(buckets: Sequence[TimeBucket]) -> TimeBucket:
    """Several as one: runs and tasks add up, of the rest the highest counts."""
    if len(buckets) == 1:
        return buckets[0]
    return TimeBucket(
        runs_succeeded=sum(each.runs_succeeded for each in buckets),
        runs_failed=sum(each.runs_failed for each in buckets),
        tasks_succeeded=_known(buckets, "tasks_succeeded", sum),
        tasks_failed=_known(buckets, "tasks_failed", sum),
        queued=max(each.queued for each in buckets),
        running=max(each.running for each in buckets),
        workers=_known(buckets, "workers", max),
        cpu_millis=_known(buckets, "cpu_millis", max),
        memory_mib=_known(buckets, "memory_mib", max),
    )


def _known(buckets: Sequence[TimeBucket], name: str, how: Callable[[Iterable[int]], int]) -> int | None:
    values = [value for each in buckets if (value := getattr(each, name)) is not None]
    return how(values) if values else None


def last_hours(now: datetime, count: int = 24) -> list[datetime]:
    """The beginnings of the last hours, in UTC, the present one last."""
    last = _floor(now.astimezone(UTC), HOUR)
    return [last - HOUR * back for back in reversed(range(count))]


def _floor(at: datetime, step: timedelta) -> datetime:
    """The beginning of the bucket of a moment; days begin at midnight UTC."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, at.tzinfo)
