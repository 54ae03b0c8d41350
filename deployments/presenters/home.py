"""What the home of a Workspace says: what needs attention, and what happened in a day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.text import slugify

from console.kit.templatetags.ui import ahead
from deployments.domain.import_words import not_imported
from deployments.domain.states import STATUS_APPEARANCE, Status
from deployments.models import Deployment
from deployments.presenters import task_logs
from deployments.presenters.charts import Slot, bars, span_text
from deployments.queries import attention, readings
from workspaces.models import ApiToken, Workspace

FAILED_RUNS = 6


@dataclass(frozen=True)
class Need:
    """One thing that a person should look at. Those of tone "bad" come first."""

    tone: str
    icon: str
    title: str
    url: str
    sentence: str
    word: str
    about: str  # the id of what needs it

    @property
    def key(self) -> str:
        """The same for as long as it is the same need: who has the focus on it keeps it when others come before."""
        return f"need-{slugify(self.word)}-{self.about}"


def needs(rows: Iterable[Deployment], tokens: Iterable[ApiToken], tokens_url: str) -> list[Need]:
    """Everything that needs attention, what fails first."""
    found = [need for row in rows for need in _of_deployment(row)]
    found += [_token(token, tokens_url) for token in tokens]
    order = {"bad": 0, "warn": 1, "off": 2}
    return sorted(found, key=lambda need: order.get(need.tone, 3))


def _of_deployment(row: Deployment) -> Iterable[Need]:
    def need(tone: str, icon: str, word: str, sentence: str, url: str = row.url) -> Need:
        return Need(tone, icon, row.name, url, sentence, word, str(row.pk))

    status, progress = row.shown_status, row.step_progress
    if status in {Status.UNHEALTHY, Status.UNKNOWN}:
        look = STATUS_APPEARANCE[status]
        yield need(look.tone, look.icon, status.label, row.reason, row.url_for("why"))
    if row.failing:
        yield need("bad", "octagon-x", "Failing", row.reason or "A component fails.", row.url_for("why"))
    elif progress is not None and progress.stalled:
        yield need("warn", "triangle-alert", "Stalled", f"{progress.title} takes much longer than usual.")
    if row.upgrade_error:
        yield need("bad", "octagon-x", "Upgrade failed", row.upgrade_error)
    reading = readings.latest(row)
    if reading is not None and reading.import_error_count:
        count, first = reading.import_error_count, reading.import_errors[:1]
        last = f": {first[0]['file']}, {first[0]['line']}" if first else ""
        yield need(
            "bad",
            "file-question-mark",
            "Import errors",
            f"{not_imported(count)}{last}",
            f"{row.url}#import-errors",
        )
    if reading is not None and reading.is_fresh and reading.lost_queues:
        names = ", ".join(reading.lost_queues)
        yield need(
            "warn", "triangle-alert", "Lost tasks", f"Tasks wait in a queue that no worker serves: {names}."
        )
    if row.runtime.warning:
        yield need("warn", "clock", "Runtime", row.runtime.warning)
    elif row.runtime.maintained_until < timezone.now().date() + attention.RUNTIME_ENDS:
        day = f"{row.runtime.maintained_until:%-d %B %Y}"
        sentence = f"Runtime {row.runtime.version} is maintained until {day}. Upgrade before then."
        yield need("warn", "clock", "Runtime ends", sentence)


def _token(token: ApiToken, url: str) -> Need:
    assert token.expires_at is not None  # noqa: S101 - asked for those that end
    sentence = f"This API token ends {ahead(token.expires_at, timezone.now())}. Rotate it before then."
    return Need("warn", "key-round", token.name, url, sentence, "Token ends", str(token.pk))


def day_context(workspace: Workspace) -> dict[str, Any]:
    """The runs of all its Deployments in the last 24 hours, and the newest that failed. Two queries."""
    now = timezone.now()
    hours = readings.last_hours(now)
    counts = attention.day_of(workspace, hours)
    zone = timezone.get_current_timezone()
    slots = []
    for hour in hours:
        ok, failed = counts.get(hour, (None, None))
        slots.append(Slot(ok, failed, span_text(hour, readings.HOUR, zone)))
    good, bad = sum(slot.good or 0 for slot in slots), sum(slot.bad or 0 for slot in slots)
    return {
        "runs_known": bool(counts),
        "runs_total": f"{good:,} succeeded, {bad:,} failed",
        "runs_chart": bars(slots, name="day"),
        "runs_axis": [f"{hours[number]:%H:%M}" for number in (0, 6, 12, 18)],
        "failed_runs": [
            {"run": run, "logs_url": task_logs.of_run(run.deployment, run.dag_id, run.run_id)}
            for run in attention.failed_runs(workspace, now - timedelta(hours=24), FAILED_RUNS)
        ],
    }
